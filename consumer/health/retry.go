package health

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"supernats/schema/repeat"
)

// Pauses of a Retry: they double from the shortest to the longest, and each is drawn from
// its upper half. Without a connection it is the shorter longest one: NATS may be back at
// any time.
const (
	shortestPause  = 100 * time.Millisecond
	longestPause   = 5 * time.Second
	longestOffline = time.Second
)

// Retry spaces out the tries of a loop that never gives up. It logs an error that repeats
// once, and raises a trouble when it lasts longer than Grace. It belongs to one goroutine.
type Retry struct {
	Log zerolog.Logger
	// What names the work: "reading events".
	What string
	// Conn is the connection to NATS that the loop needs; nil if it needs none. While
	// it is down, the watch over the connection reports that, and the loop nothing.
	Conn *nats.Conn
	// Health gets a trouble under Cause, with Fix, while the loop fails; nil for work
	// that the daemon can do without.
	Health     *Health
	Cause, Fix string

	failing repeat.Errors
	pause   time.Duration
	since   time.Time // when the first error came; zero while it works
	raised  bool      // Health has the trouble
}

// Recovered reports that the work succeeds, for the first time or again.
func (r *Retry) Recovered() {
	r.failing.LogOver(r.Log).Msg(r.What + " works again")
	r.Stop()
	r.pause = 0
	r.since = time.Time{}
}

// Wait returns when it is time to try again, or with an error when ctx has ended.
func (r *Retry) Wait(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}

	r.reportError(err)
	r.pause = min(longestPause, max(shortestPause, 2*r.pause))
	return Sleep(ctx, r.pause/2+rand.N(r.pause/2))
}

func (r *Retry) reportError(err error) {
	if r.Conn != nil && !r.Conn.IsConnected() {
		r.Log.Debug().Err(err).Msg(r.What + " waits for NATS, which is not connected")
		r.pause = min(r.pause, longestOffline)
		return
	}
	if r.failing.Failed(err) {
		r.Log.Warn().Err(err).Msg(r.What + " was interrupted; trying again")
	}

	if r.since.IsZero() {
		r.since = time.Now()
	}
	if r.Health != nil && time.Since(r.since) >= Grace {
		r.Health.Raise(r.Cause, r.What+" fails: "+err.Error(), r.Fix)
		r.raised = true
	}
}

// Stop clears the trouble: what nobody tries any more cannot fail.
func (r *Retry) Stop() {
	if r.raised {
		r.Health.Clear(r.Cause)
		r.raised = false
	}
}

// Until calls try until it succeeds or ctx ends.
func (r *Retry) Until(ctx context.Context, try func() error) error {
	defer r.Stop()
	for {
		err := try()
		if err == nil {
			r.Recovered()
			return nil
		}
		if err := r.Wait(ctx, err); err != nil {
			return err
		}
	}
}

// Sleep is repeat.Sleep with ctx's error when that ends before.
func Sleep(ctx context.Context, d time.Duration) error {
	if !repeat.Sleep(ctx, d) {
		return ctx.Err()
	}
	return nil
}
