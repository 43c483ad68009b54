package bridge

import (
	"context"
	"time"

	"supernats/bridge/pulse"
	"supernats/bridge/snapshot"
	"supernats/schema"
)

// lastRecords stores what is to be told when no event will come any more, as far
// as there is room: losses, whether supervisord goes down, the process table if it
// still answers, and that this is the end.
func (b *Bridge) lastRecords() {
	b.storeLastLosses() // before supervisord is asked: we may be killed while we wait
	if !b.started {
		return
	}
	b.stopState = b.supervisorState()
	if b.stopState == schema.SupervisorStopping || b.stopState == schema.SupervisorGone {
		b.table.Forget()
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		b.snapshots.Take(ctx, snapshot.Stopping)
		cancel()
		b.storeLastLosses()
	}
	b.snapshots.Keep()
	now := time.Now()
	subject, id, json, err := b.own(schema.BridgeStopping, now)
	if err == nil {
		err = b.journal.AppendMessage(now, subject, id, json)
	}
	if err != nil {
		b.log.Error().Err(err).Msg("the record of the stop cannot be stored")
	}
}

func (b *Bridge) storeLastLosses() {
	if err := b.journal.StoreLosses(); err != nil {
		b.log.Error().Err(err).Msg("losses cannot be stored")
	}
}

// supervisorState finds out, when we are stopped, whether supervisord goes down too.
func (b *Bridge) supervisorState() string {
	e := pulse.Ending{StoppingRead: b.stoppingRead, Asked: b.stopped, Gone: b.life.Evidence().Gone}
	if b.server != nil {
		e.Stopping = b.server.Stopping
	}
	return e.State()
}
