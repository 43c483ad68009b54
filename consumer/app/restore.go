package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/alerts"
	"supernats/consumer/health"
	"supernats/consumer/records"
	"supernats/schema"
	"supernats/schema/stream"
)

// restore takes up where the last daemon was.
func (v *events) restore(ctx context.Context, src *durableSource) error {
	var clock time.Time
	err := health.Unbroken(ctx, v.js.Conn(), func(asking context.Context) (err error) {
		clock, err = v.restoreRecords(asking, src)
		return err
	})
	if err != nil {
		return err
	}
	v.reconnects = v.js.Conn().Stats().Reconnects
	mutes, err := watchMutes(ctx, v.js, v.mutes, v.log)
	if err != nil {
		return err
	}

	v.mutes = mutes
	v.engine.SetHorizon(v.oldest())
	list, _ := v.mutes.now()
	v.engine.SetMutes(clock, list)
	v.engine.TrustSilence(time.Now().Add(v.skew - heartbeatsKept))
	v.flushed, v.unacked, v.waiting = time.Now(), 0, time.Time{}
	v.looked, v.began, v.swept, v.sweptGone = v.flushed, v.flushed, v.flushed, v.flushed
	return nil
}

// restoreRecords makes a machine that is where the records are. It returns when the last
// message was stored that will not come again.
func (v *events) restoreRecords(ctx context.Context, src *durableSource) (clock time.Time, err error) {
	published, err := v.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return time.Time{}, fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	v.window = published.CachedInfo().Config.Duplicates
	v.maxAlert = max(0, int(published.CachedInfo().Config.MaxMsgSize))
	v.skew = time.Until(published.CachedInfo().TimeStamp)
	if v.signer, err = newSigner(ctx, v.js, v.signer); err != nil {
		return time.Time{}, err
	}
	stored, err := v.openBuckets(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if v.machine != nil {
		// What vanished while it was read is in memory alone.
		if vanished, err := v.recordsVanished(ctx); err != nil || vanished {
			return time.Time{}, cmp.Or(err, records.ErrRestored)
		}
	}
	gone, err := v.forgottenBefore(ctx, src.floor, stored.hosts, stored.states)
	if err != nil {
		return time.Time{}, err
	}
	var saved alerts.Saved
	for _, s := range stored.states {
		saved.States = append(saved.States, *s)
	}
	for _, h := range stored.hosts {
		saved.Hosts = append(saved.Hosts, *h)
	}
	for _, a := range stored.alerts {
		saved.Alerts = append(saved.Alerts, a)
	}
	if saved.Clock, err = storedAt(ctx, v.js, src.floor); err != nil {
		return time.Time{}, err
	}
	if src.continuity != isSame { // what the stream lacks will not come again either
		saved.Clock = later(saved.Clock, v.known.read.stored)
	}
	m := newMachine(v.plan.set, v.plan.cfg.Limits.Fleet())
	for _, left := range gone {
		m.drop(left)
	}
	m.engine.LimitRecords(stored.alertBucket.Limit())
	m.fleet.Load(saved.Hosts, saved.States)
	m.engine.LostUpTo(v.line.Base)
	var missing error
	var listed map[uint64]schema.AlertEvent
	if v.machine != nil {
		listed = v.engine.Unsent()
	}
	saved.Event = func(seq uint64) *schema.AlertEvent {
		if e, ok := listed[seq]; ok {
			return &e
		}
		e, err := v.alertEvent(ctx, m, seq)
		missing = cmp.Or(missing, err)
		return e
	}
	m.engine.Restore(saved)
	if missing != nil {
		return time.Time{}, missing
	}
	if src.continuity != isSame {
		m.repeatsUntil = time.Now().Add(v.skew + repeatsFor)
	}
	// All or none: as long as the machine is the old one, so is what it knows of buckets.
	v.states, v.hosts, v.alerts = stored.stateBucket, stored.hostBucket, stored.alertBucket
	v.machine = m
	return saved.Clock, nil
}

// storedAt returns when the stream got a message; the zero time if it does not have
// it any more.
func storedAt(ctx context.Context, js jetstream.JetStream, seq uint64) (time.Time, error) {
	if seq == 0 {
		return time.Time{}, nil
	}
	m, err := storedMessage(ctx, js, seq)
	if err != nil || m == nil {
		return time.Time{}, err
	}
	return m.Time, nil
}

// alertEvent reads what a notification says of a message, nil if the stream does
// not have it any more. Its time is corrected as it was when it came.
func (v *events) alertEvent(ctx context.Context, m *machine, position uint64) (*schema.AlertEvent, error) {
	seq := v.line.seq(position)
	if seq == 0 {
		return nil, nil // it was in a stream that is no more
	}
	raw, err := storedMessage(ctx, v.js, seq)
	if err != nil || raw == nil {
		return nil, err
	}
	in := &consumer.Message{Subject: raw.Subject, Data: raw.Data, Seq: position, Stored: raw.Time, Sent: consumer.SentAt(raw.Header)}
	if strings.HasSuffix(raw.Subject, "."+schema.BridgeLoss) && strings.HasPrefix(raw.Subject, schema.BridgePrefix) {
		ce, err := read(in, schema.BridgePrefix, func(l *schema.Loss) string { return l.Host })
		if err != nil {
			return nil, nil // it cannot have matched
		}
		at := correct(m.fleet, in, ce.Data.Host, ce.Data.Boot, ce)
		return alerts.LossOf(ruleMeta(at), ce), nil
	}
	ce, err := eventOf(in)
	if err != nil {
		return nil, nil // it cannot have matched
	}
	at := correct(m.fleet, in, ce.Data.Host, ce.Data.Boot, ce)
	return alerts.EventOf(ruleMeta(at), ce), nil
}

// storedMessage reads a message of the stream of events, nil if it is not there any more.
func storedMessage(ctx context.Context, js jetstream.JetStream, seq uint64) (*jetstream.RawStreamMsg, error) {
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
