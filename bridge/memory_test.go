package bridge_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/oom/oomtest"
	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/schematest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// caged are programs with little memory: hungry and early eat it up, the second before
// its startsecs are over; parent has a child that does; the others do nothing.
func caged(c *oomtest.Cage) string {
	sections := ""
	for name, script := range map[string]string{
		"hungry":   "sleep 0.1; exec " + oomtest.Hungry,
		"parent":   oomtest.Hungry + "; sleep 1000",
		"plain":    "sleep 1000 & wait",
		"stubborn": "trap '' TERM; echo up; while :; do sleep 1; done",
		"early":    "sleep 0.1; exec " + oomtest.Hungry,
	} {
		start := "startsecs=0"
		if name == "early" {
			start = "startretries=0"
		}
		sections += supervisordtest.Program(name, fmt.Sprintf(`sh -c "%s && %s"`, c.Enter(), script), start,
			"autostart=false", "autorestart=false", "stopasgroup=true", "killasgroup=true", "stopwaitsecs=1")
	}
	return sections
}

// A program that runs out of memory is reported as that, with the cgroup, and one that
// somebody kills never is: with the reason by the kernel, and by supervisord's log.
func TestOutOfMemory(t *testing.T) {
	for _, tt := range []struct{ name, refused, source string }{
		{name: "reasons by the kernel", refused: "", source: schema.ExitFromKernel},
		{name: "reasons by the log", refused: "pidfd_info,connector", source: schema.ExitFromLog},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cage := oomtest.New(t)
			nats := streamtest.Start(t)
			sections := conf(t, "--nats-url", nats.URL, "--host", "web1")
			if tt.refused != "" {
				sections = refusing(t, sections, tt.refused)
			}
			s := supervisordtest.Start(t, sections+caged(cage))
			js := nats.JetStream()
			waitStored(t, js, stream.AllEvents, 1)
			exit := func(state, name string) *schema.Exit {
				t.Helper()
				msgs := waitStored(t, js, "supervisor.event.web1."+name+"."+name+".process_state."+state, 1)
				m := msgs[len(msgs)-1]
				schematest.ValidateDocument(t, "event", m.Data())
				return event(t, m).Exit
			}
			ranOut := func(state, name string) {
				t.Helper()
				got := exit(state, name)
				if got == nil || got.OOM == nil {
					t.Fatalf("%s: that memory ran out is not reported: %+v", name, got)
				}
				want := &schema.Exit{
					Signal: "SIGKILL", Source: tt.source,
					OOM: &schema.OOM{Cgroup: cage.Name, Limit: cage.Limit, Peak: got.OOM.Peak},
				}
				if diff := cmp.Diff(want, got); diff != "" || got.OOM.Peak > cage.Limit ||
					got.OOM.Peak < cage.Limit*9/10 {
					t.Errorf("%s: peak %d; (-want +got)\n%s", name, got.OOM.Peak, diff)
				}
			}
			kill := func(name string) {
				t.Helper()
				pid := s.KillProgram(t, name)
				if got := exit("exited", name); got == nil || got.Signal != "SIGKILL" || got.OOM != nil {
					t.Errorf("%s: kill -9 is reported as %+v", name, got)
				}
				// Its children are in the cgroup still.
				_ = syscall.Kill(-pid, syscall.SIGKILL)
			}

			s.MustCtl(t, "start", "plain", "stubborn")
			s.MustCtl(t, "start", "hungry")
			ranOut("exited", "hungry")
			kill("plain")
			_, _ = s.Ctl("start", "early") // it says that this failed
			ranOut("backoff", "early")
			ranOut("fatal", "early")

			s.MustCtl(t, "stop", "stubborn") // SIGKILL after a second
			if got := exit("stopped", "stubborn"); got != nil && got.OOM != nil {
				t.Errorf("a stop ran out of memory: %+v", got.OOM)
			}

			before := killed(t, cage)
			s.MustCtl(t, "start", "parent")
			supervisordtest.Wait(t, 20*time.Second, func() bool { return killed(t, cage) > before },
				"the child to run out of memory")
			time.Sleep(1500 * time.Millisecond) // by now nobody that is known has died of it
			kill("parent")
		})
	}
}

// killed is how many processes of a cgroup were killed for want of memory.
func killed(t *testing.T, c *oomtest.Cage) int {
	t.Helper()
	for _, file := range []string{"memory.events", "memory.oom_control"} {
		text, err := os.ReadFile(filepath.Join(c.Dir, file))
		if err != nil {
			continue
		}
		_, n, _ := strings.Cut("\n"+string(text), "\noom_kill ")
		n, _, _ = strings.Cut(n, "\n")
		count, err := strconv.Atoi(n)
		if err != nil {
			t.Fatal(err)
		}
		return count
	}
	t.Fatalf("%s has no counters", c.Dir)
	return 0
}
