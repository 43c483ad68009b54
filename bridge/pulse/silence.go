package pulse

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// CauseSilent is the cause of the trouble that supervisord sends nothing any more.
const CauseSilent = "silent"

const (
	// missedTicks is how many ticks must be missing before silence means something,
	// and leastSilence how long it must last: a supervisord that starts many
	// programs, or writes a large log, may be late by some.
	missedTicks  = 4
	leastSilence = 30 * time.Second
	// looksPerLimit is how often is looked in that time.
	looksPerLimit = 10
)

// silenceLimit is how long a supervisord that sends a tick of this period may be silent.
func silenceLimit(period time.Duration) time.Duration { return max(missedTicks*period, leastSilence) }

// Silence notices that supervisord sends nothing any more. One byte on standard output
// that does not belong to the protocol puts a listener into state UNKNOWN for good:
// supervisord neither sends it events nor starts it again (dispatchers.py,
// handle_listener_state_change), but a listener that exits is started again, with a state
// of its own.
//
// Only a tick that has come shows that ticks are subscribed: without them silence is what
// a supervisord without work sounds like, and neither the environment nor the XML-RPC
// shows events=. So a pipe that is broken before the first tick is not noticed.
type Silence struct {
	// count is raised when an event comes and when it is accepted: it is odd while
	// we owe supervisord an answer, and then the silence is ours.
	count  atomic.Uint64
	period atomic.Int64 // the shortest of the ticks that have come; 0: none
}

// Begin and End stand around the acceptance of an event.
func (s *Silence) Begin() { s.count.Add(1) }
func (s *Silence) End()   { s.count.Add(1) }

// EventRead takes note of a tick; other events mean nothing here.
func (s *Silence) EventRead(event string) {
	period, ok := ticks[event]
	if old := time.Duration(s.period.Load()); ok && (old == 0 || period < old) {
		s.period.Store(int64(period))
	}
}

// AnyEvent and AnyTick report whether an event, or a tick, has come.
func (s *Silence) AnyEvent() bool { return s.count.Load() != 0 }
func (s *Silence) AnyTick() bool  { return s.period.Load() != 0 }

// silentError says that supervisord has stopped sending events.
type silentError struct{ limit, period time.Duration }

func (e *silentError) Error() string {
	return fmt.Sprintf("supervisord has sent no event for %v, not even the tick of every %v: "+
		"something has probably written to this listener's standard output (a wrapper in its command?), "+
		"after which supervisord never sends it anything again "+
		"(\"has entered the UNKNOWN state\" in supervisord's log); "+
		"exiting, so that supervisord starts it again", e.limit, e.period)
}

// Run returns a *silentError when supervisord has been silent for too long, or nil when
// ctx ends.
func (s *Silence) Run(ctx context.Context) error {
	t := time.NewTimer(0)
	defer t.Stop()

	var last look
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}

		period := time.Duration(s.period.Load())
		limit := silenceLimit(period) // of no tick: that of the shortest
		if last.silentFor(time.Now(), s.count.Load(), limit) >= limit && period > 0 {
			return &silentError{limit, period}
		}
		t.Reset(limit / looksPerLimit)
	}
}

// look is what was seen at the last look.
type look struct {
	count uint64
	at    time.Time
	since time.Time // the beginning of the silence, as far as we know
}

// silentFor returns how long it has been silent. Times are those of the monotonic clock:
// a clock that is set changes nothing.
func (l *look) silentFor(now time.Time, count uint64, limit time.Duration) time.Duration {
	// A look that comes late was not taken because we, or all of the machine, stood
	// still (SIGSTOP, a paused virtual machine): supervisord gets its time again.
	late := now.Sub(l.at) > 2*limit/looksPerLimit
	if count != l.count || count%2 == 1 || late {
		l.since = now
	}
	l.count, l.at = count, now
	return now.Sub(l.since)
}
