package deathreason

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"supernats/bridge/deathreason/reasontest"
	"supernats/bridge/supervisord"
	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/schematest"
)

// inSection adds settings to [supervisord]: a later section of the same name
// wins over the one that is there.
func inSupervisord(settings string) string { return "\n[supervisord]\n" + settings + "\n" }

var mixed = supervisordtest.Program("fast", "CRASH 0.2", again, unlogged, "process_name=fast_%(process_num)02d",
	"numprocs=3") +
	supervisordtest.Program("left", "CRASH 0.2", again, unlogged, "process_name=twin") +
	supervisordtest.Program("right", "CRASH 0.2", again, unlogged, "process_name=twin") +
	supervisordtest.Program("early", "CRASH", tooEarly, "startretries=0", unlogged) +
	supervisordtest.Program("once", `sh -c "echo $$ 3 >> DIR/fate.once:once; exit 3"`, once, "stopsignal=KILL",
		unlogged) +
	supervisordtest.Program("missing1", "/nonexistent/missing1", "startretries=0")

// aLog is what is done to supervisord's log.
type aLog struct {
	name, settings string
	// atLeast is how many in 100 reasons must be found.
	atLeast int
	warned  bool
}

// Whatever is done to supervisord's log, no reason is wrong.
func TestLogs(t *testing.T) {
	t.Parallel()
	for _, test := range []aLog{
		{
			name:     "rotated all the time",
			settings: "logfile_maxbytes=3000\nlogfile_backups=1",
			atLeast:  20,
		},
		{name: "rotated", settings: "logfile_maxbytes=20000\nlogfile_backups=0", atLeast: 50},
		{name: "of warnings", settings: "loglevel=warn"},
		{name: "of errors", settings: "loglevel=error"},
		{name: "nowhere", settings: "logfile=/dev/null\nlogfile_maxbytes=0"},
		{name: "in syslog", settings: "logfile=syslog", warned: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.try(t)
		})
	}
}

// The same with all that supervisord can say. The test is alone: where the machine is so
// busy that events lag behind a log that grows this fast, most reasons are not found.
func TestLogOfEverything(t *testing.T) {
	aLog{settings: "loglevel=debug", atLeast: 50}.try(t)
}

func (l aLog) try(t *testing.T) {
	f := start(t, inSupervisord(l.settings)+mixed)
	var warnings []error
	r := newReasons(t, f, 0, hideFiles, func(cfg *Config) {
		cfg.Warn = func(err error) { warnings = append(warnings, err) }
	})
	file := newReasons(t, f, 0)
	var again []Received
	n := 0
	all := f.collect(t, "60 deaths and 2 processes that are FATAL", func(events []Received) bool {
		again = append(again, unexplained(events[n:])...)
		r.Explain(t.Context(), events[n:])
		file.Explain(t.Context(), again[n:])
		n = len(events)
		return deaths(events) >= 60 && count(events, schema.ProcessStateFatal) == 2
	})
	f.quiet(t)

	want := truth(t, f, all)
	for source, events := range map[string][]Received{"XML-RPC": all, "file": again} {
		right, unknown := score(t, want, events)
		t.Logf("%s: %d right, %d unknown", source, right, unknown)
		if right*100 < l.atLeast*(right+unknown) {
			t.Errorf("only %d of %d reasons were found from %s", right, right+unknown, source)
		}
	}
	if l.warned != (len(warnings) == 1) || len(warnings) > 1 {
		t.Errorf("warnings: %v", warnings)
	}

	// From the middle on and as a whole.
	for _, i := range []int{0, len(all) / 3, len(all) * 2 / 3} {
		events := unexplained(all[i:])
		r := newReasons(t, f, 0, ignoreWarnings)
		r.Explain(t.Context(), events)
		right, unknown := score(t, want, events)
		t.Logf("from event %d on: %d right, %d unknown", i, right, unknown)
		r.Close()
	}
}

// TestReload: pids, serials and the log continue, the pool's serials do not, and the
// listener is another process.
func TestReload(t *testing.T) {
	t.Parallel()
	f := start(t, mixed)
	r := newReasons(t, f, 0, ignoreWarnings) // its socket is gone for a moment
	n := 0
	explain := func(events []Received) { r.Explain(t.Context(), events[n:]); n = len(events) }
	first := f.collect(t, "50 deaths", func(events []Received) bool { explain(events); return deaths(events) >= 50 })
	if out, err := f.Ctl("reload"); err != nil {
		t.Fatal(err, out)
	}
	n = 0
	second := f.collect(t, "another start and 50 deaths", func(events []Received) bool {
		explain(events)
		return count(events, schema.SupervisorStateChangeRunning) == 1 && deaths(events) >= 50
	})
	f.quiet(t)
	// What dies while supervisord stops is not heard of: the fates cannot be
	// compared one by one, but those with a pid can.
	byPID := map[string]string{}
	for id, fates := range f.fates(t) {
		for _, w := range fates {
			byPID[fmt.Sprint(id, w.pid)] = reasontest.Show(&w.exit)
		}
	}
	right, unknown := 0, 0
	for _, e := range append(first, second...) {
		id := fmt.Sprint(e.Event.Group, ":", e.Event.Process, e.Event.PID)
		if !e.Event.UnexpectedExit() {
			continue
		}
		switch got := reasontest.Show(e.Event.Exit); got {
		case byPID[id]:
			right++
		case "unknown": // supervisord answers nothing while it stops
			unknown++
		default:
			t.Errorf("%s: got %s, want %s", id, got, byPID[id])
		}
	}
	if t.Logf("%d right, %d unknown", right, unknown); unknown > right {
		t.Errorf("%d of %d reasons were not found", unknown, right+unknown)
	}
	// A bridge that starts after the reload and has events from before.
	r = newReasons(t, f, 0)
	events := unexplained(append(first, second...))
	r.Explain(t.Context(), events)
	for _, e := range events {
		id := fmt.Sprint(e.Event.Group, ":", e.Event.Process, e.Event.PID)
		if got := reasontest.Show(e.Event.Exit); e.Event.UnexpectedExit() && got != "unknown" && got != byPID[id] {
			t.Errorf("%s: got %s, want %s", id, got, byPID[id])
		}
	}
}

// TestCalls: 500 deaths cost a handful of calls, and none if nothing died.
func TestCalls(t *testing.T) {
	t.Parallel()
	f := start(t, supervisordtest.Program("many", "CRASH", again, "process_name=many_%(process_num)03d", "numprocs=20",
		"stdout_logfile=NONE", "stderr_logfile=DIR/%(program_name)s.%(process_num)d.stderr.log"))
	// While it starts 20 processes in each round of its loop, supervisord hands
	// out one event a round: they come when it is over.
	f.WaitLog(t, "; not expected)", 500)
	f.quiet(t)
	all := f.collect(t, "500 deaths", func(events []Received) bool { return deaths(events) >= 500 })
	want := truth(t, f, all)
	c := newCounter(t, f.Dir+"/supervisor.sock")
	client := newClient(t, supervisord.Config{URL: c.url})
	r := New(Config{
		Server: server{client}, Journal: client.OwnLog(), Boot: testBoot, Tail: 4096, Limit: 20 * time.Second,
	})
	var alive []Received
	for _, e := range all {
		if isDeath(e.Event) {
			break
		}
		alive = append(alive, e)
	}
	if r.Explain(t.Context(), alive); c.calls.Load() != 0 {
		t.Errorf("%d calls although nothing died", c.calls.Load())
	}
	begin := time.Now()
	r.Explain(t.Context(), all[len(alive):])
	took := time.Since(begin)
	right, unknown := score(t, want, all)
	tails := 0
	for _, e := range all {
		if e.Event.Log != nil {
			tails++
			if !strings.Contains(e.Event.Log.Stderr, fmt.Sprintf("%d dies of", e.Event.PID)) {
				t.Errorf("log of pid %d: %q", e.Event.PID, e.Event.Log.Stderr)
			}
			schematest.Validate(t, "event", e.Event.Envelope(e.At))
		}
	}
	t.Logf("first batch of %d deaths: %d calls, %d bytes, %v; %d right, %d tails", deaths(all), c.calls.Load(),
		c.sent.Load(), took, right, tails)
	if unknown > 0 || tails != 20 {
		t.Errorf("%d unknown, %d tails", unknown, tails)
	}
	if n := c.calls.Load(); n > 6 {
		t.Errorf("%d calls for %d deaths", n, deaths(all))
	}

	// A second burst, when the place in the log is known.
	if err := os.Remove(f.Dir + "/quiet"); err != nil {
		t.Fatal(err)
	}
	if out, err := f.Ctl("signal", "KILL", "many:*"); err != nil {
		t.Fatal(err, out)
	}
	f.WaitLog(t, "; not expected)", 800)
	f.quiet(t)
	more := f.collect(t, "250 more deaths", func(events []Received) bool { return deaths(events) >= 250 })
	calls := c.calls.Load()
	begin = time.Now()
	r.Explain(t.Context(), more)
	t.Logf("next batch of %d deaths: %d calls, %v", deaths(more), c.calls.Load()-calls, time.Since(begin))
	if n := c.calls.Load() - calls; n > 3 {
		t.Errorf("%d calls", n)
	}
	for _, e := range more {
		if isDeath(e.Event) && e.Event.Exit == nil {
			t.Errorf("no reason for %s, pid %d", e.Event.Process, e.Event.PID)
		}
	}
	calls = c.calls.Load()
	if r.Explain(t.Context(), unexplained(all)); c.calls.Load()-calls > 2 {
		t.Errorf("%d calls for events that were there before", c.calls.Load()-calls)
	}
}

// TestLimit: a supervisord that does not answer costs the limit once, then
// nothing for a while, and is asked again later.
func TestLimit(t *testing.T) {
	l := newStalled(t)
	var warnings []error
	client := newClient(t, supervisord.Config{URL: "unix://" + l})
	r := New(Config{
		Server: server{client}, Journal: client.OwnLog(), Boot: testBoot, Tail: 100, Limit: 50 * time.Millisecond,
		Warn: func(err error) { warnings = append(warnings, err) },
	})
	no := false
	begin := time.Now()
	for i := range uint64(100) {
		e := &schema.Event{
			Event: schema.ProcessStateExited, Boot: testBoot, Serial: i, PoolSerial: i, Group: "a", Process: "a",
			PID: 7, Expected: &no,
		}
		r.Explain(t.Context(), []Received{{Event: e, At: time.Now()}})
		if e.Exit != nil || e.Log != nil {
			t.Fatal("it has a reason")
		}
	}
	if d := time.Since(begin); d < 50*time.Millisecond || d > minPause {
		t.Errorf("100 deaths took %v", d)
	}
	if len(warnings) != 1 || !errors.Is(warnings[0], context.DeadlineExceeded) {
		t.Errorf("%v", warnings)
	}
	if r.rpc.all.isOver(begin) || !r.rpc.all.isOver(time.Now().Add(minPause)) {
		t.Error("it is not asked again after the pause")
	}
}

const noisy = `
printf 'first line\n'
printf '\033[31mred\033[0m\n'
printf 'a\000b\r\n'
printf 'caf\344\n' >&2
printf 'gone 进程退出\n' >&2
exit 7
`

// TestTails: the ends of logs that hold what XML cannot.
func TestTails(t *testing.T) {
	t.Parallel()
	const off = "autostart=false"
	program := supervisordtest.Program
	f := start(t, program("noisy", "sh DIR/noisy.sh", once, off, "stdout_logfile=DIR/noisy.out",
		"stderr_logfile=DIR/noisy.err")+
		program("chinese", `sh -c "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo 进程退出进程退出 $i; done; exit 7"`,
			once, off, "redirect_stderr=true", "stdout_logfile=DIR/chinese.out")+
		program("oneline", `sh -c "i=0; while [ $i -lt 400 ]; do i=$((i+1)); printf 进程退出; done; exit 7"`,
			once, off, "stdout_logfile=DIR/oneline.out", "stderr_logfile=NONE")+
		program("fatal", `sh -c "echo no luck; exit 7"`,
			off, "startsecs=10", "startretries=0", "stdout_logfile=DIR/fatal.out", "stderr_syslog=true")+
		program("mute", `sh -c "echo unheard; exit 7"`, once, off, "stopsignal=KILL", unlogged))
	if err := os.WriteFile(f.Dir+"/noisy.sh", []byte(noisy), 0o644); err != nil {
		t.Fatal(err)
	}
	_, _ = f.Ctl("start", "all") // fatal has a spawn error
	all := f.collect(t, "6 deaths", func(events []Received) bool { return deaths(events) >= 6 })
	const limit = 1000
	r := newReasons(t, f, limit)
	r.Explain(t.Context(), all)
	logs := map[string]*schema.Log{}
	for _, e := range all {
		if !isDeath(e.Event) {
			if e.Event.Log != nil {
				t.Errorf("%s has a log", e.Event.Event)
			}
			continue
		}
		if reasontest.Show(e.Event.Exit) != "code 7" {
			t.Errorf("%s %s: %s", e.Event.Process, e.Event.Event, reasontest.Show(e.Event.Exit))
		}
		schematest.Validate(t, "event", e.Event.Envelope(e.At))
		logs[e.Event.Process] = e.Event.Log
		if l := e.Event.Log; l != nil && (len(l.Stdout) > limit || len(l.Stderr) > limit) {
			t.Errorf("log of %s is longer than %d bytes", e.Event.Process, limit)
		}
	}
	if want := (schema.Log{Stdout: "first line\nred\na\uFFFDb\n", Stderr: "caf\uFFFD\ngone 进程退出\n"}); logs["noisy"] == nil || *logs["noisy"] != want {
		t.Errorf("noisy: %+q", logs["noisy"])
	}
	if l := logs["chinese"]; l == nil || l.Stderr != "" || !strings.HasPrefix(l.Stdout, "进程退出进程退出 3") ||
		!strings.HasSuffix(l.Stdout, " 400\n") || len(l.Stdout) < limit-50 {
		t.Errorf("chinese: %+q", l)
	}
	if l := logs["oneline"]; l == nil || len(l.Stdout) < limit-3 || strings.Contains(l.Stdout, "\uFFFD") {
		t.Errorf("oneline: %+q", l)
	}
	if l := logs["fatal"]; l == nil || l.Stdout != "no luck\n" {
		t.Errorf("fatal: %+q", l)
	}
	if logs["mute"] != nil {
		t.Errorf("mute: %+q", logs["mute"])
	}
}

// newStalled returns a socket that takes connections and never answers.
func newStalled(t *testing.T) string {
	t.Helper()
	path := supervisordtest.Dir(t) + "/stalled.sock"
	l, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	})
	return path
}
