package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer"
	"supernats/consumer/notify"
	"supernats/consumer/rules"
	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

// events reads the stream of events: what matches a rule is published as a
// notification, then the states are stored, then the messages are done. Killed
// anywhere between, it does the same again: a notification has one id, and a
// record knows the sequence of the last event in it.
type events struct {
	js     jetstream.JetStream
	rules  *rules.Set
	maxAge time.Duration
	log    zerolog.Logger

	states *table[schema.State]
	hosts  *table[schema.Host]
	// window is how long the stream of alerts remembers an id.
	window time.Duration
	tooOld int
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
	var err error
	if v.states, err = newTable[schema.State](ctx, v.js, stream.StateBucket, v.log); err != nil {
		return err
	}
	if v.hosts, err = newTable[schema.Host](ctx, v.js, stream.HostsBucket, v.log); err != nil {
		return err
	}
	alerts, err := v.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	v.window = alerts.CachedInfo().Config.Duplicates
	src, err := newDurableSource(ctx, v.js)
	if err != nil {
		return err
	}
	defer src.Close()
	ok()
	return v.follow(ctx, src, ok)
}

// follow handles batch after batch of a source.
func (v *events) follow(ctx context.Context, src source, ok func()) error {
	for {
		batch, err := src.Batch(ctx)
		if err != nil {
			return err
		}
		for _, m := range batch {
			if err := v.one(ctx, m); err != nil {
				return err
			}
		}
		if err := errors.Join(v.states.Flush(ctx), v.hosts.Flush(ctx)); err != nil {
			return err
		}
		if err := src.Done(ctx); err != nil {
			return err
		}
		if v.tooOld > 0 {
			v.log.Info().Int("events", v.tooOld).Dur("max_age", v.maxAge).Msg("events are too old to be told to people; their state is recorded")
			v.tooOld = 0
		}
		ok()
	}
}

// one applies a message. An error means that it has to be read again; a message
// that nobody can read is parked.
func (v *events) one(ctx context.Context, raw jetstream.Msg) error {
	m, err := consumer.NewMessage(raw)
	if err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(m.Subject, schema.EventPrefix):
		ce, err := m.Event()
		if err != nil {
			return v.park(ctx, raw, err)
		}
		return v.event(ctx, m, ce)
	case strings.HasPrefix(m.Subject, schema.BridgePrefix) && strings.HasSuffix(m.Subject, "."+schema.BridgeStarted):
		ce, err := schema.Unmarshal[*schema.Bridge](m.Data)
		if err == nil && (ce.Data == nil || ce.Data.Host == "") {
			err = fmt.Errorf("record %q has no host", ce.ID)
		}
		if err == nil && !schema.OfHost(m.Subject, schema.BridgePrefix, ce.Data.Host) {
			err = fmt.Errorf("record %q of host %q was published on %s, by another host", ce.ID, ce.Data.Host, m.Subject)
		}
		if err != nil {
			return v.park(ctx, raw, err)
		}
		return v.bridgeStarted(ctx, m, ce)
	}
	return nil
}

func (v *events) park(ctx context.Context, raw jetstream.Msg, reason error) error {
	v.log.Error().Err(reason).Str("subject", raw.Subject()).Str("parked", stream.ParkedSubject(durableName)).Msg("message is no event of ours; it is parked")
	return consumer.ParkMessage(ctx, v.js, stream.Events, durableName, raw, reason)
}

func (v *events) event(ctx context.Context, m *consumer.Message, ce *schema.CloudEvent[*schema.Event]) error {
	now := time.Now()
	engine := rules.New(v.rules)
	tooOld := engine.Event(rules.Meta{Seq: m.Seq, Stored: m.Stored}, ce, now.Add(-v.maxAge))
	notes := engine.Take()
	if tooOld {
		v.tooOld++
	}
	for _, n := range notes {
		if err := v.publish(ctx, m, n, now); err != nil {
			return err
		}
	}
	key := schema.StateKey(ce.Data.Host, ce.Data.Group, ce.Data.Process)
	if !schema.Is(ce.Data.Event, "PROCESS_STATE") || ce.Data.Process == "" {
		return nil
	}
	old, err := v.states.Get(ctx, key)
	if err != nil {
		return err
	}
	if next, ok := state.Apply(old, state.Meta{Seq: m.Seq, Stored: m.Stored}, ce); ok {
		v.states.Set(key, next)
	}
	return nil
}

func (v *events) bridgeStarted(ctx context.Context, m *consumer.Message, ce *schema.CloudEvent[*schema.Bridge]) error {
	key := schema.Token(ce.Data.Host)
	old, err := v.hosts.Get(ctx, key)
	if err != nil {
		return err
	}
	fleet := state.NewFleet()
	if old != nil {
		fleet.Load([]schema.Host{*old}, nil)
	}
	if c := fleet.Bridge(state.Meta{Seq: m.Seq, Stored: m.Stored}, schema.BridgeStarted, ce); c.Host != nil {
		v.hosts.Set(key, c.Host)
	}
	return nil
}

// headerSeq is the header of a notification that holds the sequence of the last
// event in it.
const headerSeq = "Supernats-Event-Seq"

// publish stores a notification, once.
func (v *events) publish(ctx context.Context, m *consumer.Message, n rules.Notification, now time.Time) error {
	// The stream recognises the id for a while. A notification of an older
	// event may have been made before that, by a daemon that was killed.
	if now.Sub(m.Stored) > v.window/2 {
		if done, err := v.published(ctx, n, m.Seq); done || err != nil {
			return err
		}
	}
	host, err := v.hosts.Get(ctx, schema.Token(n.Alert.Host))
	if err != nil {
		return err
	}
	if host != nil && host.Address != "" {
		n.Alert.Labels = map[string]string{notify.LabelAddress: host.Address}
	}
	json, err := schema.Marshal(n.Alert.Envelope(n.ID, schema.TypeAlertFiring, now))
	if err != nil {
		return err
	}
	msg := &nats.Msg{Subject: n.Alert.Subject(), Data: json, Header: nats.Header{
		stream.HeaderContentType: {schema.ContentType},
		headerSeq:                {strconv.FormatUint(m.Seq, 10)},
	}}
	ack, err := v.js.PublishMsg(ctx, msg, jetstream.WithMsgID(n.ID))
	if err != nil {
		return fmt.Errorf("publish alert %s: %w", n.ID, err)
	}
	if !ack.Duplicate {
		v.log.Info().Str("rule", n.Alert.Rule).Str("host", n.Alert.Host).Str("group", n.Alert.Group).
			Str("process", n.Alert.Process).Str("event", n.Alert.Events[0].ID).Msg("alert")
	}
	return nil
}

// published reports whether a notification about this event, or about a later
// one of its process and rule, is already stored: they are made in order.
func (v *events) published(ctx context.Context, n rules.Notification, seq uint64) (bool, error) {
	s, err := v.js.Stream(ctx, stream.Alerts)
	if err != nil {
		return false, fmt.Errorf("look up stream %s: %w", stream.Alerts, err)
	}
	last, err := s.GetLastMsgForSubject(ctx, n.Alert.Subject())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up the last alert on %s: %w", n.Alert.Subject(), err)
	}
	done, err := strconv.ParseUint(last.Header.Get(headerSeq), 10, 64)
	return err == nil && seq <= done, nil
}
