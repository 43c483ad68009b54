package bridge

import (
	"context"
	"errors"
	"syscall"
	"time"

	"supernats/schema"
)

// Values of schema.Bridge.SupervisorState.
const (
	supervisorStopping = "STOPPING"
	supervisorRunning  = "RUNNING"
	supervisorGone     = schema.SupervisorGone
)

const (
	// stateTimeout bounds how long supervisord is asked why we are stopped. Together
	// with the last snapshot it stays well below stopwaitsecs, and what is published
	// meanwhile does not wait for it.
	stateTimeout = 800 * time.Millisecond
	// stateAgain is after how long a supervisord that runs is asked again: whoever
	// ends all processes of a service at once (systemd) may have ended us first.
	stateAgain = 150 * time.Millisecond
	// goneWithin is how long a process takes to end that has closed our input.
	goneWithin = 200 * time.Millisecond
)

// supervisorState finds out, when we are stopped, whether supervisord goes down or
// reloads too: SUPERVISOR_STATE_CHANGE_STOPPING often does not reach a listener,
// which it stops in the same moment. It is empty if that cannot be known.
func (b *Bridge) supervisorState() string {
	if b.stoppingRead {
		return supervisorStopping
	}
	if b.server == nil {
		return b.stoppingIfGone(goneWithin)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stateTimeout)
	defer cancel()

	stopping, err := b.server.Stopping(ctx)
	if err == nil && !stopping {
		time.Sleep(stateAgain)
		stopping, err = b.server.Stopping(ctx)
	}
	switch {
	case err == nil && stopping:
		return supervisorStopping
	case errors.Is(err, syscall.ECONNREFUSED):
		return b.ended() // nobody listens at its socket
	case err == nil:
		return supervisorRunning
	}
	return b.stoppingIfGone(goneWithin)
}

func (b *Bridge) stoppingIfGone(within time.Duration) string {
	if b.life.evidence.Gone(within) {
		return b.ended()
	}
	return ""
}

// ended is the word for a supervisord that is no more. One that shuts down stops its
// listeners first (supervisord.py, stop_all); one that was killed, by the kernel for want
// of memory too, only closes their pipes.
func (b *Bridge) ended() string {
	if b.stopped {
		return supervisorStopping
	}
	return supervisorGone
}

// lastRecords stores what is to be told when no event will come any more, as far
// as there is room: losses, whether supervisord goes down, the process table if it
// still answers, and that this is the end.
func (b *Bridge) lastRecords() {
	b.storeLastLosses() // before supervisord is asked: we may be killed while we wait
	if !b.started {
		return
	}
	b.stopState = b.supervisorState()
	if b.stopState == supervisorStopping || b.stopState == supervisorGone {
		b.table.Forget()
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		b.snapshot(ctx, snapshotStopping)
		cancel()
		b.storeLastLosses()
	}
	b.keepTable()
	msg, err := b.ownRecord(schema.BridgeStopping, time.Now())
	if err == nil {
		_, err = b.journal.append(msg, nil, false)
	}
	if err != nil {
		b.log.Error().Err(err).Msg("the record of the stop cannot be stored")
	}
}

func (b *Bridge) storeLastLosses() {
	if err := b.journal.storeLosses(); err != nil {
		b.log.Error().Err(err).Msg("losses cannot be stored")
	}
}
