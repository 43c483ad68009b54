package bridge

import (
	"context"
	"time"

	"supernats/bridge/eventlistener"
	"supernats/bridge/pulse"
	"supernats/bridge/record"
	"supernats/bridge/snapshot"
	"supernats/schema"
)

// accept puts an event into the spool; supervisord is answered when it returns.
func (b *Bridge) accept(ctx context.Context, header, payload []byte) error {
	b.watch.Begin()
	defer b.watch.End()
	now := time.Now()
	h, err := eventlistener.ParseHeader(header)
	if err != nil {
		return err
	}
	b.heard = true
	b.pace.EventRead(now)
	b.watch.EventRead(h.Event)
	b.lag.EventRead(h.Event, payload, now)
	b.late.EventRead(h.Event, payload, now)
	if h.Event == schema.ProcessGroupAdded {
		b.output.GroupAdded()
	}
	b.stoppingRead = b.stoppingRead || h.Event == schema.SupervisorStateChangeStopping
	if !b.started {
		// Only now supervisord's name and the pool's are known.
		b.journal.Settle(&h)
		if err := b.recordStarted(ctx, now); err != nil {
			return err
		}
		b.started = true
		b.troubles.Restate()
		b.snapshots.Want(snapshot.Start)
	}
	b.serial.Store(h.Serial)
	if b.journal.OfferedAgain(header) {
		// Offered again: a bridge died between storing it and its answer. By the time
		// that it is published the stream may have forgotten that it has it.
		return nil
	}
	if late, ok := pulse.TickLate(h.Event, payload, now); ok {
		b.deaths.Tick(h.Event, late)
	}
	f := b.deaths.Note(&h, payload, now)
	b.buf = f.AppendTo(record.AppendEvent(b.buf[:0], now, b.life.ID(), header, payload))
	if err := b.journal.Store(ctx, b.buf, &h); err != nil {
		return err
	}
	b.metrics.Accepted(h.Event)
	b.reasons.Note(h.Event, h.Serial, payload)
	return nil
}
