package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/alerts"
	"supernats/consumer/health"
	"supernats/consumer/intake/machine"
	"supernats/consumer/records"
	"supernats/consumer/silences"
	"supernats/consumer/source"
	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

// rewriteVanished writes what this process knows to buckets that were replaced since it read
// them: deleted, lost with a volume, or restored from a backup. That happens before they
// are read, and only in the active instance. moved reports that the stream of events was
// replaced too.
//
// A bucket that was not replaced wins over memory: if somebody deleted a record, it stays
// deleted.
func (r *Reader) rewriteVanished(ctx context.Context, moved bool) error {
	if r.machine == nil {
		return nil
	}
	r.store.rewrite = r.store.rewrite || moved // even if the next step fails
	if err := r.publishPending(ctx); err != nil {
		return err
	}
	other, err := r.store.isOther(ctx)
	if err != nil {
		return err
	}

	// Once begun it has to be finished: a bucket that is half written looks as if it had
	// not been replaced.
	r.store.rewrite = r.store.rewrite || other
	if !r.store.rewrite {
		return nil
	}
	r.machine.Engine.LostUpTo(r.line.Base)
	if err := r.store.rewriteAll(ctx, r.machine, r.plan.Limits, r.session.Held); err != nil {
		return err
	}
	r.store.rewrite = false
	return nil
}

// restore continues where the last daemon stopped.
func (r *Reader) restore(ctx context.Context, src *source.Events) error {
	var clock time.Time
	err := health.Unbroken(ctx, r.js.Conn(), func(asking context.Context) (err error) {
		clock, err = r.restoreRecords(asking, src)
		return err
	})
	if err != nil {
		return err
	}
	followed, err := silences.Watch(ctx, r.js, r.silences, r.log)
	if err != nil {
		return err
	}

	r.silences = followed
	list, _ := followed.Now()
	engine := r.machine.Engine
	engine.SetHorizon(r.oldest())
	engine.SetSilences(clock, list)
	engine.TrustSilence(r.clock.now().Add(-heartbeatsKept))

	now := time.Now()
	r.flushed, r.unacked = now, 0
	r.clock.noteArrived()
	r.store.looked = now
	r.sweeper = sweeper{began: now, swept: now, sweptGone: now}
	return nil
}

// restoreRecords makes a machine from the records. It returns when the stream stored the last
// message that is not delivered again.
func (r *Reader) restoreRecords(ctx context.Context, src *source.Events) (clock time.Time, err error) {
	published, err := r.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return time.Time{}, fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	r.clock.setTime(published.CachedInfo().TimeStamp)
	if err := r.outbox.Open(ctx, published.CachedInfo()); err != nil {
		return time.Time{}, err
	}
	have, gone, err := r.readRecords(ctx, src)
	if err != nil {
		return time.Time{}, err
	}
	saved, err := r.savedOf(ctx, have, src)
	if err != nil {
		return time.Time{}, err
	}

	m := machine.New(r.plan.Rules, r.plan.Limits)
	for _, left := range gone {
		m.Drop(left)
	}
	m.Engine.LimitRecords(have.alertBucket.Limit())
	m.Fleet.Load(saved.Hosts, saved.States)
	m.Engine.LostUpTo(r.line.Base)
	if err := r.restoreAlerts(ctx, m, saved); err != nil {
		return time.Time{}, err
	}
	if src.Continuity != source.IsSame {
		m.RepeatsUntil = r.clock.now().Add(repeatsFor)
	}

	// Both or none: the buckets belong to the machine that was restored from them.
	r.store.adopt(have)
	r.machine = m
	return saved.Clock, nil
}

// readRecords reads the buckets, within the limits. gone lists what has to be deleted of
// hosts that were forgotten.
func (r *Reader) readRecords(
	ctx context.Context, src *source.Events,
) (have *contents, gone []state.Forgotten, err error) {
	have, err = r.store.open(ctx, r.plan.Limits)
	if err != nil {
		return nil, nil, err
	}
	if err := r.surplus.remove(ctx, have, r.session.Health); err != nil {
		return nil, nil, err
	}
	if r.machine != nil {
		// A bucket that was replaced while it was read has lost what is in memory.
		if other, err := r.store.isOther(ctx); err != nil || other {
			return nil, nil, cmp.Or(err, records.ErrRestored)
		}
	}

	gone, err = r.dropForgotten(ctx, src.Floor, have)
	return have, gone, err
}

// savedOf returns the records in the form that the rules restore.
func (r *Reader) savedOf(ctx context.Context, have *contents, src *source.Events) (saved alerts.Saved, err error) {
	for _, s := range have.states {
		saved.States = append(saved.States, *s)
	}
	for _, h := range have.hosts {
		saved.Hosts = append(saved.Hosts, *h)
	}
	for _, a := range have.alerts {
		saved.Alerts = append(saved.Alerts, a)
	}

	saved.Clock, err = storedAt(ctx, r.js, src.Floor)
	if err == nil && src.Continuity != source.IsSame { // what the stream lacks is not delivered again
		saved.Clock = later(saved.Clock, r.known.Read.Stored)
	}
	return saved, err
}

// restoreAlerts restores the open alerts. The events of their next notification come from
// memory, or else from the stream.
func (r *Reader) restoreAlerts(ctx context.Context, m *machine.Machine, saved alerts.Saved) error {
	var listed map[uint64]schema.AlertEvent
	if r.machine != nil {
		listed = r.machine.Engine.Unsent()
	}

	var unread error
	saved.Event = func(seq uint64) *schema.AlertEvent {
		if e, ok := listed[seq]; ok {
			return &e
		}
		e, err := r.alertEvent(ctx, m, seq)
		unread = cmp.Or(unread, err)
		return e
	}
	m.Engine.Restore(saved)
	return unread
}

// alertEvent reads a message and describes it as a notification lists it, nil if the stream
// no longer has it.
func (r *Reader) alertEvent(ctx context.Context, m *machine.Machine, position uint64) (*schema.AlertEvent, error) {
	seq := r.line.Seq(position)
	if seq == 0 {
		return nil, nil // it was in an earlier stream
	}
	raw, err := readMessage(ctx, r.js, seq)
	if err != nil || raw == nil {
		return nil, err
	}
	return m.AlertEvent(&consumer.Message{
		Subject: raw.Subject, Data: raw.Data, Seq: position, Stored: raw.Time, Sent: consumer.SentAt(raw.Header),
	}), nil
}

// storedAt returns when the stream stored a message, the zero time if it no longer has it.
func storedAt(ctx context.Context, js jetstream.JetStream, seq uint64) (time.Time, error) {
	if seq == 0 {
		return time.Time{}, nil
	}
	m, err := readMessage(ctx, js, seq)
	if err != nil || m == nil {
		return time.Time{}, err
	}
	return m.Time, nil
}

// readMessage reads a message of the stream of events, nil if the stream no longer has it.
func readMessage(ctx context.Context, js jetstream.JetStream, seq uint64) (*jetstream.RawStreamMsg, error) {
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream.Events, err)
	}
	m, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read message %d of stream %s: %w", seq, stream.Events, err)
	}
	return m, nil
}
