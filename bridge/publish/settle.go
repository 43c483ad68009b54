package publish

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"supernats/bridge/publish/acks"
	"supernats/bridge/publish/refusal"
)

// settle takes the answers to the oldest message and to all that follow it without a gap,
// and moves the source's checkpoint once. Its error is the first one among them.
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

// ackRecords reports to the source that its oldest records are stored.
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

// noteAnswer takes note of the acknowledgement of a message.
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

	// Of what may have been sent before, a duplicate is to be expected, unless it is known
	// that the stream did not have it.
	if m.doubt && s.stored == nil {
		return
	}
	if p.cfg.Fence == nil {
		p.countDuplicates(m.id, 1)
		return
	}
	m.suspect = true
}

// check turns an answer that is no acknowledgement of our stream into an error.
func (s *session) check(m inflight, ack acks.Answer) error {
	if ack.Err != nil {
		return s.noteRefused(m, ack.Err)
	}
	if ack.Stream != s.p.cfg.Stream {
		return &refusal.Foreign{Subject: m.subject, Got: ack.Stream, Want: s.p.cfg.Stream}
	}
	return nil
}

// noteRefused turns the error of a message into ours, and notes what is sent otherwise
// from now on.
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

// ttl is whether the stream takes a time to live.
type ttl struct {
	offSince time.Time // since when it takes none; zero if it does
	raised   bool      // that it takes none is reported
}

// refused notes that the stream did not take a time to live.
func (t *ttl) refused() {
	t.offSince = time.Now()
	t.raised = true
}

// retry gives messages their time to live again now and then.
func (t *ttl) retry() {
	if !t.offSince.IsZero() && time.Since(t.offSince) > largerEvery {
		t.offSince = time.Time{}
	}
}

// allow notes that the stream says that it takes a time to live.
func (t *ttl) allow() { t.offSince = time.Time{} }

// isOver notes that the stream took a time to live; true if that it did not was reported.
func (t *ttl) isOver() bool {
	was := t.raised
	t.raised = false
	return was
}
