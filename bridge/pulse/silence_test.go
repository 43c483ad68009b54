package pulse

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// When the watch gives supervisord up, counted from the last thing that the row
// does; 0 is never.
func TestWatch(t *testing.T) {
	event := func(w *Silence, name string) {
		w.Begin()
		w.EventRead(name)
		w.End()
	}
	ticks := func(name string, n int, every time.Duration) func(*Silence) {
		return func(w *Silence) {
			for range n {
				event(w, name)
				time.Sleep(every)
			}
			event(w, name)
		}
	}
	for _, tc := range []struct {
		name string
		do   func(w *Silence)
		want time.Duration
	}{
		{name: "nothing ever came", do: func(*Silence) {}, want: 0},
		{name: "no tick ever came", do: func(w *Silence) {
			for range 5 {
				event(w, "PROCESS_STATE_EXITED")
				time.Sleep(time.Minute)
			}
		}, want: 0},
		{name: "TICK_5", do: func(w *Silence) { event(w, "TICK_5") }, want: 30 * time.Second},
		{name: "TICK_60", do: func(w *Silence) { event(w, "TICK_60") }, want: 4 * time.Minute},
		{name: "TICK_3600", do: func(w *Silence) { event(w, "TICK_3600") }, want: 4 * time.Hour},
		{name: "the shortest tick counts", do: func(w *Silence) {
			event(w, "TICK_60")
			event(w, "TICK_5")
			event(w, "TICK_3600")
		}, want: 30 * time.Second},
		{name: "any event counts", do: func(w *Silence) {
			event(w, "TICK_5")
			for range 10 {
				time.Sleep(20 * time.Second)
				event(w, "REMOTE_COMMUNICATION")
			}
		}, want: 30 * time.Second},
		{name: "an event that is not answered is our own silence", do: func(w *Silence) {
			event(w, "TICK_5")
			w.Begin() // the spool is full
			time.Sleep(time.Hour)
			w.End()
		}, want: 30 * time.Second},
		{name: "ticks continue", do: ticks("TICK_5", 1000, 5*time.Second), want: 30 * time.Second},
		{name: "one tick is missing now and then", do: ticks("TICK_60", 100, 121*time.Second), want: 4 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w Silence
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan error, 1)
				go func() { ended <- w.Run(ctx) }()
				tc.do(&w)
				last := time.Now()
				select {
				case err := <-ended:
					var silent *silentError
					if !errors.As(err, &silent) {
						t.Fatalf("watch ended: %v", err)
					}
					got := time.Since(last)
					// A look may come a tenth of the limit after an event.
					if tc.want == 0 || got < tc.want || got > tc.want+tc.want/looksPerLimit+time.Second*3 {
						t.Errorf("given up after %v, want %v: %v", got, tc.want, err)
					}
				case <-time.After(24 * time.Hour):
					if tc.want != 0 {
						t.Errorf("not given up after a day, want %v", tc.want)
					}
					cancel()
					if err := <-ended; err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// After a time in which we did not run, supervisord gets all of its time again.
func TestWatchStoodStill(t *testing.T) {
	const limit, every = 30 * time.Second, 3 * time.Second
	now := time.Now()
	var v look
	look := func(after time.Duration) time.Duration {
		now = now.Add(after)
		return v.silentFor(now, 2, limit)
	}
	look(0)
	for i := range 9 {
		if got, want := look(every), time.Duration(i+1)*every; got != want {
			t.Fatalf("silent for %v, want %v", got, want)
		}
	}
	if got := look(time.Hour); got != 0 {
		t.Errorf("after an hour without a look: silent for %v", got)
	}
	if got := look(every); got != every {
		t.Errorf("silent for %v, want %v", got, every)
	}
}
