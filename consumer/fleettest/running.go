package fleettest

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Running is something that ends with a context.
type Running struct {
	t    *testing.T
	end  context.CancelCauseFunc
	done chan struct{}
	err  error
}

// Start runs something until the test ends, or Stop or Interrupt is called.
func Start(t *testing.T, do func(ctx context.Context) error) *Running {
	ctx, end := context.WithCancelCause(context.Background())
	r := &Running{t: t, end: end, done: make(chan struct{})}
	go func() {
		r.err = do(ctx)
		close(r.done)
	}()
	t.Cleanup(r.Stop)
	return r
}

// End is Stop for those who do not wait.
func (r *Running) End() { r.end(nil) }

// Ended is closed when it has ended by itself, or was stopped.
func (r *Running) Ended() <-chan struct{} { return r.done }

// Stop ends it in a clean way, and waits. That it was asked to end is what it must return.
func (r *Running) Stop() { r.Interrupt(nil) }

// Interrupt is Stop for a cause, which may be one that leaves no time for anything.
func (r *Running) Interrupt(cause error) {
	r.end(cause)
	select {
	case <-r.done:
		if !errors.Is(r.err, context.Canceled) {
			r.t.Errorf("it ended with %v", r.err)
		}
	case <-time.After(20 * time.Second):
		r.t.Fatal("it does not end")
	}
}
