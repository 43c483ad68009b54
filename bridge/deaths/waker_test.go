package deaths

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"supernats/bridge/deathwatch"
)

// old is a death of a program that had run for long.
var old = deathwatch.Death{Ran: time.Hour}

// fakeWaker runs a waker whose wake-ups are counted.
func fakeWaker(t *testing.T) (w *waker, wakes, pending *atomic.Int64) {
	t.Helper()
	wakes, pending = new(atomic.Int64), new(atomic.Int64)
	w = newWaker(func(context.Context) error { wakes.Add(1); return nil }, zerolog.Nop())
	w.pending = func() bool { return pending.Load() > 0 }
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return w, wakes, pending
}

// supervisord is woken at once, again after 2 ms if that was not enough, and not any
// more when the event has come.
func TestWakeFollowsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, wakes, pending := fakeWaker(t)
		pending.Add(1)
		w.wakeFor(old)
		synctest.Wait()
		if n := wakes.Load(); n != 1 {
			t.Errorf("woken %d times at once", n)
		}
		time.Sleep(followUp)
		synctest.Wait()
		if n := wakes.Load(); n != 2 {
			t.Errorf("woken %d times after %v", n, followUp)
		}
		pending.Add(-1)
		w.came.Add(1)
		time.Sleep(time.Second)
		if n := wakes.Load(); n != 2 {
			t.Errorf("woken %d times though the event has come", n)
		}
	})
}

// An event that does not come ends the wake-ups; the next death is not lost in it.
func TestWakeGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, wakes, pending := fakeWaker(t)
		pending.Add(1)
		for i := range 100 {
			w.wakeFor(old)
			synctest.Wait()
			before := wakes.Load()
			time.Sleep(time.Duration(i) * 40 * time.Millisecond)
			w.wakeFor(old)
			time.Sleep(2 * wakeEvery)
			synctest.Wait()
			if wakes.Load() == before {
				t.Fatalf("a death %d ms after one that has no event wakes nobody", i*40)
			}
			time.Sleep(10 * time.Second)
			if before = wakes.Load(); before > int64(i+1)*2*(followUps+2) {
				t.Fatalf("woken %d times in round %d", before, i)
			}
		}
	})
}

// However many die, it is woken 50 times a second at most.
func TestWakeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, wakes, pending := fakeWaker(t)
		pending.Add(1)
		for range 10_000 {
			w.wakeFor(old)
			time.Sleep(100 * time.Microsecond)
		}
		if n := wakes.Load(); n > 50 || n < 10 {
			t.Errorf("woken %d times in a second", n)
		}
	})
}

// What dies as soon as it is started wakes supervisord rarely, and what seems to have
// been stopped only if no event reports it.
func TestWakeIsWorthIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, wakes, pending := fakeWaker(t)
		asked := 0
		for range 1000 {
			if w.wakeFor(deathwatch.Death{Ran: time.Millisecond}) {
				asked++
			}
			time.Sleep(20 * time.Millisecond)
		}
		if asked > 5 {
			t.Errorf("%d of 1,000 quick deaths in 20 s wake supervisord", asked)
		}

		before := wakes.Load()
		pending.Add(1)
		if !w.wakeFor(deathwatch.Death{Ran: time.Hour, Orderly: true}) {
			t.Error("an orderly death is forgotten")
		}
		time.Sleep(stopWithin / 2)
		if wakes.Load() != before {
			t.Error("an orderly death wakes supervisord at once")
		}
		time.Sleep(stopWithin)
		if wakes.Load() == before {
			t.Error("an orderly death wakes supervisord never")
		}
		w.off.Store(true)
		if w.wakeFor(old) {
			t.Error("supervisord is woken while it shuts down")
		}
	})
}

// Without a way to connect, a line wakes it, whatever the level of the log is.
func TestWakeByLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := newWaker(func(context.Context) error { return errors.New("no") }, zerolog.New(&out).Level(zerolog.ErrorLevel))
	w.wakeOnce(t.Context())
	w.touch = nil
	w.wakeOnce(t.Context())
	if strings.Count(out.String(), "\n") != 2 {
		t.Errorf("%q", out.String())
	}
}

// A bucket never gives more than its size at once, and then one each time.
func TestBucket(t *testing.T) {
	t.Parallel()
	b, now, n := bucket{every: time.Second / 48, size: 2}, time.Unix(1, 0), 0
	for end := now.Add(time.Second); now.Before(end); now = now.Add(time.Millisecond) {
		if wait := b.takeToken(now); wait == 0 {
			n++
		} else if wait > time.Second/48+time.Millisecond {
			t.Fatalf("%v to wait", wait)
		}
	}
	if n < 45 || n > 50 {
		t.Errorf("%d times in a second", n)
	}
}
