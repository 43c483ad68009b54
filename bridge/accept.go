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

const fixFull = "bring NATS back, make room on the disk, or raise --spool-max"

// openSpool opens the spool, trying for as long as it takes: a listener that
// exits a few times is FATAL for good, and until it is open supervisord buffers.
// The error is that of ctx.
func (b *Bridge) openSpool(ctx context.Context) error {
	for {
		var before history
		s, err := spool.Open(ctx, spool.Options{
			Dir: b.cfg.SpoolDir, Max: int64(b.cfg.SpoolMax), Sync: b.cfg.SpoolSync.every,
			Lost: b.spoolLost, Last: before.record,
			Waiting: func(holder string) {
				b.troubles.raise(troubleLocked, "another supernats-bridge has the spool "+b.cfg.SpoolDir+" open, process "+holder+"; no event is accepted until it ends",
					"give each supernats-bridge its own --spool-dir")
			},
			Failed: func(err error) { b.log.Error().Err(err).Msg("spool reports an error") },
		})
		if err == nil {
			b.troubles.clear(troubleLocked)
			b.troubles.clear(troubleSpool)
			b.spool = s
			b.goOn(&before)
			if n := s.Stats().Records; n > 0 {
				b.log.Info().Uint64("records", n).Str("spool", b.cfg.SpoolDir).Msg("records of an earlier run wait in the spool")
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.troubles.raise(troubleSpool, "spool cannot be opened, no event is accepted: "+err.Error(),
			"make "+b.cfg.SpoolDir+" a directory that this user may write to, or set --spool-dir; it is tried again every second")
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
	b.lag.saw(b.troubles, h.Event, payload, now)
	b.late.saw(h.Event, payload, now)
	if !b.started {
		// Only now supervisord's name and the pool's are known.
		if err := b.recordStarted(ctx, h, now); err != nil {
			return err
		}
		b.started = true
		b.troubles.restate()
		b.wantSnapshot(snapshotStart)
	}
	b.serial.Store(h.Serial)
	if bytes.Equal(header, b.header) {
		// Offered again: a bridge died between storing it and its answer. By the time
		// that it is published the stream may have forgotten that it has it.
		return nil
	}
	b.buf = appendEvent(b.buf[:0], now, b.boot, header, payload)
	if err := b.store(ctx, b.buf, &h); err != nil {
		return err
	}
	b.metrics.accepted(h.Event)
	b.reasons.Note(h.Event, h.Serial, payload)
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
				b.troubles.clear(troubleFull)
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
			b.troubles.raise(troubleFull, "spool takes no events, supervisord buffers them: "+err.Error(), fixFull)
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
	line, _, _ := bytes.Cut(rec[recordHead:], []byte("\n"))
	b.header = append(b.header[:0], line...)
	if len(b.losses.open) > 0 {
		b.noteLoss()
	}
}

func (b *Bridge) shed(rec []byte, h *eventlistener.Header) {
	if !b.full {
		b.full = true
		b.troubles.raise(troubleFull, "spool is nearly full; TICK and PROCESS_LOG are dropped and counted", fixFull)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.account(rec, h, true)
}

// lastRecords stores what is to be told when no event will come any more, as far
// as there is room: the process table if supervisord still answers, losses, and
// that this is the end.
func (b *Bridge) lastRecords() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if b.started {
		b.snapshot(ctx, snapshotStopping)
	}
	if err := b.tellLosses(); err != nil {
		b.log.Error().Err(err).Msg("losses cannot be stored")
	}
	if b.started {
		msg, err := b.ownRecord(schema.BridgeStopping, time.Now())
		if err == nil {
			err = b.append(msg, nil)
		}
		if err != nil {
			b.log.Error().Err(err).Msg("the record of the stop cannot be stored")
		}
	}
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
