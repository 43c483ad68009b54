package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/alerts"
	"supernats/consumer/records"
	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

// A host that is gone for good is forgotten by a record in the stream of events,
// supervisor.bridge.<host>.forgotten: `supernats hosts forget` publishes one, and so does
// the daemon, of hosts that have been silent for forget_after and of ephemeral ones that
// have said goodbye. All that derives anything from the stream then does the same: what
// was before the record is dropped, what comes after it is of a new host.
//
// Its alerts are closed and that is stored; then the record is acknowledged, and only
// after that the records of the host are deleted: messages that come again find what they
// changed. If a kill comes between, restore finds the record and deletes the rest.
const (
	// sweepEvery is how often the daemon looks for hosts that are gone.
	sweepEvery = 30 * time.Second
	// comeBack is how long all hosts have, after the daemon began to read, until one may
	// be forgotten for its age: nobody may have read for a month.
	comeBack = 15 * time.Minute
	// publishWithin is how long the stream may take to store the record.
	publishWithin = 3 * time.Second
	// sweepAgain is when it tries again what it was not allowed to do.
	sweepAgain = 10 * time.Minute
	// sweepGoneEvery is how often it looks for processes that have gone long ago.
	sweepGoneEvery = time.Hour
)

// forget takes the record that a host is gone for good.
func (m *machine) forget(in *consumer.Message) error {
	ce, err := read(in, schema.BridgePrefix, func(f *schema.Forgotten) string { return f.Host })
	if err != nil {
		return err
	}
	at := correct(m.fleet, in, ce.Data.Host, "", ce)
	gone := m.fleet.Forget(at, ce.Data)
	if gone.HostKey == "" && ce.Data.LastSeen != nil {
		return nil // it has come back, or is gone already
	}
	m.engine.Apply(alerts.Message{Meta: ruleMeta(at), Forgotten: ce.Data.Host})

	if gone.HostKey == "" {
		return nil
	}
	m.drop(gone)
	m.forgotten[ce.Data.Host] = true
	return nil
}

// drop keeps in mind to delete records.
func (m *machine) drop(gone state.Forgotten) {
	for _, key := range gone.States {
		m.states[key] = nil
	}
	m.hosts[gone.HostKey] = nil
	m.worth = true
}

// sweep looks for hosts and processes that are gone for good.
func (v *events) sweep(ctx context.Context) {
	now, forgetAfter := time.Now(), time.Duration(v.plan.cfg.ForgetAfter)
	every := sweepEvery
	if forgetAfter > 0 {
		every = min(every, max(forgetAfter/4, time.Second))
	}
	if now.Sub(v.swept) < every {
		return
	}
	v.swept = now

	var long time.Time
	if forgetAfter > 0 && now.Sub(v.began) > min(comeBack, forgetAfter) {
		long = now.Add(v.skew - forgetAfter)
	}
	for _, f := range v.fleet.Silent(now.Add(v.skew), long) {
		if err := PublishForgotten(ctx, v.js, f); err != nil {
			v.swept = now.Add(sweepAgain)
			v.log.Warn().Err(err).Str("host", f.Host).Msg("host is gone for good, but that cannot be recorded; `supernats hosts forget` tries it too")
			return
		}
		v.log.Info().Str("host", f.Host).Str("reason", f.Reason).Time("last_seen", f.LastSeen.Time).Msg("host is gone for good; it is forgotten")
	}

	if forgetAfter > 0 && now.Sub(v.sweptGone) > sweepGoneEvery {
		v.sweptGone = now
		for _, key := range v.fleet.ForgetGone(now.Add(v.skew - forgetAfter)) {
			v.machine.states[key], v.worth = nil, true
		}
	}
}

// PublishForgotten says that a host is gone for good.
func PublishForgotten(ctx context.Context, js jetstream.JetStream, f *schema.Forgotten) error {
	ce := f.Envelope(time.Now())
	data, err := schema.Marshal(ce)
	if err != nil {
		return err
	}
	m := nats.NewMsg(schema.BridgeSubject(f.Host, schema.BridgeForgotten))
	m.Data = data
	m.Header.Set(stream.HeaderContentType, schema.ContentType)
	m.Header.Set(jetstream.MsgIDHeader, ce.ID)
	// What is not allowed is not answered.
	ctx, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	if _, err := js.PublishMsg(ctx, m); err != nil {
		return fmt.Errorf("publish %s: %w", m.Subject, err)
	}
	return nil
}

// cleanUp deletes what is left of hosts and processes that were forgotten: their records
// with the history of those, and the consumers by which their bridges look at the stream.
func (v *events) cleanUp(ctx context.Context) error {
	var states []records.Record[schema.ProcessRecord]
	var hosts []records.Record[schema.HostRecord]
	for key, s := range v.machine.states {
		if s == nil {
			states = append(states, records.Record[schema.ProcessRecord]{Key: key})
		}
	}
	for key, h := range v.machine.hosts {
		if h == nil {
			hosts = append(hosts, records.Record[schema.HostRecord]{Key: key})
		}
	}
	if len(states)+len(hosts)+len(v.forgotten) == 0 {
		return nil
	}

	if err := v.states.Write(ctx, states); err != nil {
		return err
	}
	if err := v.hosts.Write(ctx, hosts); err != nil {
		return err
	}
	v.states.PurgeMarkers(ctx, states)
	v.hosts.PurgeMarkers(ctx, hosts)
	for host := range v.forgotten {
		name := stream.BridgeConsumer(host)
		err := v.js.DeleteConsumer(ctx, stream.Events, name)
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			v.log.Warn().Err(err).Str("consumer", name).Msg("the consumer of a host that was forgotten cannot be deleted; `nats consumer rm SUPERVISOR` deletes it")
		}
	}
	clear(v.forgotten)
	return nil
}

// forgottenBefore drops from records what a kill has left of hosts that were forgotten by
// a message up to floor. It returns what is to be deleted of them.
func (v *events) forgottenBefore(ctx context.Context, floor uint64, hosts map[string]*schema.HostRecord, states map[string]*schema.ProcessRecord) (gone []state.Forgotten, err error) {
	s, err := v.js.Stream(ctx, stream.Events)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream.Events, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(schema.BridgePrefix+"*."+schema.BridgeForgotten))
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream.Events, err)
	}
	for subject := range info.State.Subjects {
		token := strings.TrimSuffix(strings.TrimPrefix(subject, schema.BridgePrefix), "."+schema.BridgeForgotten)
		h := hosts[token]
		if h == nil {
			continue
		}
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if err != nil {
			return nil, fmt.Errorf("read %s of stream %s: %w", subject, stream.Events, err)
		}
		ce, err := schema.Unmarshal[*schema.Forgotten](m.Data)
		switch {
		case err != nil || ce.Data == nil || ce.Data.Host != h.Host:
			continue // nobody has done what it says
		case m.Sequence > floor || h.Seq >= v.line.position(m.Sequence) || h.LastSeen.After(m.Time):
			// It is still to come, or the host has come back. Positions do not say all:
			// a stream that was restored from a backup has it further on than it was.
			continue
		case ce.Data.LastSeen != nil && h.LastSeen.After(ce.Data.LastSeen.Time):
			continue
		}
		left := state.Forgotten{HostKey: token}
		for key, p := range states {
			if p.Host == h.Host {
				left.States = append(left.States, key)
				delete(states, key)
			}
		}
		gone = append(gone, left)
		delete(hosts, token)
	}
	return gone, nil
}
