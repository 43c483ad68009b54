package app

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"supernats/schema/repeat"
)

// grace is how long something may fail before it is a trouble of the daemon: a
// server that is restarted, a leader that is elected.
const grace = 2 * time.Second

// retry spaces out the tries of a loop that never gives up, and logs an error
// that repeats once. It is for one goroutine.
type retry struct {
	log  zerolog.Logger
	what string
	// conn is the connection to NATS that the loop needs; nil if it needs none. While
	// it is down, that is all there is to say, and whoever watches it says it.
	conn *nats.Conn
	// health gets a trouble under cause while the loop fails; nil: it is none of the
	// daemon's.
	health     *health
	cause, fix string

	failing repeat.Errors

	pause  time.Duration
	since  time.Time // of the first error; zero: it works
	raised bool
}

// over says that it works (again).
func (r *retry) over() {
	if n, begun := r.failing.Over(); n > 0 {
		r.log.Info().Int("failed_before", n).Dur("lasted_ms", time.Since(begun)).Msg(r.what + " works again")
	}
	if r.raised {
		r.health.clear(r.cause)
	}
	r.pause, r.since, r.raised = 0, time.Time{}, false
}

// wait returns when it is time to try again, with an error when ctx has ended.
func (r *retry) wait(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.report(err)
	r.pause = min(5*time.Second, max(100*time.Millisecond, 2*r.pause))
	return health.Sleep(ctx, r.pause/2+rand.N(r.pause/2))
}

func (r *retry) report(err error) {
	if r.conn != nil && !r.conn.IsConnected() {
		r.log.Debug().Err(err).Msg(r.what + " waits for NATS, which is not connected")
		r.pause = min(r.pause, time.Second) // it may be back at any time
		return
	}
	if r.failing.Failed(err) {
		r.log.Warn().Err(err).Msg(r.what + " was interrupted; trying again")
	}
	if r.since.IsZero() {
		r.since = time.Now()
	}
	if r.health != nil && time.Since(r.since) >= grace {
		r.health.raise(r.cause, r.what+" fails: "+err.Error(), r.fix)
		r.raised = true
	}
}

// end is called when nothing is tried any more: that it failed is no trouble then.
func (r *retry) end() {
	if r.raised {
		r.health.clear(r.cause)
		r.raised = false
	}
}

// until does something until it works or ctx ends.
func (r *retry) until(ctx context.Context, do func() error) error {
	defer r.end()
	for {
		err := do()
		if err == nil {
			r.over()
			return nil
		}
		if err := r.wait(ctx, err); err != nil {
			return err
		}
	}
}
