package replay

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"supernats/bridge/deathreason/ownlog"
	"supernats/bridge/deathreason/reasontest"
	"supernats/schema"
)

// script is a log and events side by side: "> line" is a line of the log,
// "EXITED g:n 7 = code 3" an event and the reason that it must be given, "-" for
// none. "lost" stands for events that never came, "gap" for lines that could not
// be read, "tick" for a TICK.
func script(t *testing.T, text string) {
	t.Helper()
	log := NewHistory()
	r := New(log, func(context.Context) bool { return false })
	log.Complete = true
	clock := time.Date(2026, 11, 21, 19, 0, 0, 0, time.Local)
	// The whole log is there before the first event, as after an outage.
	type at struct {
		text string
		time time.Time
	}
	var events []at
	log.Add(ownlog.Line{Kind: ownlog.Gap, At: clock})
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		clock = clock.Add(100 * time.Millisecond)
		switch message, ok := strings.CutPrefix(l, "> "); {
		case l == "gap":
			log.Add(ownlog.Line{Kind: ownlog.Gap, At: clock})
		case ok:
			parsed := ownlog.Parse(clock.Format("2006-01-02 15:04:05") +
				fmt.Sprintf(",%03d INFO ", clock.Nanosecond()/1e6) + message)
			if parsed.Kind == ownlog.Other {
				t.Fatalf("no line: %s", l)
			}
			log.Add(parsed)
		case l == "later":
			clock = clock.Add(time.Minute)
		case l != "":
			events = append(events, at{l, clock})
		}
	}
	var serial uint64
	lost := false
	var tick time.Time
	for _, e := range events {
		switch e.text {
		case "lost":
			lost, serial = true, serial+10
			continue
		case "tick":
			tick, serial = e.time, serial+1
			continue
		case "start":
			serial++
			r.Take(t.Context(), &Step{
				Event: schema.SupervisorStateChangeRunning, Serial: serial, At: e.time, Tick: tick, Lost: lost,
			})
			lost = false
			continue
		}
		what, want, _ := strings.Cut(e.text, " = ")
		var name, id string
		var pid int
		n, _ := fmt.Sscan(what, &name, &id, &pid)
		group, process, ok := strings.Cut(id, ":")
		if n < 2 || !ok {
			t.Fatalf("no event: %s", e.text)
		}
		serial++
		s := Step{
			Event: "PROCESS_STATE_" + name, Name: schema.ProcessName{Group: group, Process: process}, PID: pid, Serial: serial,
			At: e.time, Tick: tick, Lost: lost, Expected: want == "expected", From: "STOPPING", Death: &schema.Event{},
		}
		lost = false
		got := reasontest.Show(r.Take(t.Context(), &s))
		if want == "expected" || want == "" {
			continue
		}
		if want == "-" {
			want = "unknown"
		}
		if got != want {
			t.Errorf("%s: got %s", e.text, got)
		}
	}
}

func TestReplay(t *testing.T) {
	for name, text := range map[string]string{
		"an old line is no new death": `
			> exited: n (exit status 1; not expected)
			EXITED g:n 7 = -`,
		"an old life of the same pid is no new death": `
			> spawned: 'n' with pid 7
			> exited: n (exit status 0; expected)
			EXITED g:n 7 = -`,
		"a BACKOFF without a beginning": `
			> exited: n (exit status 1; not expected)
			> exited: n (exit status 2; not expected)
			BACKOFF g:n = -`,
		"the death of another group's process": `
			> spawned: 'n' with pid 7
			> exited: n (exit status 1; not expected)
			> exited: n (exit status 2; not expected)
			EXITED g:n 7 = -`,
		"two at a time, out of step": `
			> spawned: 'n' with pid 7
			> spawned: 'n' with pid 8
			> exited: n (exit status 1; not expected)
			EXITED b:n 8 = -
			> exited: n (exit status 2; not expected)
			EXITED a:n 7 = -`,
		"two at a time, in step": `
			> supervisord started with pid 1
			start
			STARTING a:n
			> spawned: 'n' with pid 7
			STARTING b:n
			> spawned: 'n' with pid 8
			RUNNING a:n 7
			EXITED b:n 8 = code 1
			> exited: n (exit status 1; not expected)
			EXITED a:n 7 = SIGKILL
			> exited: n (terminated by SIGKILL; not expected)`,
		"a BACKOFF was lost": `
			> supervisord started with pid 1
			start
			STARTING a:n
			> spawned: 'n' with pid 7
			> exited: n (exit status 1; not expected)
			lost
			> spawned: 'n' with pid 8
			BACKOFF a:n = -
			> exited: n (exit status 2; not expected)
			FATAL a:n = -
			> gave up: n entered FATAL state, too many start retries too quickly`,
		"in step again by a pid": `
			lost
			STARTING a:n
			> spawned: 'n' with pid 8
			RUNNING a:n 8
			> success: n entered RUNNING state, process has stayed up
			EXITED a:n 8 = code 2
			> exited: n (exit status 2; not expected)
			STARTING a:n
			> spawned: 'n' with pid 9
			BACKOFF a:n = code 3
			> exited: n (exit status 3; not expected)
			FATAL a:n = code 3
			> gave up: n entered FATAL state, too many start retries too quickly`,
		"in step again by an operator's stop": `
			> spawned: 'm' with pid 8
			STOPPED a:m 8
			> stopped: m (terminated by SIGTERM)
			STARTING a:n
			> spawned: 'n' with pid 9
			BACKOFF a:n = code 3
			> exited: n (exit status 3; not expected)`,
		"spawn errors have no name": `
			> supervisord started with pid 1
			start
			STARTING a:n
			> spawnerr: can't find command 'n'
			BACKOFF a:n = spawnerr can't find command 'n'
			STARTING a:m
			> spawnerr: can't find command 'm'
			BACKOFF a:m = spawnerr can't find command 'm'
			FATAL a:n = spawnerr can't find command 'n'
			> gave up: n entered FATAL state, too many start retries too quickly
			FATAL a:m = spawnerr can't find command 'm'
			> gave up: m entered FATAL state, too many start retries too quickly`,
		"a RUNNING without its line": `
			> supervisord started with pid 1
			start
			STARTING a:n
			> spawned: 'n' with pid 7
			RUNNING a:n 7
			EXITED a:n 7 = SIGSEGV
			> exited: n (terminated by SIGSEGV; not expected)`,
		"an expected exit in between": `
			> supervisord started with pid 1
			start
			STARTING a:n
			> spawned: 'n' with pid 7
			EXITED a:n 7 = expected
			> exited: n (exit status 0; expected)
			STARTING a:n
			> spawned: 'n' with pid 7
			EXITED a:n 7 = code 4
			> exited: n (exit status 4; not expected)`,
		"lines were lost": `
			> supervisord started with pid 1
			start
			STARTING a:n
			> spawned: 'n' with pid 7
			gap
			BACKOFF a:n = -
			> exited: n (exit status 4; not expected)`,
		"a start of long ago": `
			> supervisord started with pid 1
			> spawned: 'n' with pid 7
			> exited: n (exit status 1; not expected)
			later
			tick
			> supervisord started with pid 1
			start
			STARTING a:n
			> spawned: 'n' with pid 7
			BACKOFF a:n = code 2
			> exited: n (exit status 2; not expected)`,
		"all had the same": `
			> exited: n (exit status 2; not expected)
			later
			tick
			> exited: n (exit status 1; not expected)
			> exited: m (exit status 2; not expected)
			> exited: n (exit status 1; not expected)
			EXITED b:n 8 = code 1`,
		"all but one had the same": `
			later
			tick
			> exited: n (exit status 1; not expected)
			> exited: n (exit status 2; not expected)
			> exited: n (exit status 1; not expected)
			EXITED b:n 8 = -`,
		"one may have been before": `
			tick
			later
			gap
			> exited: n (exit status 1; not expected)
			EXITED b:n 8 = -`,
		"at loglevel=warn a spawn error has no line": `
			later
			tick
			> exited: n (exit status 1; not expected)
			STARTING b:n
			BACKOFF b:n = -`,
	} {
		t.Run(name, func(t *testing.T) { script(t, text) })
	}
}

// TestHistoryLimit: what is forgotten is not found, and memory is bounded.
func TestHistoryLimit(t *testing.T) {
	h := NewHistory()
	h.Add(ownlog.Line{Kind: ownlog.Spawned, Name: "old", PID: 7})
	for i := range 5 * maxLines {
		name := fmt.Sprint("n", i%10)
		h.Add(ownlog.Line{Kind: ownlog.Spawned, Name: name, PID: int32(i + 10)})
		h.Add(ownlog.Line{Kind: ownlog.Exited, Name: name, Code: 1})
	}
	if len(h.lines) > maxLines || len(h.lives) > maxLines {
		t.Errorf("%d lines, %d lives", len(h.lines), len(h.lives))
	}
	if h.life("n3", 13) != nil {
		t.Error("an old life is still there")
	}
	if is := h.life("old", 7); is == nil || is.death >= 0 {
		t.Error("a long life was forgotten")
	}
	h.Add(ownlog.Line{Kind: ownlog.Exited, Name: "old", Code: 9})
	if is := h.life("old", 7); is == nil || h.line(is.death).Code != 9 {
		t.Error("the end of a long life was not noticed")
	}
}

const stamp = "2026-11-21 19:00:31,833 "

// BenchmarkMatch reads the log of 500 restarts and finds their reasons.
func BenchmarkMatch(b *testing.B) {
	var text strings.Builder
	var steps []Step
	for i := range 500 {
		name := fmt.Sprintf("api_%02d", i%20)
		fmt.Fprintf(&text, stamp+"INFO spawned: '%s' with pid %d\n", name, 1000+i)
		fmt.Fprintf(&text, stamp+"INFO success: %s entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)\n", name)
		fmt.Fprintf(&text, stamp+"WARN exited: %s (exit status %d; not expected)\n", name, i%7)
		id := schema.ProcessName{Group: "api", Process: name}
		steps = append(steps,
			Step{Event: schema.ProcessStateStarting, Name: id},
			Step{Event: schema.ProcessStateRunning, Name: id, PID: 1000 + i},
			Step{Event: schema.ProcessStateExited, Name: id, PID: 1000 + i, Death: &schema.Event{}})
	}
	b.ReportAllocs()
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		log := NewHistory()
		for l := range strings.Lines(text.String()) {
			log.Add(ownlog.Parse(strings.TrimSuffix(l, "\n")))
		}
		r := New(log, func(context.Context) bool { return false })
		for i := range steps {
			s := &steps[i]
			if exit := r.Take(b.Context(), s); s.Death != nil && exit == nil {
				b.Fatal("no reason")
			}
		}
	}
	b.ReportMetric(500*float64(b.N)/b.Elapsed().Seconds(), "deaths/s")
}

// A line in the words of the Go port does not make this log the Go port's if a child may
// have written it.
func TestSuspectGoPort(t *testing.T) {
	h := NewHistory()
	f := ownlog.Feed{}
	f.Take("2026-11-21 19:00:31,833 DEBG 'a' stdout output:\n"+
		`time="2026-11-21T19:00:31Z" level=info msg="program stopped with status:exit status 99" program=web`+"\n", h.Add)
	if h.GoPort || !h.Suspect || h.End() != 1 {
		t.Errorf("goPort %v, suspect %v, %d lines", h.GoPort, h.Suspect, h.End())
	}
}
