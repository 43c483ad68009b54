package pulse

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"supernats/schema"
)

const (
	// lateTick is how old a tick may be when it is read. supervisord sends it within
	// a second (supervisord.py tick), and may be busy for some.
	lateTick = 5 * time.Second
	// lateFor is for how long ticks have to be late to mean something: after a restart
	// of ours those that waited are, for some moments.
	lateTicksFor = 3 * time.Second
	// dropsFor is the same for events that are dropped. Each loss has a record anyway.
	dropsFor = 10 * time.Second
)

// lag notices that events wait in supervisord's buffer for long. It hands one event
// to a listener in each round of its loop, in which it may have read the output of
// many programs: with stdout_events_enabled a chatty one fills the buffer however
// fast we answer. Then crashes are late, and the oldest of them are dropped.
type Lag struct {
	Troubles Troubles

	// off says that no crash waits in this buffer: the section is one for output. What
	// is dropped from it is reported as lost, and that is all.
	Off atomic.Bool

	since  time.Time // of the first tick that was late, zero while they are in time
	events int       // since the last tick that was in time
	output int       // how many of them are output of programs
	// dropped is how many events supervisord has dropped and nobody has looked at; any
	// goroutine adds to it. drops is their sum since dropping.
	Dropped  atomic.Uint64
	drops    uint64
	dropping time.Time // zero while no events are dropped
}

// saw takes note of an event that is read now.
func (l *Lag) EventRead(event string, payload []byte, now time.Time) {
	if l.Off.Load() {
		return
	}
	l.events++
	if schema.Is(event, "PROCESS_LOG") || schema.Is(event, "PROCESS_COMMUNICATION") {
		l.output++
	}
	if l.Dropped.Load() > 0 {
		if l.dropping.IsZero() {
			l.dropping = now
		}
		l.drops += l.Dropped.Swap(0)
		// A buffer that is too small for other events too is in the record of the loss.
		if now.Sub(l.dropping) >= dropsFor && l.mostlyOutput() {
			l.Troubles.Raise(CauseBacklog, fmt.Sprintf("supervisord has dropped %d events: its buffer is full%s", l.drops, l.outputShare()), fixOutput)
		}
	}
	late, ok := TickLate(event, payload, now)
	if !ok {
		return
	}

	if late < lateTick {
		l.since, l.events, l.output, l.drops, l.dropping = time.Time{}, 0, 0, 0, time.Time{}
		l.Troubles.Clear(CauseBacklog)
		return
	}
	if l.since.IsZero() {
		l.since = now
	}
	if now.Sub(l.since) < lateTicksFor {
		return
	}
	l.Troubles.Raise(CauseBacklog, fmt.Sprintf("supervisord hands events on %v after they happened%s", late.Round(time.Second), l.outputShare()), l.fixBacklog())
}

// chatty reports whether most of the events are output of programs.
func (l *Lag) mostlyOutput() bool { return l.output > l.events/2 }

func (l *Lag) outputShare() string {
	if !l.mostlyOutput() {
		return ""
	}
	return fmt.Sprintf("; %.0f %% of its events are output of programs (PROCESS_LOG, PROCESS_COMMUNICATION), which shares the buffer with crashes", 100*float64(l.output)/float64(l.events))
}

func (l *Lag) fixBacklog() string {
	if l.mostlyOutput() {
		return fixOutput
	}
	return "set buffer_size=65536 in this section of supervisord's configuration; if it is, find what keeps supervisord busy"
}

// troubleBoard reports what is wrong, and that it is over. Either may be called again.
type Troubles interface {
	Raise(cause, text, fix string)
	Clear(cause string)
}

// Causes of troubles.
const (
	CauseSilent  = "silent"
	CauseBacklog = "backlog"
	CauseLate    = "late-deaths"
)

const fixOutput = "give output a section of its own: `supernats-bridge conf` prints both, then run: supervisorctl update"

// TickLate returns how late a tick is read, and whether the event is one.
func TickLate(event string, payload []byte, now time.Time) (late time.Duration, ok bool) {
	if ticks[event] == 0 {
		return 0, false
	}
	return now.Sub(tickTime(payload, now)), true
}

// tickTime is when a tick was due (events.py TickEvent.payload); otherwise if it does
// not say.
func tickTime(payload []byte, otherwise time.Time) time.Time {
	value, ok := bytes.CutPrefix(payload, []byte("when:"))
	n, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
	if !ok || err != nil {
		return otherwise
	}
	return time.Unix(n, 0)
}
