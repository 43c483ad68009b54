package bridge

import (
	"bytes"
	"context"
	"errors"
	"time"

	"supernats/bridge/eventlistener"
	"supernats/bridge/spool"
	"supernats/schema"
)

const (
	// shedAbove is the part of the spool above which what matters least is let go.
	shedAbove = 0.9
	// tryAgain is how often a spool that takes nothing is tried.
	tryAgain = 100 * time.Millisecond
)

// openSpool opens the spool, trying for as long as it takes: a listener that
// exits a few times is FATAL for good, and until it is open supervisord buffers.
// The error is that of ctx.
func (b *Bridge) openSpool(ctx context.Context) error {
	for last := ""; ; {
		before := history{table: b.table}
		s, err := spool.Open(ctx, spool.Options{
			Dir: b.cfg.SpoolDir, Max: int64(b.cfg.SpoolMax), Sync: b.cfg.SpoolSync.every,
			Lost: b.spoolLost, Last: func(number uint64, rec []byte) {
				b.loadTable()
				before.record(number, rec)
			},
			Waiting: func(holder string) {
				b.log.Warn().Str("spool", b.cfg.SpoolDir).Str("pid", holder).
					Msg("another supernats-bridge has this spool open; waiting for it (give each its own --spool-dir)")
			},
			Failed: func(err error) { b.log.Error().Err(err).Msg("spool reports an error") },
		})
		if err == nil {
			b.spool = s
			b.loadTable()
			b.continueFrom(&before)
			if n := s.Stats().Records; n > 0 {
				b.log.Info().Uint64("records", n).Str("spool", b.cfg.SpoolDir).Msg("records of an earlier run wait in the spool")
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err.Error() != last {
			b.log.Error().Err(err).Str("spool", b.cfg.SpoolDir).Msg("spool cannot be opened, no event is accepted; trying again (mend the directory, or set --spool-dir)")
			last = err.Error()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

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
	b.watch.saw(h.Event)
	b.stoppingRead = b.stoppingRead || h.Event == schema.SupervisorStateChangeStopping
	if !b.started {
		// Only now supervisord's name and the pool's are known.
		b.settle(&h)
		if err := b.recordStarted(ctx, h, now); err != nil {
			return err
		}
		b.started = true
		b.wantSnapshot(snapshotStart)
	}
	b.serial.Store(h.Serial)
	if bytes.Equal(header, b.header) {
		// Offered again: a bridge died between storing it and its answer. By the time
		// that it is published the stream may have forgotten that it has it.
		return nil
	}
	b.buf = appendEvent(b.buf[:0], now, b.boot.load(), header, payload)
	if err := b.store(ctx, b.buf, &h); err != nil {
		return err
	}
	b.metrics.accepted(h.Event)
	return nil
}

// store appends a record. If there is no room, an event that may be shed is
// counted and let go; for any other one it waits, and supervisord buffers. h is
// nil for a record of our own.
func (b *Bridge) store(ctx context.Context, rec []byte, h *eventlistener.Header) error {
	sheddable := h != nil && (schema.Is(h.Event, "TICK") || schema.Is(h.Event, "PROCESS_LOG"))
	for {
		if sheddable && b.spool.Used() > shedAbove {
			b.shed(rec, h)
			return nil
		}
		room := b.spool.Room()
		err := b.append(rec, h)
		switch {
		case err == nil:
			if b.full && b.spool.Used() < shedAbove {
				b.full = false
				b.log.Info().Msg("spool takes events again")
			}
			return nil
		case errors.Is(err, spool.ErrTooBig), errors.Is(err, spool.ErrFinished):
			return err
		case sheddable && errors.Is(err, spool.ErrFull):
			b.shed(rec, h)
			return nil
		}
		if !b.full {
			b.full = true
			b.log.Error().Err(err).Str("spool", b.cfg.SpoolDir).Str("mend", "make room on the disk, raise --spool-max, or bring NATS back").
				Msg("spool takes no events; supervisord buffers them")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-room:
		case <-time.After(tryAgain):
		}
	}
}

// append stores a record; the event of h, if it is one, is then accounted for.
func (b *Bridge) append(rec []byte, h *eventlistener.Header) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.spool.Append(rec); err != nil {
		return err
	}
	if h != nil {
		b.account(rec, h, false)
	}
	return nil
}

// account takes note of an event that is stored or let go. b.mu is held.
func (b *Bridge) account(rec []byte, h *eventlistener.Header, letGo bool) {
	if !b.losses.seen(h) {
		return // it is in the stream already
	}
	if letGo {
		b.losses.shed(h)
		b.metrics.loss(causeFull, 1)
	}
	line, payload, _ := bytes.Cut(rec[recordHead:], []byte("\n"))
	b.header = append(b.header[:0], line...)
	at, _ := RecordTime(rec)
	b.table.Event(tableEvent(b.losses.boot, h, payload, at))
	if len(b.losses.open) > 0 {
		b.noteLoss()
	}
}

func (b *Bridge) shed(rec []byte, h *eventlistener.Header) {
	if !b.full {
		b.full = true
		b.log.Error().Str("spool", b.cfg.SpoolDir).Str("mend", "make room on the disk, raise --spool-max, or bring NATS back").
			Msg("spool is nearly full; TICK and PROCESS_LOG are let go and counted")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.account(rec, h, true)
}

// spoolLost is told of records that the spool cannot read.
func (b *Bridge) spoolLost(l spool.Loss) {
	b.log.Error().Uint64("records", l.Records).Int64("bytes", l.Bytes).Str("kept", l.File).
		Msg("spool is damaged: records are lost; the damaged file is kept")
	b.metrics.loss(causeCorrupt, l.Records)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.losses.corrupt(l.Records)
	b.noteLoss()
}
