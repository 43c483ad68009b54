package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// session is one attempt: it ends at the first error, and with the source.
type session struct {
	*Publisher
	js         jetstream.JetStream
	acks       *acks
	denied     <-chan error // what the server did not permit
	again      bool         // the connection is not the first one
	maxPayload int
	// handed is how many records the source has handed out in this session, acked
	// how many of them it was told to be stored.
	handed, acked int
	// stored is what the stream has of what is in doubt; nil if that is not known,
	// and when nothing is in doubt any more.
	stored map[messageID]struct{}
	// outbox is what the last record read is sent as.
	outbox []outgoing
	// queue is in flight, oldest first, bytes its size.
	queue []inflight
	bytes int
	ended bool
	// sent says that something was sent since the source was last empty; empty, that
	// it has just become so.
	sent, empty bool
	// held is what ends the session when nothing is in flight any more.
	held error
	// proven says that the stream has answered: only then, and not behind a
	// disconnect before it answers again, more than one record is in flight. A stream
	// that comes up while a window is sent would store its end before its beginning.
	proven bool
}

// outgoing is one message that is to be sent.
type outgoing struct {
	*nats.Msg
	// last says that with this message its record is complete.
	last bool
	// second says that it is the second part of an event. It waits for the first one,
	// which shows that parts of that size are taken: with another size they would be
	// other parts under the same ids.
	second bool
	// doubt says that it may have been sent before.
	doubt bool
}

// inflight is one message that waits for its acknowledgement.
type inflight struct {
	n           uint64 // its number; 0 if it was not sent, since the stream has it
	subject, id string
	size        int
	last        bool
	doubt       bool
}

// ensure creates the stream if it is missing. Not to be allowed to look is no
// trouble: it is all that a host needs to publish. An error is a denial of what
// publishing needs.
func (s *session) ensure(ctx context.Context) error {
	ctx, cancel := s.untilDenied(ctx)
	defer cancel(nil)
	err := s.cfg.Ensure(ctx, s.js)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errNoRight):
	case errors.Is(cause, nats.ErrPermissionViolation):
		return cause
	case errors.Is(err, nats.ErrNoResponders):
		s.trouble.report(fmt.Errorf("%w: %w", jetstream.ErrJetStreamNotEnabled, err))
	case err != nil:
		s.trouble.report(err)
	}
	return nil
}

// run publishes until the source ends (nil) or something goes wrong. In either
// case nothing is in flight any more, unless ctx ended.
func (s *session) run(ctx context.Context) error {
	// What the attempt before this one had in flight is sent again. Without that
	// nothing may be: an acknowledgement counts from the oldest record.
	if err := s.cfg.Source.Rewind(); err != nil {
		return fmt.Errorf("go back in the spool: %w", err)
	}
	s.noteLate()
	err := s.pass(ctx)
	if err == nil {
		err = s.loop(ctx)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrBeginAgain) {
		s.trouble.report(err)
	}
	s.doubt = max(s.doubt, s.handed) - s.acked
	// Whatever is still in flight may or may not be stored. Its end is awaited,
	// so that nothing of it arrives behind what is sent again.
	for _, m := range s.queue {
		select {
		case <-s.acks.await(m.n):
			s.acks.take(m.n)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (s *session) loop(ctx context.Context) error {
	for {
		if err := s.fill(); err != nil {
			return err
		}
		if s.held != nil && len(s.queue) == 0 {
			s.smaller = 0 // the stream's limit may be mended by then
			return s.held
		}
		if s.ended && len(s.queue) == 0 {
			return nil
		}
		if s.empty {
			if err := s.gather(ctx); err != nil {
				return err
			}
		}
		var more <-chan struct{}
		if s.open() {
			more = s.cfg.Source.More()
		}
		if len(s.queue) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-more:
			case <-s.rivals.due:
				s.lookForRivals(ctx)
			}
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
		case <-s.rivals.due:
			s.lookForRivals(ctx)
		case err := <-s.denied:
			if concernsPublishing(err) {
				return err
			}
		case <-s.acks.await(s.awaited()):
			if err := s.settle(); err != nil {
				return err
			}
		}
	}
}

// awaited is the number of the message whose end is waited for: the oldest, or,
// while the window is full, the one in its middle. One by one, answers would cost
// a change of thread and a write of the checkpoint each.
func (s *session) awaited() uint64 {
	if n := s.queue[len(s.queue)/2].n; !s.open() && !s.acks.ended(n) {
		return n
	}
	return s.queue[0].n
}

// gather lets records and acknowledgements come together for a moment: one by
// one, each would cost several changes of thread, here and at the server, on the
// processor that supervisord and its listener need.
func (s *session) gather(ctx context.Context) error {
	s.empty = false
	t := time.NewTimer(gather)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// open reports whether the window has room for another record.
func (s *session) open() bool {
	if len(s.queue) > 0 && (!s.proven || s.acks.broken()) {
		return false
	}
	return !s.ended && s.held == nil && len(s.queue) < window && s.bytes < windowBytes
}

// fill sends what the source has, as far as the window is open.
func (s *session) fill() error {
	for s.open() {
		if len(s.outbox) == 0 {
			ok, err := s.next()
			if err != nil || !ok {
				return err
			}
			continue
		}
		m := s.outbox[0]
		if m.second && len(s.queue) > 0 {
			return nil
		}
		if err := s.send(m); err != nil {
			return err
		}
		s.outbox = slices.Delete(s.outbox, 0, 1)
	}
	return nil
}

// next puts the messages of the next record into the outbox; false if there is
// none.
func (s *session) next() (bool, error) {
	rec, ok, err := s.cfg.Source.Next()
	if errors.Is(err, io.EOF) {
		s.ended = true
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the spool: %w", err)
	}
	if !ok {
		s.empty, s.sent = s.sent, false
		return false, nil
	}
	s.sent = true
	doubt := s.handed < s.doubt
	if !doubt {
		s.stored = nil
	}
	s.handed++
	msgs, err := s.cfg.Encode(rec, s.limit())
	if err != nil && s.smaller > 0 {
		s.held = &tooBig{err}
		return true, nil
	}
	if err != nil {
		s.cfg.Lost(rec, err)
		s.queue = append(s.queue, inflight{last: true})
		return true, nil
	}
	if len(msgs) == 0 {
		s.queue = append(s.queue, inflight{last: true})
		return true, nil
	}
	for i, m := range msgs {
		s.outbox = append(s.outbox, outgoing{m, i == len(msgs)-1, i == 1, doubt})
	}
	return true, nil
}

// send publishes a message, unless the stream has it.
func (s *session) send(m outgoing) error {
	if m.doubt && s.has(m.Msg) {
		s.queue = append(s.queue, inflight{last: m.last})
		return nil
	}
	if s.noTTL {
		m.Header.Del(jetstream.MsgTTLHeader)
	}
	n, err := s.acks.publish(m.Msg)
	if err != nil {
		return fmt.Errorf("publish on %s: %w", m.Subject, err)
	}
	size := len(m.Subject) + len(m.Data) // its headers are small
	s.queue = append(s.queue, inflight{n, m.Subject, m.Header.Get(nats.MsgIdHdr), size, m.last, m.doubt})
	s.bytes += size
	return nil
}

// has reports that a message in doubt need not be sent.
func (s *session) has(m *nats.Msg) bool {
	if s.stored == nil {
		return false
	}
	_, ok := s.stored[idOf(m)]
	// No more than a window was ever in flight behind the checkpoint.
	return ok || s.handed <= window && s.cfg.Fence.Replaced(m)
}

// settle takes the answers to the oldest message and to all that follow it
// without a gap, and moves the source's checkpoint once. Its error is the first
// one among them.
func (s *session) settle() error {
	records, taken := 0, 0
	var refused error
	for ; refused == nil && taken < len(s.queue); taken++ {
		m := s.queue[taken]
		if m.n != 0 {
			ack, ok := s.acks.take(m.n)
			if !ok {
				break
			}
			s.bytes -= m.size
			if refused = s.check(m, ack); refused != nil {
				continue
			}
			s.proven = true
			s.seq = ack.seq
			if ack.duplicate && !m.doubt {
				s.sayDuplicate(m.id)
			}
		}
		if m.last {
			records++
		}
	}
	s.queue = slices.Delete(s.queue, 0, taken)
	if records > 0 {
		if err := s.cfg.Source.Ack(records, s.seq); err != nil {
			return errors.Join(refused, fmt.Errorf("move the spool's checkpoint: %w", err))
		}
		s.acked += records
		s.left -= records
		s.acknowledged()
		s.backoff = 0
		s.trouble.over()
	}
	return refused
}

// check turns an answer that is no acknowledgement of our stream into an error.
func (s *session) check(m inflight, ack answer) error {
	if ack.err != nil {
		return s.refused(m, ack.err)
	}
	if ack.stream != s.cfg.Stream { // any responder on the subject can answer
		return &foreignAck{subject: m.subject, got: ack.stream, want: s.cfg.Stream}
	}
	return nil
}

// refused turns the error of a message into ours.
func (s *session) refused(m inflight, err error) error {
	if isTTLDisabled(err) {
		// The stream was made without allow_msg_ttl: its own limits apply.
		s.noTTL = true
	}
	if isTooBig(err) {
		s.smaller = max(minPayload, min(s.limit(), m.size)/2)
	}
	return fmt.Errorf("publish on %s: %w", m.subject, err)
}

// limit is how large a message may be.
func (s *session) limit() int {
	if s.smaller > 0 {
		return min(s.smaller, s.maxPayload)
	}
	return s.maxPayload
}
