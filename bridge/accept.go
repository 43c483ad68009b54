package bridge

import (
	"bytes"
	"context"
	"errors"
	"time"

	"supernats/bridge/eventlistener"
	"supernats/bridge/record"
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

// openSpool opens the spool. Where that is not possible, events go through memory,
// and the spool is tried again: a listener that waits for a directory is as good as
// none. The error is that of ctx.
func (b *Bridge) openSpool(ctx context.Context) error {
	var before *history // what the spool tells, if it is open at once
	q, err := spool.OpenQueue(ctx, spool.QueueOptions{
		Options: spool.Options{
			Max: int64(b.cfg.SpoolMax), Sync: b.cfg.SpoolSync.every,
			Lost: b.spoolLost, Event: record.EventPlace,
			Waiting: func(holder string) {
				b.log.Info().Str("pid", holder).Msg("another supernats-bridge has our spool open; waiting for it for a moment")
			},
			Failed: func(err error) {
				if b.spoolFails.Failed(err) {
					b.log.Error().Err(err).Msg("spool reports an error")
				}
			},
		},
		Find: b.cfg.findSpool, Elsewhere: b.cfg.elsewhere(), Owner: b.cfg.owner(),
		Supervisord: b.life.evidence.LocalPID(),
		Opening: func(dir string, own bool) (func(uint64, []byte), func(spool.Left)) {
			y := new(history)
			if own {
				y.table = b.keepIn(dir)
			}
			return y.record, func(left spool.Left) {
				y.end(left)
				b.metrics.lossOf(causeFull, left.Memory)
				if b.spool == nil {
					before = y
					return
				}
				b.catchUp(y, own)
			}
		},
		Raise: b.troubles.Raise, Clear: b.troubles.Clear,
	})
	if err != nil {
		return err
	}
	b.spool = q
	if before == nil {
		before = &history{damaged: true} // what an earlier run had is not known
	}
	b.continueFrom(before)

	log := b.log.Info().Str("spool", q.Dir())
	if n := q.Stats().Records; n > 0 {
		log = log.Uint64("records", n)
	}
	if q.Dir() != "" {
		log.Msg("spool is open")
	}
	return nil
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
		b.settle(&h)
		if err := b.recordStarted(ctx, now); err != nil {
			return err
		}
		b.started = true
		b.troubles.Restate()
		b.wantSnapshot(snapshotStart)
	}
	b.serial.Store(h.Serial)
	if bytes.Equal(header, b.header) {
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
	b.buf = f.AppendTo(record.AppendEvent(b.buf[:0], now, b.boot.load(), header, payload))
	if err := b.store(ctx, b.buf, &h); err != nil {
		return err
	}
	b.metrics.accepted(h.Event)
	b.reasons.Note(h.Event, h.Serial, payload)
	return nil
}

// store appends a record. If there is no room, an event that may be shed is
// counted and let go; for any other one it waits, and supervisord buffers. It also
// waits for one that is in memory, which a kill takes away: until the stream has it,
// or the disk takes it after all. h is nil for a record of our own.
func (b *Bridge) store(ctx context.Context, rec []byte, h *eventlistener.Header) error {
	sheddable := h != nil && (schema.Is(h.Event, "TICK") || schema.Is(h.Event, "PROCESS_LOG"))
	for {
		if sheddable && b.spool.Used() > shedAbove {
			b.shed(rec, h)
			return nil
		}
		room := b.spool.Room()
		done, err := b.append(rec, h, !sheddable)
		switch {
		case err == nil:
			if b.full && b.spool.Used() < shedAbove {
				b.full = false
				b.troubles.Clear(troubleFull)
			}
			return settled(ctx, done)
		case errors.Is(err, spool.ErrTooBig), errors.Is(err, spool.ErrFinished):
			return err
		case sheddable && errors.Is(err, spool.ErrFull):
			b.shed(rec, h)
			return nil
		}
		if !b.full {
			b.full = true
			b.troubles.Raise(troubleFull, "spool takes no events, supervisord buffers them: "+err.Error(), fixFull)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-room:
		case <-time.After(tryAgain):
		}
	}
}

// settled waits until what was in memory is safe.
func settled(ctx context.Context, done <-chan struct{}) error {
	if done == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-done:
		return nil
	}
}

// append stores a record; the event of h, if it is one, is then accounted for. If that
// is in memory and has to be safe, done is closed when it is.
func (b *Bridge) append(rec []byte, h *eventlistener.Header, safe bool) (done <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h == nil {
		return nil, b.spool.Append(rec)
	}
	if safe {
		done, err = b.spool.AppendSafe(rec)
	} else {
		err = b.spool.Append(rec)
	}
	if err == nil {
		b.account(rec, h, false)
	}
	return done, err
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
	v, _ := record.Parse(rec)
	b.header = append(b.header[:0], v.Header...)
	at, _ := record.Time(rec)
	b.table.Event(tableEvent(b.losses.boot, h, v.Body, at))
	if len(b.losses.open) > 0 {
		b.noteLoss()
	}
}

func (b *Bridge) shed(rec []byte, h *eventlistener.Header) {
	if !b.full {
		b.full = true
		b.troubles.Raise(troubleFull, "spool is nearly full; TICK and PROCESS_LOG are dropped and counted", fixFull)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.account(rec, h, true)
}

// spoolLost is called for records that the spool cannot read.
func (b *Bridge) spoolLost(l spool.Loss) {
	lost := l.Events
	if !l.Later {
		lost += l.Records
	}
	b.log.Error().Uint64("records", l.Records).Uint64("events", lost).Int64("damaged_bytes", l.Bytes).Str("kept", l.File).
		Bool("counted_later", l.Later).Msg("spool is damaged: records are lost; the damaged file is kept")
	if l.Later {
		return
	}
	b.metrics.loss(causeCorrupt, lost)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.losses.corrupt(lost)
	b.noteLoss()
}

// endOfSpool is called when all is read. When no event will come any more it stores
// the losses that came to light by reading, and more is true: they, or the end of the
// spool, can be read.
func (b *Bridge) endOfSpool() (more bool) {
	if !b.ending.Load() {
		return false
	}
	b.mu.Lock()
	open := len(b.losses.open)
	b.mu.Unlock()
	if open > 0 {
		err := b.tellLosses()
		if err == nil {
			return true
		}
		if !errors.Is(err, spool.ErrFinished) {
			b.log.Error().Err(err).Msg("losses cannot be stored")
		}
	}
	b.spool.Finish()
	return true
}
