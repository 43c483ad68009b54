package pulse

import (
	"fmt"
	"sync/atomic"
	"time"

	"supernats/schema"
)

// CauseBacklog is the cause of the trouble that events wait in supervisord's buffer.
const CauseBacklog = "backlog"

const (
	// lateTick is how old a tick may be when it is read. supervisord sends it within
	// a second (supervisord.py tick), and may be busy for some.
	lateTick = 5 * time.Second
	// lateTicksFor is for how long ticks have to be late to mean something: after a restart
	// of ours those that waited are, for some moments.
	lateTicksFor = 3 * time.Second
	// dropsFor is the same for events that are dropped. Each loss has a record anyway.
	dropsFor = 10 * time.Second
)

const (
	fixOutput = "give output a section of its own: `supernats-bridge conf` prints both, then run: supervisorctl update"
	fixBuffer = "set buffer_size=65536 in this section of supervisord's configuration; " +
		"if it is, find what keeps supervisord busy"
)

// Lag notices that events wait in supervisord's buffer for long. supervisord hands one
// event to a listener in each round of its loop, in which it may have read the output of
// many programs: with stdout_events_enabled a chatty one fills the buffer however fast we
// answer. Then crashes are late, and the oldest of them are dropped.
//
// But for Off and Dropped, it belongs to the goroutine that listens.
type Lag struct {
	Troubles Troubles
	// Off says that no crash waits in this buffer: the section is one for output. What
	// is dropped from it is reported as lost, and that is all.
	Off atomic.Bool
	// Dropped is how many events supervisord has dropped since EventRead last looked; any
	// goroutine adds to it.
	Dropped atomic.Uint64

	lateSince time.Time // of the first tick that was late, zero while they are in time

	// Since the last tick that was in time: events, how many of them are output of
	// programs, how many were dropped, and when that began; zero if none was.
	events, output int
	drops          uint64
	dropsSince     time.Time
}

// EventRead takes note of an event that is read now.
func (l *Lag) EventRead(event string, payload []byte, now time.Time) {
	if l.Off.Load() {
		return
	}
	l.events++
	if schema.Is(event, "PROCESS_LOG") || schema.Is(event, "PROCESS_COMMUNICATION") {
		l.output++
	}
	if l.Dropped.Load() > 0 {
		l.noteDrops(now)
	}
	if late, ok := TickLate(event, payload, now); ok {
		l.noteTick(late, now)
	}
}

// noteDrops reports events that supervisord has dropped for some time. A buffer that is
// too small for other events too is in the record of the loss.
func (l *Lag) noteDrops(now time.Time) {
	if l.dropsSince.IsZero() {
		l.dropsSince = now
	}
	l.drops += l.Dropped.Swap(0)

	if now.Sub(l.dropsSince) >= dropsFor && l.mostlyOutput() {
		l.Troubles.Raise(CauseBacklog,
			fmt.Sprintf("supervisord has dropped %d events: its buffer is full%s", l.drops, l.outputShare()), fixOutput)
	}
}

// noteTick reports ticks that are late for some time.
func (l *Lag) noteTick(late time.Duration, now time.Time) {
	if late < lateTick {
		l.lateSince = time.Time{}
		l.events, l.output = 0, 0
		l.drops, l.dropsSince = 0, time.Time{}
		l.Troubles.Clear(CauseBacklog)
		return
	}

	if l.lateSince.IsZero() {
		l.lateSince = now
	}
	if now.Sub(l.lateSince) < lateTicksFor {
		return
	}
	fix := fixBuffer
	if l.mostlyOutput() {
		fix = fixOutput
	}
	l.Troubles.Raise(CauseBacklog, fmt.Sprintf("supervisord hands events on %v after they happened%s",
		late.Round(time.Second), l.outputShare()), fix)
}

// mostlyOutput reports whether most of the events are output of programs.
func (l *Lag) mostlyOutput() bool { return l.output > l.events/2 }

// outputShare says how much of the events is output, if that is most of them.
func (l *Lag) outputShare() string {
	if !l.mostlyOutput() {
		return ""
	}
	return fmt.Sprintf("; %.0f %% of its events are output of programs (PROCESS_LOG, PROCESS_COMMUNICATION), "+
		"which shares the buffer with crashes", 100*float64(l.output)/float64(l.events))
}
