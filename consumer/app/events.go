package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer"
	"supernats/consumer/rules"
	"supernats/schema"
	"supernats/schema/stream"
)

// events reads the stream of events: what the rules make of it is published, then
// the records are stored, then the messages are done. Killed anywhere between, it
// does the same again: a notification has one id, and a record knows the sequence
// of the last message in it.
type events struct {
	js   jetstream.JetStream
	plan *plan
	log  zerolog.Logger
	// seenEvery is how often the times are stored at which hosts were seen. What
	// was read since is read again after a restart.
	seenEvery time.Duration

	*machine
	states *bucket[schema.State]
	hosts  *bucket[schema.Host]
	alerts *bucket[schema.OpenAlert]
	mutes  *mutes
	// window is how long the stream of alerts remembers an id.
	window time.Duration
	// maxAlert is how large it takes a message, once it has refused one; 0: as the
	// server.
	maxAlert int

	horizon time.Time // what is older is told to nobody
	behind  bool      // the stream has more than was read
	flushed time.Time // when records were stored the last time
	unacked int       // messages read since
	waiting time.Time // since when messages that were sent have not arrived
	// began is since when events are read; swept is when hosts that are gone were looked
	// for the last time, sweptGone processes.
	began, swept, sweptGone time.Time
	// skew is how far the server's clock is ahead of ours.
	skew time.Duration
}

const (
	// flushEvery is how often records are stored while there is more to read: a
	// process that changes a hundred times in between is written once.
	flushEvery = 200 * time.Millisecond
	// defaultSeenEvery bounds, with maxUnacked, what is read again.
	defaultSeenEvery = 10 * time.Second
	maxUnacked       = 50_000
	// settled is how long a message may be stored before its consumer knows of it.
	settled = 50 * time.Millisecond
	// maxLate is how long what the server has sent may be on its way.
	maxLate = 2 * time.Second
	// heartbeatsKept is how long the stream keeps what every host sends: TICK_5 and
	// snapshots. Before that nobody can say that a host was silent.
	heartbeatsKept = time.Hour
)

func newEvents(js jetstream.JetStream, p *plan, log zerolog.Logger) *events {
	return &events{js: js, plan: p, log: log, seenEvery: defaultSeenEvery}
}

// run works until ctx ends; whatever goes wrong is tried again.
func (v *events) run(ctx context.Context, ready func()) error {
	t := retry{log: v.log, what: "reading events"}
	for {
		err := v.read(ctx, func() { t.over(); ready() })
		if err := t.wait(ctx, err); err != nil {
			return err
		}
	}
}

func (v *events) read(ctx context.Context, ok func()) error {
	src, err := newDurableSource(ctx, v.js)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := v.restore(ctx, src.floor); err != nil {
		return err
	}
	defer v.mutes.stop()
	ok()
	return v.follow(ctx, src, ok)
}

// restore takes up where the last daemon was: floor is the sequence of the last
// message that will not come again.
func (v *events) restore(ctx context.Context, floor uint64) error {
	alerts, err := v.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	v.window = alerts.CachedInfo().Config.Duplicates
	v.skew = time.Until(alerts.CachedInfo().TimeStamp)
	var saved rules.Saved
	var states map[string]*schema.State
	var hosts map[string]*schema.Host
	var open map[string]*schema.OpenAlert
	if v.states, states, err = openBucket[schema.State](ctx, v.js, stream.StateBucket, v.log); err != nil {
		return err
	}
	if v.hosts, hosts, err = openBucket[schema.Host](ctx, v.js, stream.HostsBucket, v.log); err != nil {
		return err
	}
	if v.alerts, open, err = openBucket[schema.OpenAlert](ctx, v.js, stream.AlertsBucket, v.log); err != nil {
		return err
	}
	if v.mutes, err = watchMutes(ctx, v.js, v.log); err != nil {
		return err
	}
	gone, err := v.forgottenBefore(ctx, floor, hosts, states)
	if err != nil {
		return err
	}
	for _, s := range states {
		saved.States = append(saved.States, *s)
	}
	for _, h := range hosts {
		saved.Hosts = append(saved.Hosts, *h)
	}
	for _, a := range open {
		saved.Alerts = append(saved.Alerts, a)
	}
	if saved.Clock, err = storedAt(ctx, v.js, floor); err != nil {
		return err
	}
	var missing error
	saved.Event = func(seq uint64) *schema.AlertEvent {
		e, err := v.alertEvent(ctx, seq)
		missing = cmp.Or(missing, err)
		return e
	}
	v.machine = newMachine(v.plan.set)
	for _, left := range gone {
		v.drop(left)
	}
	v.fleet.Load(saved.Hosts, saved.States)
	v.engine.Restore(saved)
	if missing != nil {
		return missing
	}
	v.engine.SetHorizon(v.oldest())
	list, _ := v.mutes.now()
	v.engine.SetMutes(saved.Clock, list)
	v.engine.TrustSilence(time.Now().Add(v.skew - heartbeatsKept))
	v.flushed, v.unacked, v.waiting = time.Now(), 0, time.Time{}
	v.began, v.swept, v.sweptGone = time.Now(), time.Now(), time.Now()
	return nil
}

// follow handles batch after batch of a source.
func (v *events) follow(ctx context.Context, src source, ok func()) error {
	for {
		batch, err := src.Batch(ctx, v.pause())
		if err != nil {
			return err
		}
		v.horizon = v.oldest()
		if list, changed := v.mutes.now(); changed {
			v.engine.SetMutes(time.Now().Add(v.skew), list)
		}
		for i := range batch {
			if err := v.one(ctx, &batch[i]); err != nil {
				return err
			}
			v.behind = batch[i].meta.NumPending > 0
		}
		v.unacked += len(batch)
		if len(batch) > 0 {
			v.waiting = time.Time{}
		} else if err := v.timers(ctx, src); err != nil {
			return err
		}
		if !v.behind {
			v.sweep(ctx)
		}
		if err := v.publish(ctx, v.take()); err != nil {
			return err
		}
		if v.due(!v.behind) {
			if err := v.flush(ctx, src); err != nil {
				return err
			}
		}
		ok()
	}
}

// oldest is before when events are too old for people, by the server's clock: ours may
// be wrong.
func (v *events) oldest() time.Time {
	return time.Now().Add(v.skew - time.Duration(v.plan.cfg.MaxAge))
}

// one applies a message; one that nobody can read is parked.
func (v *events) one(ctx context.Context, m *received) error {
	err := v.apply(&m.Message, v.horizon)
	if errors.As(err, new(unreadable)) {
		v.log.Error().Err(err).Str("subject", m.Subject).Str("parked", stream.ParkedSubject(durableName)).Msg("message is not one of ours; it is parked")
		return consumer.ParkMessage(ctx, v.js, stream.Events, durableName, m.raw, err)
	}
	return err
}

// pause is how long to wait for messages: until a timer or a flush is due.
func (v *events) pause() time.Duration {
	wait := v.seenEvery
	if v.unacked > 0 {
		wait = time.Until(v.flushed.Add(v.seenEvery))
	}
	if at, ok := v.engine.Next(); ok {
		wait = min(wait, time.Until(at.Add(settled-v.skew)))
	}
	return max(wait, time.Millisecond)
}

// timers lets the rules' clock go on. It follows the server's while there is
// nothing to read, since a timer must not fire before a message of an earlier time.
func (v *events) timers(ctx context.Context, src source) error {
	at, ok := v.engine.Next()
	if !ok || time.Until(at.Add(settled-v.skew)) > 0 {
		return nil
	}
	now, all, err := src.Now(ctx)
	if err != nil {
		return err
	}
	v.skew = time.Until(now)
	if !all {
		return v.late(now)
	}
	v.waiting = time.Time{}
	v.engine.Advance(now.Add(-settled))
	return nil
}

// late ends reading when what the server has sent does not come: it went into a
// connection, or a request, that is no more.
func (v *events) late(now time.Time) error {
	if v.waiting.IsZero() {
		v.waiting = now
	}
	if now.Sub(v.waiting) > maxLate {
		return errors.New("messages that were sent have not arrived; they are read again")
	}
	return nil
}

// due reports whether records have to be stored.
func (v *events) due(all bool) bool {
	since := time.Since(v.flushed)
	switch {
	case v.unacked == 0 && !v.worth && !v.engine.Dirty():
		return false
	case v.unacked >= maxUnacked, since >= v.seenEvery:
		return true
	}
	return (v.worth || v.engine.Dirty()) && (all || since >= flushEvery)
}

// flush stores what changed and acknowledges what was read.
func (v *events) flush(ctx context.Context, src source) error {
	var open []record[schema.OpenAlert]
	for _, c := range v.engine.Changed() {
		open = append(open, record[schema.OpenAlert]{c.Key, c.Record})
	}
	// In this order: what alerts know of processes and hosts must not be younger
	// than what they know of themselves.
	if err := v.alerts.write(ctx, open); err != nil {
		return err
	}
	if err := v.states.write(ctx, records(v.machine.states)); err != nil {
		return err
	}
	if err := v.hosts.write(ctx, records(v.machine.hosts)); err != nil {
		return err
	}
	if v.unacked > 0 {
		if err := src.Done(ctx); err != nil {
			return err
		}
	}
	if err := v.cleanUp(ctx); err != nil {
		return err
	}
	clear(v.machine.states)
	clear(v.machine.hosts)
	v.worth = false
	v.flushed, v.unacked = time.Now(), 0
	if v.tooOld > 0 {
		v.log.Info().Int("events", v.tooOld).Stringer("max_age", v.plan.cfg.MaxAge).Msg("events are too old to be told to people; their state is recorded")
		v.tooOld = 0
	}
	return nil
}

func records[T any](changed map[string]*T) []record[T] {
	list := make([]record[T], 0, len(changed))
	for key, value := range changed {
		if value != nil { // what is to be deleted comes last, see forget.go
			list = append(list, record[T]{key, value})
		}
	}
	return list
}

// storedAt returns when the stream got a message; the zero time if it does not have
// it any more.
func storedAt(ctx context.Context, js jetstream.JetStream, seq uint64) (time.Time, error) {
	if seq == 0 {
		return time.Time{}, nil
	}
	m, err := stored(ctx, js, seq)
	if err != nil || m == nil {
		return time.Time{}, err
	}
	return m.Time, nil
}

// alertEvent reads what a notification says of a message, nil if the stream does
// not have it any more. Its time is corrected as it was when it came.
func (v *events) alertEvent(ctx context.Context, seq uint64) (*schema.AlertEvent, error) {
	m, err := stored(ctx, v.js, seq)
	if err != nil || m == nil {
		return nil, err
	}
	in := &consumer.Message{Subject: m.Subject, Data: m.Data, Seq: seq, Stored: m.Time, Sent: consumer.SentAt(m.Header)}
	if strings.HasSuffix(m.Subject, "."+schema.BridgeLoss) && strings.HasPrefix(m.Subject, schema.BridgePrefix) {
		ce, err := read(in, schema.BridgePrefix, func(l *schema.Loss) string { return l.Host })
		if err != nil {
			return nil, nil // it cannot have matched
		}
		at := correct(v.machine.fleet, in, ce.Data.Host, ce.Data.Boot, ce)
		return rules.LossOf(ruleMeta(at), ce), nil
	}
	ce, err := in.Event()
	if err != nil {
		return nil, nil // it cannot have matched
	}
	at := correct(v.machine.fleet, in, ce.Data.Host, ce.Data.Boot, ce)
	return rules.EventOf(ruleMeta(at), ce), nil
}

// stored reads a message of the stream of events, nil if it is not there any more.
func stored(ctx context.Context, js jetstream.JetStream, seq uint64) (*jetstream.RawStreamMsg, error) {
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
