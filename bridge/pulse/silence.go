package pulse

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// ticks are the events that supervisord sends by the clock, and their periods.
var ticks = map[string]time.Duration{"TICK_5": 5 * time.Second, "TICK_60": time.Minute, "TICK_3600": time.Hour}

const (
	// missedTicks is how many ticks must be missing before silence means something,
	// and leastSilence how long it must last: a supervisord that starts many
	// programs, or writes a large log, may be late by some.
	missedTicks  = 4
	leastSilence = 30 * time.Second
	// looks is how often the watch looks in that time.
	looksPerLimit = 10
)

// silence is how long a supervisord that sends a tick of this period may say
// nothing.
func silenceLimit(period time.Duration) time.Duration { return max(missedTicks*period, leastSilence) }

// watch notices that supervisord sends nothing any more. One byte on standard
// output that is none of the protocol puts a listener into state UNKNOWN for
// good: supervisord neither tells it nor starts it again
// (dispatchers.py, handle_listener_state_change), but a listener that exits is
// started again, with a state of its own.
//
// Only a tick that has come shows that ticks are subscribed: without them silence
// is what a supervisord without work sounds like, and neither the environment nor
// the XML-RPC tells what events= is. So a pipe that is broken before the first tick
// is not noticed.
type Silence struct {
	// count is raised when an event comes and when it is accepted: it is odd while
	// we owe supervisord an answer, and then the silence is ours.
	count  atomic.Uint64
	period atomic.Int64 // the shortest of the ticks that have come; 0: none
}

// begin and end stand around the acceptance of an event.
func (w *Silence) Begin() { w.count.Add(1) }
func (w *Silence) End()   { w.count.Add(1) }

// saw takes note of a tick; other events tell nothing here.
func (w *Silence) EventRead(event string) {
	period, ok := ticks[event]
	if old := time.Duration(w.period.Load()); ok && (old == 0 || period < old) {
		w.period.Store(int64(period))
	}
}

// AnyEvent and AnyTick implement section.Arrivals.
func (w *Silence) AnyEvent() bool { return w.count.Load() != 0 }
func (w *Silence) AnyTick() bool  { return w.period.Load() != 0 }

// silentError tells that supervisord has stopped to send events.
type silentError struct{ limit, period time.Duration }

func (e *silentError) Error() string {
	return fmt.Sprintf("supervisord has sent no event for %v, not even the tick of every %v: "+
		"something has probably written to this listener's standard output (a wrapper in its command?), upon which supervisord never tells it anything again "+
		"(\"has entered the UNKNOWN state\" in supervisord's log); exiting, so that supervisord starts it anew", e.limit, e.period)
}

// run returns a *silentError when supervisord has been silent for too long, or nil
// when ctx ends.
func (w *Silence) Run(ctx context.Context) error {
	t := time.NewTimer(0)
	defer t.Stop()
	var v look
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		period := time.Duration(w.period.Load())
		limit := silenceLimit(period) // of no tick: that of the shortest
		if v.silentFor(time.Now(), w.count.Load(), limit) >= limit && period > 0 {
			return &silentError{limit, period}
		}
		t.Reset(limit / looksPerLimit)
	}
}

// view is what the watch has seen at its last look.
type look struct {
	count uint64
	at    time.Time
	since time.Time // from when on nothing was heard, as far as we know
}

// look returns how long it has been silent. Times are those of the monotonic clock:
// a clock that is set changes nothing.
func (v *look) silentFor(now time.Time, count uint64, limit time.Duration) time.Duration {
	// A look that comes late was not taken because we, or all of the machine, stood
	// still (SIGSTOP, a paused virtual machine): supervisord gets its time again.
	late := now.Sub(v.at) > 2*limit/looksPerLimit
	if count != v.count || count%2 == 1 || late {
		v.since = now
	}
	v.count, v.at = count, now
	return now.Sub(v.since)
}
