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
	// publishWithin is how long the stream may take to store the record: what is not
	// allowed is not answered.
	publishWithin = 3 * time.Second
	// sweepAgain is when it tries again what it was not allowed to do.
	sweepAgain = 10 * time.Minute
	// sweepGoneEvery is how often it looks for processes that have gone long ago.
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
	// began is since when events are read; swept is when hosts that are gone were looked
	// for the last time, sweptGone processes.
	began, swept, sweptGone time.Time
}

// sweep has what is gone forgotten, if it is time to look for that.
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

// forgetHosts reports whether that could be recorded.
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

// dropForgotten drops from records what a kill has left of hosts that were forgotten by a
// message up to floor. It returns what is to be deleted of them.
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

// isForgottenBy reports whether a message up to floor says that a host is gone for good,
// and it has not come back since.
func (r *Reader) isForgottenBy(m *jetstream.RawStreamMsg, h *schema.HostRecord, floor uint64) bool {
	ce, err := schema.Unmarshal[*schema.Forgotten](m.Data)
	switch {
	case err != nil || ce.Data == nil || ce.Data.Host != h.Host:
		return false // nobody has done what it says
	case m.Sequence > floor:
		return false // it is still to come
	case h.Seq >= r.line.Position(m.Sequence), h.LastSeen.After(m.Time):
		// The host has come back. Positions do not say all: a stream that was restored
		// from a backup has the message further on than it was.
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
