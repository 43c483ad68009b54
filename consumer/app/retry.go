package app

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"
)

// retry spaces out the tries of a loop that never gives up, and logs an error
// that repeats once.
type retry struct {
	log   zerolog.Logger
	what  string
	last  string
	pause time.Duration
}

// over says that it works (again).
func (r *retry) over() {
	if r.last != "" {
		r.log.Info().Msg(r.what + " works again")
	}
	r.last, r.pause = "", 0
}

// wait returns when it is time to try again, with an error when ctx has ended.
func (r *retry) wait(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err.Error() != r.last {
		r.log.Warn().Err(err).Msg(r.what + " was interrupted; trying again")
		r.last = err.Error()
	}
	r.pause = min(5*time.Second, max(100*time.Millisecond, 2*r.pause))
	t := time.NewTimer(r.pause/2 + rand.N(r.pause/2))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// until does something until it works or ctx ends.
func (r *retry) until(ctx context.Context, do func() error) error {
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
