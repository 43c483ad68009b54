package deaths

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"supernats/bridge/deathwatch"
	"supernats/schema/repeat"
)

const (
	// wakeEvery and wakeBurst bound how often supervisord is woken: 50 times in a
	// second, two at once.
	wakeEvery = time.Second / 48
	wakeBurst = 2
	// followUp is how long after the first wake-up its events are looked for, 20 ms after
	// the next one, and twice as long with each that has brought none; after followUps of
	// them, more than a second, supervisord is left to itself.
	followUp  = 2 * time.Millisecond
	followUps = 8
	// A program that dies again and again is started again when supervisord wakes up, so
	// waking it would have it die and start many times faster. One that has run for less
	// than youngBelow wakes it once in youngEvery, at most youngBurst times at once, and
	// one for less than freshBelow once in freshEvery.
	youngBelow = time.Second
	youngEvery = 200 * time.Millisecond
	youngBurst = 20
	freshBelow = 100 * time.Millisecond
	freshEvery = 10 * time.Second
	freshBurst = 3
	// stopWithin is how long the event that a program is being stopped is waited for when
	// it has ended as if it was: supervisord need not be woken for that.
	stopWithin = 50 * time.Millisecond
	// wakeTimeout is how long a supervisord that accepts no connection is tried.
	wakeTimeout = time.Second
)

// waker ends supervisord's sleep when one of its programs has died. supervisord sleeps in
// poll for up to a second, reaps and spawns after it, and hands out events at the beginning
// of the next round, after another sleep (supervisord.py runforever). A signal does not end
// the sleep: Python continues it (PEP 475). Any activity on one of its descriptors does: a
// connection to its XML-RPC that asks nothing, needs no password and makes two rounds of
// it, or a line on our standard error, which supervisord reads too.
//
//	idle ──death──► wake-up ──2 ms──► all events have come: idle
//	                   ▲                │ some have come: wait on
//	                   └── none came ◄──┘ at most 50 a second, and ever rarer
//
// It is off the path of the listener, and does nothing while supervisord shuts down, or
// for programs that it was asked to stop or that die as soon as they are started.
type waker struct {
	// touch connects to supervisord until that has noticed; nil if it has no XML-RPC for us.
	touch func(ctx context.Context) error
	log   zerolog.Logger
	// pending reports whether there are deaths without their event.
	pending func() bool
	// off is set when supervisord shuts down.
	off atomic.Bool

	died  chan struct{} // holds a value when there are new deaths
	came  atomic.Uint64 // events of deaths that have come
	wakes atomic.Uint64 // how often supervisord was woken

	// How often: all is of the goroutine that wakes, the others are of the one that calls
	// wake.
	all, young, fresh bucket
}

func newWaker(touch func(ctx context.Context) error, log zerolog.Logger) *waker {
	return &waker{
		touch: touch, log: log, died: make(chan struct{}, 1), pending: func() bool { return false },
		all:   bucket{every: wakeEvery, size: wakeBurst},
		young: bucket{every: youngEvery, size: youngBurst},
		fresh: bucket{every: freshEvery, size: freshBurst},
	}
}

// wakeFor asks for a wake-up for a death, and reports whether there will be one. It waits
// for nothing. Calls must not overlap.
func (w *waker) wakeFor(d deathwatch.Death) bool {
	now := time.Now()
	switch {
	case w.off.Load():
		return false
	case d.Ran < freshBelow && w.fresh.takeToken(now) > 0, d.Ran < youngBelow && w.young.takeToken(now) > 0:
		return false
	case d.Orderly:
		time.AfterFunc(stopWithin, w.askForWake)
	default:
		w.askForWake()
	}
	return true
}

// askForWake asks for a wake-up.
func (w *waker) askForWake() {
	select {
	case w.died <- struct{}{}:
	default: // one is due already
	}
}

// run wakes supervisord until ctx ends.
func (w *waker) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.died:
		}
		w.wakeUntilReported(ctx)
	}
}

// wakeUntilReported wakes supervisord until the events of all deaths have come, or waking it is of
// no use.
func (w *waker) wakeUntilReported(ctx context.Context) {
	pause := followUp
	for tries := 0; tries < followUps && !w.off.Load() && w.pending(); tries++ {
		if !w.awaitTurn(ctx) {
			return
		}

		came := w.came.Load()
		w.wakeOnce(ctx)

		// Each event that we answer makes another round.
		for more := true; more; {
			died, ok := w.awaitEvents(ctx, pause)
			if !ok || !died && !w.pending() {
				return
			}
			if died {
				tries, pause = 0, wakeEvery/2
			}
			now := w.came.Load()
			if more = now != came; more {
				came = now
				tries, pause = 0, wakeEvery
			}
		}
		pause = max(2*pause, wakeEvery)
	}
}

// awaitEvents waits for the events that a wake-up brings, not for long when more have died.
// ok says that ctx has not ended.
func (w *waker) awaitEvents(ctx context.Context, d time.Duration) (died, ok bool) {
	least := min(d, wakeEvery)
	if !repeat.Sleep(ctx, least) {
		return false, false
	}

	t := time.NewTimer(d - least)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false, false
	case <-w.died:
		return true, true
	case <-t.C:
		return false, true
	}
}

// awaitTurn waits until supervisord may be woken again.
func (w *waker) awaitTurn(ctx context.Context) bool {
	for {
		wait := w.all.takeToken(time.Now())
		if wait == 0 {
			return true
		}
		if !repeat.Sleep(ctx, wait) {
			return false
		}
	}
}

// wakeOnce wakes supervisord, by a connection or by a line.
func (w *waker) wakeOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, wakeTimeout)
	defer cancel()

	w.wakes.Add(1)
	if w.touch == nil || w.touch(ctx) != nil {
		// Whatever the level of the log is.
		w.log.Log().Msg("a process has died; this line wakes supervisord")
	}
}

// bucket bounds how often something is done.
type bucket struct {
	every time.Duration
	size  float64   // how often at once
	used  float64   // of size, at a time
	at    time.Time // of the last take
}

// takeToken returns 0 if it may be done now, else after how long.
func (b *bucket) takeToken(now time.Time) time.Duration {
	b.used = max(0, b.used-float64(now.Sub(b.at))/float64(b.every))
	b.at = now
	if b.used+1 <= b.size {
		b.used++
		return 0
	}
	return time.Duration((b.used+1-b.size)*float64(b.every)) + time.Microsecond
}
