package bridge

import (
	"context"
	"time"

	"supernats/bridge/eventlistener"
	"supernats/bridge/record"
	"supernats/schema"
)

// accept puts an event into the spool; supervisord is answered when it returns.
func (b *Bridge) accept(ctx context.Context, header, payload []byte) error {
	b.watch.begin()
	defer b.watch.end()
	now := time.Now()
	h, err := eventlistener.ParseHeader(header)
	if err != nil {
		return err
	}
	b.heard = true
	b.pace.saw(now)
	b.watch.saw(h.Event)
	b.lag.saw(b.troubles, h.Event, payload, now)
	b.late.saw(h.Event, payload, now)
	if h.Event == schema.ProcessGroupAdded {
		b.noteGroup()
	}
	b.stoppingRead = b.stoppingRead || h.Event == schema.SupervisorStateChangeStopping
	if !b.started {
		// Only now supervisord's name and the pool's are known.
		b.life.settle(&h)
		if err := b.recordStarted(ctx, now); err != nil {
			return err
		}
		b.started = true
		b.troubles.Restate()
		b.wantSnapshot(snapshotStart)
	}
	b.serial.Store(h.Serial)
	if b.journal.offeredAgain(header) {
		// Offered again: a bridge died between storing it and its answer. By the time
		// that it is published the stream may have forgotten that it has it.
		return nil
	}
	var (
		f *record.Facts
		e end
	)
	if d := b.deaths.Load(); d != nil {
		f = d.note(&h, payload)
		e = d.end
	}
	f = b.lives.Load().note(&h, payload, now, e, f)
	b.buf = f.AppendTo(record.AppendEvent(b.buf[:0], now, b.life.boot.load(), header, payload))
	if err := b.journal.store(ctx, b.buf, &h); err != nil {
		return err
	}
	b.metrics.accepted(h.Event)
	b.reasons.Note(h.Event, h.Serial, payload)
	return nil
}
