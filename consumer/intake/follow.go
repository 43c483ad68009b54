package intake

import (
	"cmp"
	"context"
	"errors"
	"time"

	"supernats/consumer/health"
	"supernats/consumer/intake/machine"
	"supernats/consumer/source"
	"supernats/schema"
)

const (
	// flushEvery is how often records are stored while there is more to read. A process that
	// changes a hundred times in between is written once.
	flushEvery = 200 * time.Millisecond
	// defaultSeenEvery and maxUnacked bound what is read again after a kill.
	defaultSeenEvery = 10 * time.Second
	maxUnacked       = 50_000
)

// messages is the stream of events as follow reads it, see source.Events.
type messages interface {
	Batch(ctx context.Context, wait time.Duration) ([]source.Received, error)
	Now(ctx context.Context) (now time.Time, all bool, err error)
	Done(ctx context.Context) error
}

// follow handles one batch after the other.
func (r *Reader) follow(ctx context.Context, src messages, ok func()) error {
	for {
		if err := r.checkBuckets(ctx); err != nil {
			return err
		}
		batch, err := src.Batch(ctx, min(r.waitTime(), againWithin))
		if err != nil {
			return err
		}

		r.horizon = r.oldest()
		if list, changed := r.silences.Now(); changed {
			r.machine.Engine.SetSilences(r.clock.now(), list)
		}
		if err := r.applyBatch(ctx, batch); err != nil {
			return err
		}
		if len(batch) > 0 {
			r.clock.noteArrived()
		} else if err := r.advanceRules(ctx, src); err != nil {
			return err
		}
		if !r.hasMore {
			r.sweeper.sweep(ctx, r)
		}

		if err := r.publishPending(ctx); err != nil {
			return err
		}
		if r.isFlushDue(!r.hasMore) {
			flush := func(ctx context.Context) error { return r.flushRecords(ctx, src) }
			if err := health.Unbroken(ctx, r.js.Conn(), flush); err != nil {
				return err
			}
		}
		r.beat()
		// Reading alone is no success: what cannot be stored is read again and again.
		if r.unacked == 0 && !r.machine.IsDirty() {
			ok()
		}
	}
}

// checkBuckets returns errReopen if streams or buckets were replaced, and reads the silences
// again after a reconnect.
func (r *Reader) checkBuckets(ctx context.Context) (err error) {
	select {
	case <-r.session.Again:
		return errReopen
	default:
	}
	other, err := r.isOther(ctx)
	if err != nil || other || r.surplus.isDue() {
		return cmp.Or(err, errReopen)
	}

	r.silences, err = r.silences.Renew(ctx, r.js)
	return err
}

// isOther reports, every lookEvery, whether a bucket was replaced. A write would show it
// too, but without events there are no writes.
func (r *Reader) isOther(ctx context.Context) (other bool, err error) {
	if !r.store.isLookDue() {
		return false, nil
	}
	err = health.Unbroken(ctx, r.js.Conn(), func(ctx context.Context) (err error) {
		other, err = r.store.isOther(ctx)
		if err == nil && !other {
			other, err = r.silences.IsOther(ctx, r.js)
		}
		return err
	})
	r.store.rewrite = r.store.rewrite || other
	return other, err
}

func (r *Reader) applyBatch(ctx context.Context, batch []source.Received) error {
	for i := range batch {
		m := &batch[i]
		if err := r.applyMessage(ctx, m); err != nil {
			return err
		}
		if r.session.Count != nil && m.Seq > r.known.Read.Position {
			r.session.Count(m.Subject)
		}
		r.known.Read = source.Place{
			Position: max(r.known.Read.Position, m.Seq), Stored: later(r.known.Read.Stored, m.Stored),
		}
		r.hasMore = m.Meta.NumPending > 0
	}
	r.unacked += len(batch)
	return nil
}

// applyMessage applies a message. One that is unreadable is parked.
func (r *Reader) applyMessage(ctx context.Context, m *source.Received) error {
	err := r.machine.Apply(&m.Message, r.horizon)
	if err == nil || !errors.As(err, new(machine.Unreadable)) {
		return err
	}
	refuse := func(ctx context.Context) error { return r.refuseMessage(ctx, m, err) }
	return health.Unbroken(ctx, r.js.Conn(), refuse)
}

// oldest is the time before which events are too old for notifications, by the server's
// clock: ours may be wrong.
func (r *Reader) oldest() time.Time { return r.clock.now().Add(-r.plan.MaxAge) }

// waitTime is how long to wait for messages: until a timer of the rules or a flush is due.
func (r *Reader) waitTime() time.Duration {
	wait := r.seenEvery
	if r.unacked > 0 {
		wait = time.Until(r.flushed.Add(r.seenEvery))
	}
	if at, ok := r.machine.Engine.Next(); ok {
		wait = min(wait, r.clock.untilReadable(at))
	}
	return max(wait, time.Millisecond)
}

// advanceRules moves the clock of the rules to the server's time if a timer is due. It
// waits until all messages up to that time are read: a timer must not fire before an
// earlier message.
func (r *Reader) advanceRules(ctx context.Context, src messages) error {
	at, ok := r.machine.Engine.Next()
	if !ok || r.clock.untilReadable(at) > 0 {
		return nil
	}
	var now time.Time
	var all bool
	err := health.Unbroken(ctx, r.js.Conn(), func(ctx context.Context) (err error) {
		now, all, err = src.Now(ctx)
		return err
	})
	if errors.Is(err, source.ErrPaused) {
		r.clock.setTime(now)
		r.clock.noteArrived()
		return nil
	}
	if err != nil {
		return err
	}

	r.clock.setTime(now)
	if !all {
		return r.clock.noteMissing(now)
	}
	r.clock.noteArrived()
	r.machine.Engine.Advance(now.Add(-settled))
	return nil
}

// publishPending publishes the notifications of the rules. The outbox keeps them until the
// stream has stored them, even if the stream vanishes meanwhile.
func (r *Reader) publishPending(ctx context.Context) error {
	r.outbox.Add(r.machine.Take())
	return r.outbox.Flush(ctx, r.clock.now(), r.machine.Engine.Published)
}

// isFlushDue reports whether to store records; all if there is nothing more to read.
func (r *Reader) isFlushDue(all bool) bool {
	since := time.Since(r.flushed)
	dirty := r.machine.IsDirty()
	switch {
	case r.unacked == 0 && !dirty:
		return false
	case r.unacked >= maxUnacked, since >= r.seenEvery, r.failed && all:
		return true
	}
	return dirty && (all || since >= flushEvery)
}

// flushRecords stores the records that changed and acknowledges what was read.
func (r *Reader) flushRecords(ctx context.Context, src messages) error {
	if err := r.store.write(ctx, r.machine); err != nil {
		return err
	}
	if r.unacked > 0 {
		if err := src.Done(ctx); err != nil {
			return err
		}
		r.known.Acked = r.known.Read
	}
	// Only after the acknowledgement: messages that are read again need these records.
	if err := r.store.deleteForgotten(ctx, r.machine); err != nil {
		return err
	}

	r.machine.Changes.Clear()
	r.flushed, r.unacked = time.Now(), 0
	if r.machine.TooOld > 0 {
		r.log.Info().Int("events", r.machine.TooOld).Stringer("max_age", schema.Duration(r.plan.MaxAge)).
			Msg("events are too old for notifications; their state is recorded")
		r.machine.TooOld = 0
	}
	return nil
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
