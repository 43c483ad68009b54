package deathreason

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"supernats/bridge/deathreason/ownlog"
	"supernats/bridge/deathreason/reasontest"
	"supernats/bridge/supervisord"
	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
)

var crashing = supervisordtest.Program("web", `sh -c "sleep 0.3; echo bye; exit 3"`, again) +
	supervisordtest.Program("early", `sh -c "sleep 0.1; exit 5"`, "startsecs=10", "startretries=2") +
	supervisordtest.Program("talker", `sh -c "while :; do echo talk; printf half; sleep 0.05; done"`,
		"stopsignal=KILL", "stdout_logfile=OUTPUT", "stdout_logfile_maxbytes=0")

// TestSources: where supervisord's log is found, and what is said where it is not.
func TestSources(t *testing.T) {
	t.Parallel()
	const (
		twice  = "logfile=DIR/supervisord.out\nlogfile_maxbytes=0"
		stdout = "logfile=/dev/stdout\nlogfile_maxbytes=0"
	)
	file := schema.Reasons{Source: "file"}
	none := func(problem, fix string) schema.Reasons {
		return schema.Reasons{Source: "none", Problem: problem, Fix: fix}
	}
	for _, test := range []struct {
		name     string
		settings string // of [supervisord]
		output   string // the log of a program
		want     schema.Reasons
	}{
		{
			name: "nowhere", settings: "logfile=/dev/null\nlogfile_maxbytes=0", output: "NONE",
			want: none("/dev/null", "set logfile="),
		},
		{name: "syslog", settings: "logfile=syslog", output: "NONE", want: none("syslog", "set logfile=")},
		{
			name: "of errors", settings: "loglevel=error", output: "NONE",
			want: none("loglevel=error", "set loglevel=info"),
		},
		{name: "a file", output: "NONE", want: file},
		{name: "each line twice", settings: twice, output: "NONE", want: file},
		{name: "each line twice, and others' output", settings: twice, output: "DIR/supervisord.out", want: file},
		{name: "its output, in a file", settings: stdout, output: "/dev/stdout", want: file},
		{
			name: "a link to its output", settings: "logfile=DIR/link\nlogfile_maxbytes=0", output: "/dev/fd/1",
			want: file,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			link := t.TempDir() + "/link"
			if err := os.Symlink("/dev/stdout", link); err != nil {
				t.Fatal(err)
			}
			sections := inSupervisord(test.settings) + strings.ReplaceAll(crashing, "OUTPUT", test.output)
			f := start(t, strings.ReplaceAll(sections, "DIR/link", link))
			checkSource(t, f, f.PID(), test.want)
		})
	}
}

// checkSource explains some deaths without XML-RPC.
func checkSource(t *testing.T, f *fixture, pid int, want schema.Reasons) {
	t.Helper()
	raised := map[string]string{}
	r := New(Config{
		Boot: testBoot, Settings: settingsOf, Fresh: func() bool { return true }, SupervisorPID: func() int {
			return pid
		},
		Raise: func(cause, text, fix string) { raised[cause] = text + "; " + fix },
		Clear: func(cause string) { delete(raised, cause) },
	})
	t.Cleanup(r.Close)
	n := 0
	all := f.collect(t, "deaths", func(events []Received) bool {
		r.Explain(t.Context(), events[n:])
		n = len(events)
		return deathsOf(events, "web") >= 5 && deathsOf(events, "early") >= 2
	})
	found := 0
	for _, e := range all {
		if !isDeath(e.Event) {
			continue
		}
		switch got := reasontest.Show(e.Event.Exit); {
		case got == map[string]string{"web": "code 3", "early": "code 5"}[e.Event.Process]:
			found++
		case got != "unknown" || want.Source == schema.ReasonsFile:
			t.Errorf("%s of %s: %s", e.Event.Event, e.Event.Process, got)
		}
	}
	got := r.Status(0)
	if got == nil || got.Source != want.Source || !strings.Contains(got.Problem, want.Problem) ||
		!strings.Contains(got.Fix, want.Fix) || (want.Problem == "") != (got.Problem == "") {
		t.Errorf("%d found, status %+v, want %+v", found, got, want)
	}
	if text, ok := raised[troubleReasons]; ok != (want.Problem != "") || !strings.Contains(text, want.Problem) {
		t.Errorf("raised %v", raised)
	}
}

// TestSourceOverwritten: the standard output of supervisord goes into a file without
// O_APPEND, and its log, opened a second time, into the same one: each overwrites the
// other.
func TestSourceOverwritten(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: needs a supervisord")
	}
	for _, logfile := range []string{"/dev/stdout", "DIR/out"} {
		t.Run(logfile, func(t *testing.T) {
			t.Parallel()
			dir := supervisordtest.Dir(t)
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			sections := inSupervisord("logfile="+logfile+"\nlogfile_maxbytes=0") + listenerSection(exe) +
				strings.ReplaceAll(crashing, "OUTPUT", "/dev/stdout")
			if err := supervisordtest.WriteConf(dir, "supervisor", strings.ReplaceAll(sections, "DIR", dir)); err != nil {
				t.Fatal(err)
			}
			out, err := os.Create(dir + "/out")
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			cmd := exec.Command("supervisord", "-n", "-c", dir+"/supervisord.conf")
			cmd.Stdout = out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = cmd.Process.Signal(os.Interrupt)
				_ = cmd.Wait()
			}()
			checkSource(t, &fixture{Supervisord: &supervisordtest.Supervisord{Dir: dir}}, cmd.Process.Pid,
				schema.Reasons{Source: "file"})
		})
	}
}

// TestStalledXMLRPC: a supervisord that does not answer, or is being stopped, has its
// reasons in its log.
func TestStalledXMLRPC(t *testing.T) {
	t.Parallel()
	f := start(t, strings.ReplaceAll(crashing, "OUTPUT", "NONE"))
	r := newReasons(t, f, 1000, asks(newClient(t, supervisord.Config{URL: "unix://" + newStalled(t)})), func(cfg *Config) {
		cfg.Limit, cfg.Warn = 50*time.Millisecond, func(error) {}
	})
	n := 0
	all := f.collect(t, "deaths", func(events []Received) bool {
		r.Explain(t.Context(), events[n:])
		n = len(events)
		return deathsOf(events, "web") >= 5 && deathsOf(events, "early") >= 2
	})
	for _, e := range all {
		if isDeath(e.Event) && e.Event.Exit == nil {
			t.Errorf("%s of %s has no reason", e.Event.Event, e.Event.Process)
		}
	}
}

// TestHeldUp: a file system that does not answer holds nobody up for long, nor twice.
func TestHeldUp(t *testing.T) {
	r := New(Config{Boot: testBoot, Tail: 100, Limit: 50 * time.Millisecond})
	no := false
	die := func(serial uint64) time.Duration {
		e := &schema.Event{
			Event: schema.ProcessStateExited, Boot: testBoot, Serial: serial, PoolSerial: serial, Group: "a",
			Process: "a", PID: 7, Expected: &no,
		}
		begin := time.Now()
		r.Explain(t.Context(), []Received{{Event: e, At: begin}})
		return time.Since(begin)
	}
	looked := make(chan struct{})
	r.reader.onLocate = func(Settings, *ownlog.Location) { <-looked } // as if a file was being looked at
	if d := die(1); d < 50*time.Millisecond {
		t.Fatalf("it took %v", d)
	}
	begin := time.Now()
	for serial := range uint64(100) {
		die(2 + serial)
		r.Follow(t.Context())
		r.Know(nil)
	}
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("100 deaths took %v", d)
	}
	close(looked)
	supervisordtest.Wait(t, 10*time.Second, func() bool {
		die(200)
		return !r.turn.stuck.Load() && !r.missed.Load()
	}, "it to go on")
}

// TestRenamedLog: a log that another program has renamed is read on, also by a bridge
// that starts later, and it is said until supervisord writes to the right place again.
func TestRenamedLog(t *testing.T) {
	t.Parallel()
	f := start(t, strings.ReplaceAll(crashing, "OUTPUT", "NONE"))
	log := f.Dir + "/supervisord.log"
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	raised := map[string]bool{}
	r := newReasons(t, f, 0, func(cfg *Config) {
		cfg.Raise = func(cause, _, fix string) { raised[cause] = strings.Contains(fix, "USR2") }
		cfg.Clear = func(cause string) { delete(raised, cause) }
	})
	explain := func(more int) {
		t.Helper()
		var all []Received
		f.collect(t, "deaths", func(events []Received) bool {
			r.Explain(t.Context(), events[len(all):])
			all = append(all, events[len(all):]...)
			return deathsOf(all, "web") >= more
		})
		for _, e := range all {
			if e.Event.UnexpectedExit() && reasontest.Show(e.Event.Exit) != "code 3" {
				t.Errorf("serial %d: %s", e.Event.Serial, reasontest.Show(e.Event.Exit))
			}
		}
	}

	explain(3)
	if !raised[troubleRotated] {
		t.Errorf("raised %v", raised)
	}
	if err := syscall.Kill(f.PID(), syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	explain(3)
	if len(raised) > 0 {
		t.Errorf("raised %v", raised)
	}
}

// A log that says nothing is no trouble where the kernel says how processes end, until a
// death comes without a reason.
func TestReasonsOfTheKernelAlone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		kernelKnows bool
		exit        *schema.Exit // of the death, by the kernel
		want        bool
	}{
		{name: "the kernel knows nothing", want: true},
		{name: "the kernel knows nothing of any process, but of this one", exit: &schema.Exit{Code: new(3)}, want: true},
		{name: "the kernel knows", kernelKnows: true, exit: &schema.Exit{Code: new(3)}},
		{name: "the kernel has missed it", kernelKnows: true, want: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			raised := map[string]string{}
			r := New(Config{
				Boot: testBoot, KernelKnows: func() bool { return tt.kernelKnows },
				Settings: func(int) Settings { return Settings{OwnLog: ownlog.Settings{Logfile: os.DevNull}} },
				Raise:    func(cause, text, _ string) { raised[cause] = text },
				Clear:    func(cause string) { delete(raised, cause) },
			})
			defer r.Close()

			r.Follow(t.Context())
			if raised := raised[troubleReasons] != ""; raised == tt.kernelKnows {
				t.Errorf("at the start: raised is %v", raised)
			}
			no := false
			r.Explain(t.Context(), []Received{{
				Event: &schema.Event{
					Event: schema.ProcessStateExited, Boot: testBoot, Serial: 1, PoolSerial: 1,
					Group: "a", Process: "a", PID: 7, Expected: &no,
				},
				At: time.Now(), Kernel: tt.exit,
			}})
			if text := raised[troubleReasons]; (text != "") != tt.want || tt.want && !strings.Contains(text, os.DevNull) {
				t.Errorf("after a death: raised %q, want it: %v", text, tt.want)
			}
		})
	}
}
