package pulse

import (
	"context"
	"errors"
	"syscall"
	"time"

	"supernats/schema"
)

const (
	// stateTimeout bounds how long supervisord is asked why we are stopped. Together
	// with the last snapshot it stays well below stopwaitsecs, and what is published
	// meanwhile does not wait for it.
	stateTimeout = 800 * time.Millisecond
	// askAgainAfter is after how long a supervisord that runs is asked again: whoever ends
	// all processes of a service at once (systemd) may have ended us first.
	askAgainAfter = 150 * time.Millisecond
	// goneWithin is how long a process takes to end that has closed our input.
	goneWithin = 200 * time.Millisecond
)

// Ending finds out, when the bridge is stopped, whether supervisord goes down or reloads
// too: SUPERVISOR_STATE_CHANGE_STOPPING often does not reach a listener, which supervisord
// stops in the same moment.
type Ending struct {
	// StoppingRead says that the event has reached us nevertheless.
	StoppingRead bool
	// Asked says that we were asked to end, by a signal.
	Asked bool
	// Stopping asks supervisord whether it stops; nil if it has no XML-RPC for us.
	Stopping func(ctx context.Context) (bool, error)
	// Gone waits for the end of supervisord's process, and reports whether it has ended.
	Gone func(within time.Duration) bool
}

// State is what supervisord does: schema.SupervisorStopping, SupervisorRunning or
// SupervisorGone. It is empty if that cannot be known.
func (e *Ending) State() string {
	if e.StoppingRead {
		return schema.SupervisorStopping
	}
	if e.Stopping == nil {
		return e.stateIfGone()
	}

	ctx, cancel := context.WithTimeout(context.Background(), stateTimeout)
	defer cancel()
	stopping, err := e.Stopping(ctx)
	if err == nil && !stopping {
		time.Sleep(askAgainAfter)
		stopping, err = e.Stopping(ctx)
	}

	switch {
	case err == nil && stopping:
		return schema.SupervisorStopping
	case errors.Is(err, syscall.ECONNREFUSED):
		return e.stateOfEnded() // nobody listens at its socket
	case err == nil:
		return schema.SupervisorRunning
	}
	return e.stateIfGone()
}

func (e *Ending) stateIfGone() string {
	if e.Gone(goneWithin) {
		return e.stateOfEnded()
	}
	return ""
}

// stateOfEnded is the state of a supervisord that is no more. One that shuts down stops its
// listeners first (supervisord.py, stop_all); one that was killed, by the kernel for want
// of memory too, only closes their pipes.
func (e *Ending) stateOfEnded() string {
	if e.Asked {
		return schema.SupervisorStopping
	}
	return schema.SupervisorGone
}
