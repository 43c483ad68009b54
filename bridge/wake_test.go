package bridge_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/codec"
	"supernats/schema/schematest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

const wakeups = "supernats_bridge_wakeups_total"

// A death is an event at once, not when supervisord's poll is over.
func TestDeathWakesSupervisord(t *testing.T) {
	t.Parallel()
	for name, flag := range map[string]string{"by a connection": "", "by a line": "--server-url="} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nats := streamtest.Start(t)
			section := conf(t, "--nats-url", nats.URL, "--host", "web1")
			if flag != "" {
				section = strings.Replace(section, "command="+program, "command="+program+" "+flag, 1)
			}
			s := supervisordtest.Start(t, section+
				supervisordtest.Program("p", "sleep 1000", "autorestart=true", "startsecs=0"))
			waitStored(t, nats.JetStream(), stream.AllEvents, 1)
			sub, err := nats.JetStream().Conn().SubscribeSync("supervisor.event.*.*.*.process_state.exited")
			if err != nil {
				t.Fatal(err)
			}

			var waits []time.Duration
			for i := range 9 {
				pid := s.ProcessID(t, "p")
				time.Sleep(time.Duration(300+i*37) * time.Millisecond)
				begun := time.Now()
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				m, err := sub.NextMsg(10 * time.Second)
				if err != nil || !strings.Contains(string(m.Data), fmt.Sprintf(`"pid":%d`, pid)) {
					t.Fatal(err, m)
				}
				waits = append(waits, time.Since(begun))
				ce, err := codec.UnmarshalEvent(m.Data)
				if err != nil {
					t.Fatal(err)
				}
				if e := ce.Data; e.Exit == nil || e.Exit.Signal != "SIGKILL" || e.Ran == nil || *e.Ran < 0.3 ||
					*e.Ran > 30 {
					t.Errorf("%s", m.Data)
				}
			}
			t.Log(waits)
			slices.Sort(waits)
			// Without a wake-up the median is a second, less what supervisorctl has it do.
			if p50 := waits[len(waits)/2]; p50 > 250*time.Millisecond {
				t.Errorf("half of the deaths took more than %v to become an event", p50)
			}
		})
	}
}

// 500 processes that die at once wake supervisord a few times only.
func TestStormWakesRarely(t *testing.T) {
	t.Parallel()
	const n = 500
	address := freeAddress(t)
	s, js := startWeb1(t, supervisordtest.Program("p", "sleep 1000", "process_name=%(process_num)03d",
		fmt.Sprint("numprocs=", n), "startsecs=0", "autorestart=false", "stdout_logfile=NONE", "stderr_logfile=NONE"),
		"--listen", address)
	waitStored(t, js, "supervisor.event.*.p.*.process_state.running", n)
	waitValue(t, address, "supernats_bridge_watched_processes", n+1)
	if got := scrape(t, address, wakeups)[wakeups]; got != 0 {
		t.Errorf("%v wake-ups before anything has died", got)
	}

	for _, pid := range childrenOf(t, s.PID(), "sleep") {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for _, m := range waitStored(t, js, "supervisor.event.*.p.*.process_state.exited", n) {
		if e := event(t, m); e.Exit == nil || e.Exit.Signal != "SIGKILL" || e.Exit.Source != schema.ExitFromKernel {
			t.Fatalf("%s", m.Data())
		}
	}
	time.Sleep(100 * time.Millisecond)
	got := scrape(t, address, wakeups)[wakeups]
	t.Logf("%v wake-ups", got)
	if got == 0 || got > 20 {
		t.Errorf("%v wake-ups for %d deaths", got, n)
	}
}

var volatile = regexp.MustCompile(`^[0-9-]+ [0-9:,]+ |pid [0-9]+|\([0-9]+\) with|/tmp/\S+`)

// operate starts a supervisord, has an operator stop, start, restart and reload
// everything, and shuts it down. It returns what supervisord has logged and how the
// events of the program went, without what differs from one time to the next.
func operate(t *testing.T, flags ...string) (log, events []string, wakes float64) {
	t.Helper()
	address := freeAddress(t)
	s, js := startWeb1(t, `
[program:a]
command=sleep 1000
startsecs=0
[program:b]
command=sh -c "trap '' TERM; while :; do sleep 0.1; done"
startsecs=0
stopwaitsecs=1
`, append(flags, "--listen", address)...)
	wait := func(subject string, n int) {
		t.Helper()
		waitStored(t, js, "supervisor.event.*."+subject, n)
	}
	wait("b.b.process_state.running", 1)
	s.MustCtl(t, "stop", "a")
	wait("a.a.process_state.stopped", 1)
	s.MustCtl(t, "start", "a")
	wait("a.a.process_state.running", 2)
	s.MustCtl(t, "stop", "a", "b")
	wait("b.b.process_state.stopped", 1)
	s.MustCtl(t, "start", "a", "b")
	s.MustCtl(t, "restart", "a")
	wait("a.a.process_state.running", 4)
	wakes = scrape(t, address, wakeups)[wakeups]
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}

	for line := range strings.Lines(s.Log()) {
		line = volatile.ReplaceAllString(strings.TrimSpace(line), "")
		if !strings.Contains(line, "waiting for") && !strings.Contains(line, "supernats") {
			log = append(log, line)
		}
	}
	for _, m := range stored(t, js, "supervisor.event.*.*.*.process_state.>") {
		if e := event(t, m); e.Process == "a" || e.Process == "b" {
			events = append(events, e.Process+" "+e.Event)
		}
	}
	return log, events, wakes
}

// An operator's stop, start, restart and shutdown are the same with and without.
func TestWakeLeavesStopsAlone(t *testing.T) {
	t.Parallel()
	type result struct{ Log, Events []string }
	var with, without result
	var wakes float64
	t.Run("operate", func(t *testing.T) {
		t.Run("with", func(t *testing.T) {
			t.Parallel()
			with.Log, with.Events, wakes = operate(t)
		})
		t.Run("without", func(t *testing.T) {
			t.Parallel()
			without.Log, without.Events, _ = operate(t, "--wake=false")
		})
	})
	// What happens at once is not in a certain order.
	slices.Sort(with.Log)
	slices.Sort(without.Log)
	if diff := cmp.Diff(without.Log, with.Log); diff != "" {
		t.Errorf("supervisord's log without and with waking it:\n%s", diff)
	}
	for _, of := range []string{"a", "b"} {
		only := func(all []string) []string {
			return slices.DeleteFunc(slices.Clone(all), func(e string) bool { return !strings.HasPrefix(e, of+" ") })
		}
		n := min(len(only(with.Events)), len(only(without.Events))) // the last STOPPED may not come
		if diff := cmp.Diff(only(without.Events)[:n], only(with.Events)[:n]); diff != "" {
			t.Errorf("events without and with waking it:\n%s", diff)
		}
	}
	// The event that a program is being stopped may come after its end.
	if wakes > 2 {
		t.Errorf("supervisord was woken %v times", wakes)
	}
}

// Supervisord is not woken again and again for a program that dies at once: it would be
// started, and die, as often.
func TestLoopIsNotFaster(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	_, js := startWeb1(t, supervisordtest.Program("p", `sh -c "exit 3"`, "startsecs=0", "autorestart=true"), "--listen",
		address)
	begun := time.Now()
	exits := waitStored(t, js, "supervisor.event.*.p.*.process_state.exited", 12)
	wakes := scrape(t, address, wakeups)[wakeups]
	took := time.Since(begun)

	// Where the machine is busy it may have lived longer.
	longer := 0
	for _, m := range exits {
		if ran := event(t, m).Ran; ran == nil || *ran >= 0.1 {
			longer++
		}
	}
	if most := float64(3+1+longer) + took.Seconds()/10; wakes == 0 || wakes > most {
		t.Errorf("%v wake-ups for %d deaths in %v, %d of them after a longer life; want 1 to %v", wakes, len(exits),
			took, longer, most)
	}
}

// What is watched, and why something is not, is in the started record.
func TestStartedSaysWhatIsWatched(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, refuse string
		flags        []string
		want         func(*schema.Watch) bool
	}{
		{name: "all", refuse: "", flags: nil, want: func(w *schema.Watch) bool {
			return slices.Contains(w.Exits, schema.WatchPidfd) && w.Wake == schema.WakeByConnection && w.Limit > 100 &&
				w.Problem == ""
		}},
		{
			name: "no waking", refuse: "", flags: []string{"--wake=false"},
			want: func(w *schema.Watch) bool { return w.Wake == "" && len(w.Exits) > 0 },
		},
		{name: "no descriptors of processes", refuse: "pidfd_open", flags: nil, want: func(w *schema.Watch) bool {
			return len(w.Exits) == 0 && w.Wake == "" && strings.Contains(w.Problem, "pidfd")
		}},
		{name: "nobody says how", refuse: "pidfd_info,connector", flags: nil, want: func(w *schema.Watch) bool {
			return len(w.Exits) == 0 && w.Wake == schema.WakeByConnection && strings.Contains(w.Problem, "6.15")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			nats := streamtest.Start(t)
			section := conf(t, append(tt.flags, "--nats-url", nats.URL, "--host", "web1")...)
			if tt.refuse != "" {
				section = refusing(t, section, tt.refuse)
			}
			supervisordtest.Start(t, section+supervisordtest.Program("p", `sh -c "sleep 0.5; exit 3"`, "startsecs=0"))
			js := nats.JetStream()
			m := waitStored(t, js, "supervisor.bridge.web1.started", 1)[0]
			schematest.ValidateDocument(t, "bridge", m.Data())
			ce, err := schema.Unmarshal[*schema.Bridge](m.Data())
			if err != nil {
				t.Fatal(err)
			}
			if w := ce.Data.Watch; w == nil || !tt.want(w) {
				t.Errorf("%+v", w)
			}

			// However it is: the reason is there, by the log if it has to be.
			exited := waitStored(t, js, "supervisor.event.*.p.*.process_state.exited", 1)[0]
			schematest.ValidateDocument(t, "event", exited.Data())
			source := schema.ExitFromKernel
			if len(ce.Data.Watch.Exits) == 0 {
				source = schema.ExitFromLog
			}
			if e := event(t, exited); e.Exit == nil || *e.Exit.Code != 3 || e.Exit.Source != source {
				t.Errorf("%s", exited.Data())
			}
		})
	}
}

// With fewer descriptors than programs the rest is reported, and so are its deaths.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	nats := streamtest.Start(t)
	section := conf(t, "--nats-url", nats.URL, "--host", "web1")
	section = strings.Replace(section, "command="+program,
		"command=sh -c 'ulimit -Sn 64; ulimit -Hn 110; exec \"$0\" \"$@\"' "+program, 1)
	s := supervisordtest.Start(t, section+
		supervisordtest.Program("p", "sleep 1000", "process_name=%(process_num)02d", "numprocs=30", "startsecs=0"))
	js := nats.JetStream()
	m := waitStored(t, js, "supervisor.bridge.web1.trouble", 1)[0]
	ce, err := schema.Unmarshal[*schema.Trouble](m.Data())
	if err != nil || ce.Data.Cause != "watch" || !strings.Contains(ce.Data.Text, "are not watched") {
		t.Errorf("%v %s", err, m.Data())
	}
	for _, pid := range childrenOf(t, s.PID(), "sleep") {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for _, m := range waitStored(t, js, "supervisor.event.*.p.*.process_state.exited", 30) {
		if e := event(t, m); e.Exit == nil || e.Exit.Signal != "SIGKILL" {
			t.Errorf("%s", m.Data())
		}
	}
}
