package deathreason

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A caller waits for the turn as long as its context allows, then nobody waits until the
// one that is stuck has ended.
func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := newTurn()
		within := func(limit time.Duration) (taken bool, waited time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			begun := time.Now()
			taken = turn.take(ctx)
			return taken, time.Since(begun)
		}

		if taken, waited := within(time.Second); !taken || waited > 0 {
			t.Fatalf("a free turn: %v after %v", taken, waited)
		}
		if taken, waited := within(time.Second); taken || waited != time.Second {
			t.Errorf("a turn that is taken: %v after %v", taken, waited)
		}
		if taken, waited := within(time.Second); taken || waited > 0 {
			t.Errorf("a turn that is stuck: %v after %v", taken, waited)
		}
		turn.end()
		if taken, waited := within(time.Second); !taken || waited > 0 || turn.stuck.Load() {
			t.Errorf("a turn that is free again: %v after %v", taken, waited)
		}
		turn.end()
	})
}

// What is done in a turn is waited for no longer than the limit and grace, and ends the turn
// when it is done.
func TestTurnFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = time.Second
		turn := newTurn()
		for name, test := range map[string]struct {
			takes time.Duration
			done  bool
		}{
			"at once":      {takes: 0, done: true},
			"in time":      {takes: limit + grace/2, done: true},
			"for too long": {takes: time.Hour, done: false},
		} {
			if !turn.take(t.Context()) {
				t.Fatal("the turn is not free")
			}
			if done := turn.finish(limit, func() { time.Sleep(test.takes) }); done != test.done {
				t.Errorf("%s: done %v", name, done)
			}
			if turn.stuck.Load() == test.done {
				t.Errorf("%s: stuck %v", name, turn.stuck.Load())
			}
			time.Sleep(time.Hour) // until it is done
		}
	})
}

// Each pause is twice as long as the one before, within its bounds, until an answer.
func TestPauses(t *testing.T) {
	var p pauses
	now := time.Unix(1000, 0)
	for i, want := range []time.Duration{minPause, 2 * minPause, 4 * minPause} {
		if first := p.begin(now); first != (i == 0) {
			t.Errorf("error %d: first %v", i, first)
		}
		if p.isOver(now.Add(want-1)) || !p.isOver(now.Add(want)) {
			t.Errorf("error %d: the pause is not %v", i, want)
		}
	}
	for range 20 {
		p.begin(now)
	}
	if !p.isOver(now.Add(maxPause)) {
		t.Errorf("a pause is longer than %v", maxPause)
	}
	p.clear()
	if !p.isOver(now) || !p.begin(now) {
		t.Error("an answer does not end the series")
	}
}
