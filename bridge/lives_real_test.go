package bridge_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/schematest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// hungry has 50 MB, two threads and 10 files more, and dies when there is a file "go".
const hungry = `
import os, sys, threading, time
t = threading.Thread(target=time.sleep, args=(1000,), daemon=True); t.start()
files = [os.open("/dev/null", os.O_RDONLY) for _ in range(10)]
keep = bytearray(os.urandom(1) * (50 << 20))
until = time.process_time() + 0.1
while time.process_time() < until: pass
open("ready." + sys.argv[1], "w").close()
while not os.path.exists("go." + sys.argv[1]): time.sleep(0.02)
open("died." + sys.argv[1], "w").close()
os._exit(3)
`

// world is a directory in which programs of a supervisord work.
type world struct {
	t   *testing.T
	dir string
}

func newWorld(t *testing.T) world {
	t.Helper()
	w := world{t, t.TempDir()}
	if err := os.WriteFile(filepath.Join(w.dir, "hungry.py"), []byte(hungry), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w world) has(name string) bool {
	_, err := os.Stat(filepath.Join(w.dir, name))
	return err == nil
}

func (w world) touch(name string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), nil, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// wait waits for a file, and returns when it was written.
func (w world) wait(name string) time.Time {
	w.t.Helper()
	supervisordtest.Wait(w.t, 30*time.Second, func() bool { return w.has(name) }, "the file %s", name)
	st, err := os.Stat(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return st.ModTime()
}

func (w world) program(name string, options ...string) string {
	s := "[program:" + name + "]\ncommand=python3 hungry.py " + name + "\ndirectory=" + w.dir + "\nautorestart=false\n"
	for _, o := range options {
		s += o + "\n"
	}
	return s
}

// startOf returns when a process was started, by the kernel.
func startOf(t *testing.T, pid int) time.Time {
	t.Helper()
	p, err := procfs.NewProc(pid)
	if err != nil {
		t.Fatal(err)
	}
	stat, err := p.Stat()
	if err != nil {
		t.Fatal(err)
	}
	var boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		t.Fatal(err)
	}
	return time.Now().Add(time.Duration(stat.Starttime)*10*time.Millisecond - time.Duration(boot.Nano()))
}

// The event of a death says for how long the process had been running and what it was
// like, be it expected or not, a stop or a death; also when the bridge was restarted in
// between.
func TestRanAndLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, js := startWeb1(t, w.program("hungry")+w.program("expected", "exitcodes=3")+w.program("stopped"))
	names := []string{"hungry", "expected", "stopped"}
	ready, started := map[string]time.Time{}, map[string]time.Time{}
	for _, name := range names {
		ready[name] = w.wait("ready." + name)
		waitStored(t, js, "supervisor.event.web1."+name+".*.process_state.running", 1)
		started[name] = startOf(t, s.ProcessID(t, name))
	}
	s.MustCtl(t, "restart", "supernats")
	time.Sleep(600 * time.Millisecond) // a look by the new one

	died := map[string]time.Time{}
	for _, name := range names[:2] {
		w.touch("go." + name)
		died[name] = w.wait("died." + name)
	}
	died["stopped"] = time.Now()
	s.MustCtl(t, "stop", "stopped")

	for name, kind := range map[string]string{"hungry": "exited", "expected": "exited", "stopped": "stopped"} {
		m := waitStored(t, js, "supervisor.event.web1."+name+".*.process_state."+kind, 1)[0]
		schematest.ValidateDocument(t, "event", m.Data())
		e := event(t, m)
		if e.Ran == nil || e.Last == nil {
			t.Errorf("%s: ran %v, last %v\n%s", name, e.Ran, e.Last, m.Data())
			continue
		}
		ran := time.Duration(*e.Ran * float64(time.Second))
		// It has died between its last word and the event.
		const tick = 15 * time.Millisecond // of /proc
		if least, most := died[name].Sub(started[name]), at(t, m).Sub(started[name]); ran < least-tick ||
			ran > most+tick {
			t.Errorf("%s ran for %v, want between %v and %v", name, ran, least, most)
		}
		l := e.Last
		if l.RSS < 50<<20 || l.RSS > 150<<20 || l.PeakRSS < l.RSS || l.Threads != 2 || l.CPU < 0.1 || l.CPU > 10 {
			t.Errorf("%s: %+v", name, l)
		}
		if l.Descriptors < 13 || l.Descriptors > 30 || l.Age <= 0 || l.Age > *e.Ran+0.02 ||
			l.Time.Before(ready[name]) || l.Time.After(at(t, m)) {
			t.Errorf("%s: %+v, ran %v", name, l, *e.Ran)
		}
	}
	for _, m := range stored(t, js, stream.AllEvents) {
		e := event(t, m)
		if dead := e.Event == schema.ProcessStateExited || e.Event == schema.ProcessStateStopped; !dead &&
			(e.Ran != nil || e.Last != nil) {
			t.Errorf("no death: %s", m.Data())
		}
	}
}

const tick5 = "supervisor.event.web1.-.-.tick.5"

// Where /proc shows nothing, the events alone say for how long a process ran, to a
// second; what it was like is left out, and that is reported once.
func TestLivesHidden(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	for name, wrapper := range map[string]string{
		"no proc":   `unshare --mount sh -c 'mount -t tmpfs none /proc && exec "$@"' sh`,
		"hidepid":   `unshare --mount sh -c 'mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"' sh`,
		"namespace": `unshare --pid --fork --kill-child --mount-proc`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nats := streamtest.Start(t)
			w := newWorld(t)
			spool := supervisordtest.Dir(t)
			if err := os.Chmod(spool, 0o777); err != nil {
				t.Fatal(err)
			}
			section := conf(t, "--nats-url", nats.URL, "--host", "web1", "--spool-dir", spool, "--no-wake")
			// unshare does not pass a signal on.
			wrapped := strings.NewReplacer("command=", "command="+wrapper+" ", "stopwaitsecs=10", "stopwaitsecs=1").Replace(section)
			dir := supervisordtest.Dir(t)
			if err := errors.Join(os.Chmod(dir, 0o755),
				supervisordtest.WriteConf(dir, "supervisor", wrapped+w.program("hungry"))); err != nil {
				t.Fatal(err)
			}
			s := supervisordtest.StartIn(t, dir)
			js := nats.JetStream()
			const exited = "supervisor.event.web1.hungry.hungry.process_state.exited"
			var e *schema.Event
			var began, died time.Time
			for n := 1; ; n++ {
				waitStored(t, js, "supervisor.event.web1.hungry.hungry.process_state.running", n)
				began = startOf(t, s.ProcessID(t, "hungry"))
				waitStored(t, js, tick5, pending(js, tick5)+1)
				w.touch("go.hungry")
				m := waitStored(t, js, exited, n)[n-1]
				schematest.ValidateDocument(t, "event", m.Data())
				e, died = event(t, m), at(t, m)
				// On a busy machine ticks may be too late to say that events are not.
				if e.Ran != nil || n == 4 {
					break
				}
				if err := os.Remove(filepath.Join(w.dir, "go.hungry")); err != nil {
					t.Fatal(err)
				}
				s.MustCtl(t, "start", "hungry")
			}
			if e.Last != nil || e.Ran == nil {
				t.Fatalf("ran %v, last %v", e.Ran, e.Last)
			}
			if ran, own := time.Duration(*e.Ran*float64(time.Second)), died.Sub(began); (ran - own).Abs() > 3*time.Second {
				t.Errorf("ran for %v, by itself for %v", ran, own)
			}
			log, err := os.ReadFile(filepath.Join(s.Dir, "supernats-stderr.log"))
			if n := strings.Count(string(log), "looked at"); err != nil || n != 1 {
				t.Errorf("%v; that is reported %d times", err, n)
			}
		})
	}
}

// What is known of a death is in the spool with it: an outage of NATS and a kill -9 of
// the bridge change nothing.
func TestLastOverOutage(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	w := newWorld(t)
	spool := t.TempDir()
	s := supervisordtest.Start(t, conf(t, "--nats-url", nats.URL, "--host", "web1", "--spool-dir", spool)+
		w.program("hungry"))
	waitStored(t, nats.JetStream(), "supervisor.event.web1.hungry.hungry.process_state.running", 1)
	w.wait("ready.hungry")
	time.Sleep(600 * time.Millisecond) // looks while it is young

	nats.Stop()
	w.touch("go.hungry")
	supervisordtest.Wait(t, 20*time.Second, func() bool {
		out, _ := exec.Command(program, "spool", "--dump", "--spool-dir", spool).Output()
		return strings.Contains(string(out), "PROCESS_STATE_EXITED")
	}, "the death in the spool")
	s.KillProgram(t, "supernats")
	nats.Restart()
	m := waitStored(t, nats.JetStream(), "supervisor.event.web1.hungry.hungry.process_state.exited", 1)[0]
	if e := event(t, m); e.Ran == nil || *e.Ran < 0.6 || e.Last == nil || e.Last.RSS < 50<<20 {
		t.Errorf("%s", m.Data())
	}
}

// Programs that die all at once each have their own look.
func TestLastOfManyDeaths(t *testing.T) {
	t.Parallel()
	const programs = 100
	s, js := startWeb1(t, fmt.Sprintf(`
[program:sleeper]
command=sleep 10%%(process_num)03d
numprocs=%d
process_name=%%(program_name)s_%%(process_num)03d
startsecs=0
autorestart=false
`, programs))
	waitStored(t, js, "supervisor.event.web1.sleeper.*.process_state.running", programs)
	waitStored(t, js, tick5, pending(js, tick5)+1) // all were looked at before, as they were young

	var pids []int
	for _, line := range strings.Fields(s.MustCtl(t, "pid", "all")) {
		pid, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); string(comm) == "sleep\n" {
			pids = append(pids, pid)
		}
	}
	if len(pids) != programs {
		t.Fatalf("%d programs run", len(pids))
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range waitStored(t, js, "supervisor.event.web1.sleeper.*.process_state.exited", programs) {
		e := event(t, m)
		if e.Ran == nil || *e.Ran < 0.1 || e.Last == nil || e.Last.RSS == 0 || e.Last.Threads != 1 ||
			e.Last.Age > *e.Ran+0.02 || e.Last.CPU > 1 {
			t.Errorf("%s", m.Data())
		}
	}
}
