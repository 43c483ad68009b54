package publish

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"supernats/bridge/publish/acks"
	"supernats/bridge/publish/refusal"
)

// settle takes the answers to the oldest message and to those that follow it without a gap,
// and moves the source's checkpoint once. It stops at a suspect message, and at the first
// error, which it returns.
func (s *session) settle() error {
	records := 0
	taken := 0
	var refused error
	for ; refused == nil && taken < len(s.queue); taken++ {
		m := &s.queue[taken]
		if m.number != 0 && !m.settled {
			ack, ok := s.acks.Take(m.number)
			if !ok {
				break
			}
			if refused = s.check(*m, ack); refused != nil {
				s.bytes -= m.size
				continue
			}
			s.noteAnswer(m, ack)
		}

		if m.suspect {
			break
		}
		if m.otherID != "" {
			s.noteResent(m)
		}
		if m.last {
			records++
			delete(s.p.divisions, m.first)
		}
	}

	s.queue = slices.Delete(s.queue, 0, taken)
	if records > 0 {
		if err := s.ackRecords(records); err != nil {
			return errors.Join(refused, err)
		}
	}
	return refused
}

// ackRecords reports to the source that its oldest records are stored, and ends the troubles
// that kept them from the stream.
func (s *session) ackRecords(records int) error {
	p := s.p
	if err := p.cfg.Source.Ack(records, p.lastSeq); err != nil {
		return fmt.Errorf("move the spool's checkpoint: %w", err)
	}
	s.acked += records
	p.progress = true

	if s.callPassed {
		s.callPassed = false
		p.cfg.Fence.Passed()
	}
	p.leftOver -= records
	if p.leftOver <= 0 && p.cfg.Fence != nil {
		p.rivals.Begin()
	}

	p.backoff = 0
	p.trouble.over()
	p.clearQuiet()
	return nil
}

// noteAnswer notes the acknowledgement of a message.
func (s *session) noteAnswer(m *inflight, ack acks.Answer) {
	p := s.p
	m.settled = true
	m.seq = ack.Seq
	s.bytes -= m.size
	s.proven = true
	p.sizes.taken = max(p.sizes.taken, m.data)
	if m.hasTTL && p.ttl.isOver() {
		p.clear(CauseTTL)
	}
	if !ack.Duplicate {
		p.lastSeq = ack.Seq
		return
	}

	// What may have been sent before may be a duplicate, unless it is known that the stream
	// does not hold it.
	if m.doubt && s.stored == nil {
		return
	}
	if p.cfg.Fence == nil {
		p.countDuplicates(m.id, 1)
		return
	}
	m.suspect = true
}

// check returns an error for an answer that is not an acknowledgement of our stream.
func (s *session) check(m inflight, ack acks.Answer) error {
	if ack.Err != nil {
		return s.noteRefused(m, ack.Err)
	}
	if ack.Stream != s.p.cfg.Stream {
		return &refusal.Foreign{Subject: m.subject, Got: ack.Stream, Want: s.p.cfg.Stream}
	}
	return nil
}

// noteRefused notes what is sent differently from now on because a message was refused, and
// returns the error with its subject.
func (s *session) noteRefused(m inflight, err error) error {
	if refusal.IsTTLDisabled(err) {
		// The stream was made without allow_msg_ttl: its own limits apply.
		s.p.ttl.refused()
		s.changed = true
	}
	if refusal.IsTooBig(err) {
		s.p.sizes.tooLarge(m.size)
		s.changed = m.size > minPayload
	}
	return fmt.Errorf("publish on %s: %w", m.subject, err)
}

// ttl is whether the stream takes messages with a time to live.
type ttl struct {
	offSince time.Time // when it last refused one; zero if it takes them
	raised   bool      // it is reported that it refuses them
}

// isOff reports whether messages are sent without a time to live.
func (t *ttl) isOff() bool { return !t.offSince.IsZero() }

// refused notes that the stream refused a message with a time to live.
func (t *ttl) refused() {
	t.offSince = time.Now()
	t.raised = true
}

// retry lets messages have their time to live again every largerEvery.
func (t *ttl) retry() {
	if t.isOff() && time.Since(t.offSince) > largerEvery {
		t.offSince = time.Time{}
	}
}

// allow notes that the stream's settings allow a time to live.
func (t *ttl) allow() { t.offSince = time.Time{} }

// isOver notes that the stream took a message with a time to live. It returns true if it was
// reported that it refuses them.
func (t *ttl) isOver() bool {
	was := t.raised
	t.raised = false
	return was
}
