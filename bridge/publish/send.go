package publish

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/publish/ids"
	"supernats/bridge/publish/refusal"
	"supernats/schema"
	"supernats/schema/stream"
)

// fill sends what the source has while the window is open.
func (s *session) fill() error {
	for s.isOpen() {
		if len(s.outbox) == 0 {
			ok, err := s.readNext()
			if err != nil || !ok {
				return err
			}
			continue
		}

		m := s.outbox[0]
		s.alone = len(m.Data) > max(s.p.sizes.taken, minPayload)
		if (m.second || s.alone) && len(s.queue) > 0 {
			return nil
		}
		if err := s.send(m); err != nil {
			return err
		}
		s.outbox = slices.Delete(s.outbox, 0, 1)
	}
	return nil
}

// readNext puts the messages of the next record into the outbox; false if there is no record.
func (s *session) readNext() (bool, error) {
	rec, ok, err := s.p.cfg.Source.Next()
	if errors.Is(err, io.EOF) {
		s.ended = true
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the spool: %w", err)
	}
	if !ok {
		s.justEmpty = s.sentAny
		s.sentAny = false
		s.gaveWay = 0
		return false, nil
	}

	s.sentAny = true
	doubt := s.handedOut < s.p.inDoubt
	if !doubt {
		s.stored = nil
	}
	s.handedOut++

	s.p.ttl.retry()
	msgs, err := s.messages(rec)
	switch {
	case errors.Is(err, ErrPartly):
		s.p.reportTooLarge(err)
	case errors.Is(err, refusal.ErrTooSmall):
		s.endsWith = err
		return true, nil
	case err != nil:
		if errors.Is(err, ErrTooLarge) {
			s.p.reportTooLarge(err)
		}
		s.p.cfg.Lost(rec, err)
		msgs = nil
	}

	// A record without messages has a place in the queue too: it is acknowledged in its turn.
	if len(msgs) == 0 {
		s.queue = append(s.queue, inflight{last: true})
		return true, nil
	}
	first := s.p.divisions.Note(msgs)
	for i, m := range msgs {
		s.outbox = append(s.outbox, outgoing{
			Msg: m, last: i == len(msgs)-1, second: i == 1, doubt: doubt, first: first,
		})
	}
	return true, nil
}

// messages makes the messages of a record, as large as the server and the stream take them.
// If the limit is guessed and too low for the record, larger ones are tried: up to what was
// not refused yet.
func (s *session) messages(rec Record) ([]*nats.Msg, error) {
	sizes := &s.p.sizes
	limit, guessed := sizes.limit(int(s.nc.MaxPayload()))
	msgs, err := rec.Messages(limit)

	for _, larger := range []int{(limit + sizes.refused) / 2, sizes.refused - 1} {
		if guessed && larger > limit && errors.Is(err, ErrTooLarge) {
			msgs, err = rec.Messages(larger)
		}
	}

	if errors.Is(err, ErrTooLarge) && limit < minPayload {
		return nil, fmt.Errorf("%w: %w", refusal.ErrTooSmall, err)
	}
	return msgs, err
}

// send publishes a message, unless it is in doubt and the stream holds it.
func (s *session) send(m outgoing) error {
	id := m.Header.Get(nats.MsgIdHdr)
	if m.doubt && s.isStored(m.Msg) {
		s.queue = append(s.queue, inflight{id: id, last: m.last, first: m.first})
		return nil
	}

	if s.p.ttl.isOff() {
		m.Header.Del(jetstream.MsgTTLHeader)
	}
	otherID := s.p.taken.others.Get(id)
	if otherID != "" {
		m.Header[nats.MsgIdHdr] = []string{otherID}
	}
	m.Header[stream.HeaderSent] = s.clock.header()
	number, err := s.acks.Publish(m.Msg)
	if err != nil {
		return fmt.Errorf("publish on %s: %w", m.Subject, err)
	}

	size := len(m.Subject) + len(m.Data) // its headers are small
	_, hasTTL := m.Header[jetstream.MsgTTLHeader]
	s.queue = append(s.queue, inflight{
		number: number, subject: m.Subject, id: id, otherID: otherID, size: size, data: len(m.Data),
		last: m.last, doubt: m.doubt, hasTTL: hasTTL, first: m.first,
	})
	s.bytes += size
	return nil
}

// isStored reports that a message in doubt need not be sent.
func (s *session) isStored(m *nats.Msg) bool {
	if s.stored == nil {
		return false
	}
	// A snapshot cannot be looked up. It may be stored only if it was in flight, and no more
	// than a window ever is.
	return s.stored.Has(ids.OfMessage(m)) || s.fenced && s.handedOut <= window && s.p.cfg.Fence.Replaced(m)
}

// sentClock makes the header with the time of sending. It is the same within a millisecond:
// otherwise each event of a burst would cost an allocation.
type sentClock struct {
	stamp []string
	at    time.Time // when stamp was written
}

func (c *sentClock) header() []string {
	now := time.Now()
	if c.stamp == nil || now.Sub(c.at) >= time.Millisecond || now.Before(c.at) {
		c.stamp = []string{schema.Stamp(now)}
		c.at = now
	}
	return c.stamp
}
