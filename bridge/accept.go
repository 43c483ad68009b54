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
	b.silence.Begin()
	defer b.silence.End()
	now := time.Now()
	h, err := eventlistener.ParseHeader(header)
	if err != nil {
		return err
	}

	b.noteArrival(&h, payload, now)
	if err := b.storeStarted(ctx, &h, now); err != nil {
		return err
	}
	b.lastSerial.Store(h.Serial)
	if b.journal.OfferedAgain(header) {
		// A bridge died between storing it and its answer. By the time that it is published
		// the stream may have forgotten that it has it.
		return nil
	}

	// What only this moment knows goes into the record.
	if late, ok := pulse.TickLate(h.Event, payload, now); ok {
		b.deaths.Tick(h.Event, late)
	}
	facts := b.deaths.Note(&h, payload, now)
	b.buf = facts.AppendTo(record.AppendEvent(b.buf[:0], now, b.life.ID(), header, payload))
	if err := b.journal.Store(ctx, b.buf, &h); err != nil {
		return err
	}

	b.metrics.Accepted(h.Event)
	b.reasons.Note(h.Event, h.Serial, payload)
	return nil
}

// noteArrival informs the parts that watch how events arrive.
func (b *Bridge) noteArrival(h *eventlistener.Header, payload []byte, now time.Time) {
	b.heard = true
	b.burst.EventRead(now)
	b.silence.EventRead(h.Event)
	b.lag.EventRead(h.Event, payload, now)
	b.late.EventRead(h.Event, payload, now)

	switch h.Event {
	case schema.ProcessGroupAdded:
		b.output.GroupAdded()
	case schema.SupervisorStateChangeStopping:
		b.stoppingRead = true
	}
}

// storeStarted stores the record of our start with the first event: only now supervisord's name
// and the pool's are known.
func (b *Bridge) storeStarted(ctx context.Context, h *eventlistener.Header, now time.Time) error {
	if b.started {
		return nil
	}
	b.journal.Settle(h)
	m, err := b.self.bridgeRecord(schema.BridgeStarted, now)
	if err != nil {
		return err
	}
	if err := b.journal.StoreMessage(ctx, now, m.subject, m.id, m.json); err != nil {
		return err
	}

	b.started = true
	b.troubles.Restate()
	b.snapshots.Want(snapshot.Start)
	return nil
}
