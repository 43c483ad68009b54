package intake

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

// A host that is gone for good is forgotten by a record in the stream of events,
// supervisor.bridge.<host>.forgotten. `supernats hosts forget` publishes one, and so does
// the daemon for hosts that have been silent for forget_after and for ephemeral ones that
// have signed off. Everything derived from the stream treats it alike: what is before the
// record is dropped, what is after it belongs to a new host.
//
// The alerts of the host are closed and stored, then the record is acknowledged, and only
// then the records of the host are deleted: messages that are read again find what they
// changed. After a kill in between, restore finds the record and deletes the rest.
const (
	// sweepEvery is how often the daemon looks for hosts that are gone.
	sweepEvery = 30 * time.Second
	// comeBack is how long after the daemon began to read hosts are not yet forgotten for
	// their silence: the daemon may have been down for a month.
	comeBack = 15 * time.Minute
	// publishWithin is how long the stream may take to store the record: the server does not
	// answer what it denies.
	publishWithin = 3 * time.Second
	// sweepAgain is how long it waits after the server has denied it.
	sweepAgain = 10 * time.Minute
	// sweepGoneEvery is how often it looks for processes that left long ago.
	sweepGoneEvery = time.Hour
)

// PublishForgotten publishes the record that a host is gone for good.
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

	ctx, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	if _, err := js.PublishMsg(ctx, m); err != nil {
		return fmt.Errorf("publish %s: %w", m.Subject, err)
	}
	return nil
}

// sweeper looks for hosts and processes that are gone for good.
type sweeper struct {
	// began is when reading began; swept is when the sweeper last looked for hosts,
	// sweptGone for processes.
	began, swept, sweptGone time.Time
}

// sweep forgets what is gone, if it is time to look for that.
func (s *sweeper) sweep(ctx context.Context, r *Reader) {
	now, forgetAfter := time.Now(), r.plan.ForgetAfter
	every := sweepEvery
	if forgetAfter > 0 {
		every = min(every, max(forgetAfter/4, time.Second))
	}
	if now.Sub(s.swept) < every {
		return
	}
	s.swept = now

	if !s.forgetHosts(ctx, r, now) {
		s.swept = now.Add(sweepAgain)
		return
	}
	if forgetAfter > 0 && now.Sub(s.sweptGone) > sweepGoneEvery {
		s.sweptGone = now
		for _, key := range r.machine.Fleet.ForgetGone(r.clock.now().Add(-forgetAfter)) {
			r.machine.Changes.States[key] = nil
			r.machine.Changes.Urgent = true
		}
	}
}

// forgetHosts publishes that hosts are gone, and reports whether that succeeded.
func (s *sweeper) forgetHosts(ctx context.Context, r *Reader, now time.Time) bool {
	forgetAfter := r.plan.ForgetAfter
	var long time.Time
	if forgetAfter > 0 && now.Sub(s.began) > min(comeBack, forgetAfter) {
		long = r.clock.now().Add(-forgetAfter)
	}

	for _, f := range r.machine.Fleet.Silent(r.clock.now(), long) {
		if err := PublishForgotten(ctx, r.js, f); err != nil {
			r.log.Warn().Err(err).Str("host", f.Host).
				Msg("host is gone for good, but that cannot be recorded; `supernats hosts forget` tries it too")
			return false
		}
		r.log.Info().Str("host", f.Host).Str("reason", f.Reason).Time("last_seen", f.LastSeen.Time).
			Msg("host is gone for good; it is forgotten")
	}
	return true
}

// dropForgotten drops the records that a kill has left of hosts which a message up to floor
// has forgotten. It returns their keys, which have to be deleted.
func (r *Reader) dropForgotten(ctx context.Context, floor uint64, have *contents) (gone []state.Forgotten, err error) {
	s, err := r.js.Stream(ctx, stream.Events)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream.Events, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(schema.BridgePrefix+"*."+schema.BridgeForgotten))
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", stream.Events, err)
	}

	for subject := range info.State.Subjects {
		token := strings.TrimSuffix(strings.TrimPrefix(subject, schema.BridgePrefix), "."+schema.BridgeForgotten)
		h := have.hosts[token]
		if h == nil {
			continue
		}
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if err != nil {
			return nil, fmt.Errorf("read %s of stream %s: %w", subject, stream.Events, err)
		}
		if r.isForgottenBy(m, h, floor) {
			gone = append(gone, have.drop(token))
		}
	}
	return gone, nil
}

// isForgottenBy reports whether a message up to floor has forgotten a host, and the host has
// not come back since.
func (r *Reader) isForgottenBy(m *jetstream.RawStreamMsg, h *schema.HostRecord, floor uint64) bool {
	ce, err := schema.Unmarshal[*schema.Forgotten](m.Data)
	switch {
	case err != nil || ce.Data == nil || ce.Data.Host != h.Host:
		return false // the machine has not applied it
	case m.Sequence > floor:
		return false // it will be delivered again
	case h.Seq >= r.line.Position(m.Sequence), h.LastSeen.After(m.Time):
		// The host has come back. Positions alone do not show that: in a stream that was
		// restored from a backup the message has a higher position than before.
		return false
	}
	return ce.Data.LastSeen == nil || !h.LastSeen.After(ce.Data.LastSeen.Time)
}

// drop drops the records of a host, and returns their keys.
func (c *contents) drop(token string) state.Forgotten {
	host := c.hosts[token].Host
	gone := state.Forgotten{HostKey: token}
	for key, p := range c.states {
		if p.Host == host {
			gone.States = append(gone.States, key)
			delete(c.states, key)
		}
	}
	delete(c.hosts, token)
	return gone
}
