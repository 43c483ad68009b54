package bridge

import (
	"context"
	"time"

	"supernats/bridge/pulse"
	"supernats/bridge/snapshot"
	"supernats/schema"
)

// lastTableTimeout bounds how long supervisord is asked for its process table at our end.
const lastTableTimeout = time.Second

// storeLastRecords stores what is to be reported when no event will come any more, as far
// as there is room: losses, whether supervisord goes down, the process table if it still
// answers, and that this is the end. asked says that we were asked to end.
func (b *Bridge) storeLastRecords(asked bool) {
	b.storeLastLosses() // before supervisord is asked: we may be killed while we wait
	if !b.started {
		return
	}

	ending := pulse.Ending{
		StoppingRead: b.stoppingRead, Asked: asked,
		Stopping: b.server.askStopping(), Gone: b.life.Evidence().Gone,
	}
	b.self.state = ending.State()
	if b.self.state == schema.SupervisorStopping || b.self.state == schema.SupervisorGone {
		b.table.Forget()
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), lastTableTimeout)
		b.snapshots.Take(ctx, snapshot.Stopping)
		cancel()
		b.storeLastLosses()
	}
	b.snapshots.Keep()

	now := time.Now()
	m, err := b.self.bridgeRecord(schema.BridgeStopping, now)
	if err == nil {
		err = b.journal.AppendMessage(now, m.subject, m.id, m.json)
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
