package bridge

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

const (
	// wakeEvery bounds how often supervisord is woken: 50 times a second.
	wakeEvery = 20 * time.Millisecond
	// wakeTimeout is how long a supervisord that accepts no connection is tried.
	wakeTimeout = time.Second
)

// waker ends supervisord's sleep when one of its programs has died. It sleeps in poll
// for up to a second and reaps only after it (supervisord.py runforever), and a signal
// does not end the sleep: Python goes on with it (PEP 475). Any activity on one of its
// descriptors does: a connection to its XML-RPC that is closed at once, which asks
// nothing and needs no password, or a line on our standard error, which it reads too.
//
// It is off the path of the listener, and of no use while supervisord shuts down.
type waker struct {
	// touch connects to supervisord and hangs up; nil if it has no XML-RPC for us.
	touch func(ctx context.Context) error
	log   zerolog.Logger
	// off is set when supervisord shuts down.
	off atomic.Bool

	died  chan int // deaths that wait for a wake-up; holds one value
	wakes atomic.Uint64
}

func newWaker(touch func(ctx context.Context) error, log zerolog.Logger) *waker {
	return &waker{touch: touch, log: log, died: make(chan int, 1)}
}

// wake asks for a wake-up and waits for nothing.
func (w *waker) wake(deaths int) {
	if w.off.Load() {
		return
	}
	select {
	case w.died <- deaths:
	default: // one is due already
	}
}

// run wakes supervisord until ctx ends.
func (w *waker) run(ctx context.Context) {
	for {
		var deaths int
		select {
		case <-ctx.Done():
			return
		case deaths = <-w.died:
		}
		if w.off.Load() {
			continue
		}

		w.wakes.Add(1)
		if w.touch == nil || w.try(ctx) != nil {
			w.log.Info().Int("deaths", deaths).Msg("processes have died; this line wakes supervisord")
		}
		if !sleep(ctx, wakeEvery) {
			return
		}
	}
}

func (w *waker) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, wakeTimeout)
	defer cancel()
	return w.touch(ctx)
}
