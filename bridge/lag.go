package bridge

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"supernats/bridge/trouble"
	"supernats/schema"
)

const (
	// lateTick is how old a tick may be when it is read. supervisord sends it within
	// a second (supervisord.py tick), and may be busy for some.
	lateTick = 5 * time.Second
	// lateFor is for how long ticks have to be late to mean something: after a restart
	// of ours those that waited are, for some moments.
	lateFor = 3 * time.Second
	// dropsFor is the same for events that are dropped. Each loss has a record anyway.
	dropsFor = 10 * time.Second
)

// lag notices that events wait in supervisord's buffer for long. It hands one event
// to a listener in each round of its loop, in which it may have read the output of
// many programs: with stdout_events_enabled a chatty one fills the buffer however
// fast we answer. Then crashes are late, and the oldest of them are dropped.
type lag struct {
	// off says that no crash waits in this buffer: the section is one for output. What
	// is dropped from it is reported as lost, and that is all.
	off atomic.Bool

	since  time.Time // of the first tick that was late, zero while they are in time
	events int       // since the last tick that was in time
	output int       // how many of them are output of programs
	// dropped is how many events supervisord has dropped and nobody has looked at; any
	// goroutine adds to it. drops is their sum since dropping.
	dropped  atomic.Uint64
	drops    uint64
	dropping time.Time // zero while no events are dropped
}

// saw takes note of an event that is read now.
func (l *lag) saw(t *trouble.Board, event string, payload []byte, now time.Time) {
	if l.off.Load() {
		return
	}
	l.events++
	if schema.Is(event, "PROCESS_LOG") || schema.Is(event, "PROCESS_COMMUNICATION") {
		l.output++
	}
	if l.dropped.Load() > 0 {
		if l.dropping.IsZero() {
			l.dropping = now
		}
		l.drops += l.dropped.Swap(0)
		// A buffer that is too small for other events too is in the record of the loss.
		if now.Sub(l.dropping) >= dropsFor && l.chatty() {
			t.Raise(troubleBacklog, fmt.Sprintf("supervisord has dropped %d events: its buffer is full%s", l.drops, l.share()), fixChatty)
		}
	}
	if ticks[event] == 0 {
		return
	}

	late := now.Sub(tickTime(payload, now))
	if late < lateTick {
		l.since, l.events, l.output, l.drops, l.dropping = time.Time{}, 0, 0, 0, time.Time{}
		t.Clear(troubleBacklog)
		return
	}
	if l.since.IsZero() {
		l.since = now
	}
	if now.Sub(l.since) < lateFor {
		return
	}
	t.Raise(troubleBacklog, fmt.Sprintf("supervisord hands events on %v after they happened%s", late.Round(time.Second), l.share()), l.fix())
}

// chatty reports whether most of the events are output of programs.
func (l *lag) chatty() bool { return l.output > l.events/2 }

func (l *lag) share() string {
	if !l.chatty() {
		return ""
	}
	return fmt.Sprintf("; %.0f %% of its events are output of programs (PROCESS_LOG, PROCESS_COMMUNICATION), which shares the buffer with crashes", 100*float64(l.output)/float64(l.events))
}

func (l *lag) fix() string {
	if l.chatty() {
		return fixChatty
	}
	return "set buffer_size=65536 in this section of supervisord's configuration; if it is, find what keeps supervisord busy"
}

const fixChatty = "give output a section of its own: `supernats-bridge conf` prints both, then run: supervisorctl update"

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
