package deathreason

import (
	"context"
	"sync/atomic"
	"time"
)

// grace is how much longer than the limit files may take, which know no limits.
const grace = 200 * time.Millisecond

// turn lets one goroutine at a time use what it guards. Unlike with a mutex, a caller waits
// no longer than its context allows, and not at all once a goroutine is known to be stuck.
type turn struct {
	slot chan struct{} // holds a value while a goroutine has the turn
	// stuck means that a goroutine has had the turn for longer than another one would wait.
	// The next take that succeeds clears it.
	stuck atomic.Bool
}

func newTurn() turn { return turn{slot: make(chan struct{}, 1)} }

// take waits for the turn, and reports whether it was given.
func (t *turn) take(ctx context.Context) bool {
	select {
	case t.slot <- struct{}{}:
		t.stuck.Store(false)
		return true
	default:
	}
	if t.stuck.Load() {
		return false
	}

	select {
	case t.slot <- struct{}{}:
		return true
	case <-ctx.Done():
		t.stuck.Store(true)
		return false
	}
}

// end ends the turn that was taken.
func (t *turn) end() { <-t.slot }

// finish does something in the turn that was taken and ends it. It waits for that no longer
// than the limit and grace, and reports whether it is done.
func (t *turn) finish(limit time.Duration, do func()) (done bool) {
	end := make(chan struct{})
	go func() {
		defer close(end)
		defer t.end()
		do()
	}()

	select {
	case <-end:
		return true
	case <-time.After(limit + grace):
		t.stuck.Store(true)
		return false
	}
}
