package fleettest

import (
	"context"
	"errors"
	"testing"
	"time"

	"supernats/consumer/lease"
)

// Running is something that ends with a context.
type Running struct {
	t    *testing.T
	end  context.CancelCauseFunc
	done chan struct{}
	err  error
}

// Start runs something until the test ends, or Stop or Kill is called.
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

// Stop ends it in a clean way, Kill as when another instance takes over: with
// nothing that is under way brought to its end.
func (r *Running) Stop() { r.finish(nil) }

func (r *Running) Kill() { r.finish(lease.ErrLost) }

func (r *Running) finish(cause error) {
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
