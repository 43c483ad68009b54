package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/publish/acks"
	"supernats/bridge/publish/refusal"
	"supernats/schema"
	"supernats/schema/stream"
)

// session is one attempt: it ends at the first error, and with the source.
type session struct {
	*Publisher
	nc     *nats.Conn
	js     jetstream.JetStream
	acks   *acks.Ring
	denied <-chan error // what the server did not permit
	again  bool         // publishing begins again: with another connection, or a stream that was away
	passed bool         // and nothing was stored since
	// handed is how many records the source has handed out in this session, acked
	// how many of them it was told to be stored.
	handed, acked int
	// stored is what the stream has of what is in doubt; nil if that is not known,
	// and when nothing is in doubt any more. Fenced says that it was read from the
	// stream: snapshots are not in it.
	stored map[messageID]struct{}
	fenced bool
	// outbox is what the last record read is sent as.
	outbox []outgoing
	// queue is in flight, oldest first, bytes its size.
	queue []inflight
	bytes int
	ended bool
	// sent says that something was sent since the source was last empty; empty, that
	// it has just become so.
	sent, empty bool
	// waited is how long it gave way since the source was empty.
	waited time.Duration
	// held is what ends the session when nothing is in flight any more.
	held error
	// changed says that what is sent next will be something else than what was
	// refused, so there is nothing to wait for.
	changed bool
	// stamp is the header of the time of sending, written at stamped.
	stamp   []string
	stamped time.Time
	// proven says that the stream has answered: only then, and not behind a
	// disconnect before it answers again, more than one record is in flight. A stream
	// that comes up while a window is sent would store its end before its beginning.
	proven bool
	// alone says that the message sent last is larger than any that the stream took,
	// or that the next one is.
	alone bool
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
	// first is the hash of the first part's id, if it is one of several.
	first messageID
}

// inflight is one message that waits for its acknowledgement.
type inflight struct {
	n           uint64 // its number; 0 if it was not sent, since the stream has it
	subject, id string
	as          string // the message id, where it is not id
	size, data  int    // of all of it that counts, and of its payload
	last        bool
	doubt       bool
	// settled says that its answer was taken, which gave seq; suspect, that the answer
	// calls it a duplicate, and that this was not to be expected.
	settled, suspect bool
	seq              uint64
	ttl              bool // it has a time to live
	first            messageID
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
	default:
		s.askSize(ctx)
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
	s.lookBefore(ctx)
	err := s.pass(ctx)
	if err == nil {
		err = s.loop(ctx)
	}
	s.changed = s.changed || errors.Is(err, errTaken)
	ours := errors.Is(err, errTaken) || errors.Is(err, ErrBeginAgain) // nothing is wrong with the stream
	if err != nil && ctx.Err() == nil && !ours {
		s.trouble.report(err)
	}
	s.away = err != nil && refusal.Code(err) == 0 && !ours
	return errors.Join(err, s.end(ctx, err))
}

// end waits for the end of all that is in flight, so that nothing of it arrives
// after what is sent again, and notes what the stream has of it. If an answer is
// missing that is not known.
func (s *session) end(ctx context.Context, why error) error {
	denied := ""
	if errors.Is(why, nats.ErrPermissionViolation) {
		denied = refusal.DeniedSubject(why) // nothing comes of it, and it is not stored
	}
	known, sure := map[messageID]struct{}{}, true
	if s.handed < s.doubt {
		sure = s.stored != nil
		maps.Copy(known, s.stored)
	}
	s.Publisher.doubt = max(s.doubt, s.handed) - s.acked
	s.Publisher.known, s.Publisher.sure = nil, false
	for _, m := range s.queue {
		stored := m.settled && !m.suspect || m.n == 0
		if m.n != 0 && !m.settled && m.subject != denied {
			select {
			case <-s.acks.Await(m.n):
			case <-ctx.Done():
				return ctx.Err()
			}
			ack, ok := s.acks.Take(m.n)
			stored = ok && s.check(m, ack) == nil && !ack.Duplicate
			sure = sure && ok && (stored || refusal.Code(ack.Err) != 0)
		}
		if stored && m.id != "" {
			known[hashID(m.id)] = struct{}{}
		}
	}
	if sure {
		s.Publisher.known, s.Publisher.sure = known, true
	}
	return nil
}

func (s *session) loop(ctx context.Context) error {
	for {
		if err := s.giveWay(ctx); err != nil {
			return err
		}
		if err := s.fill(); err != nil {
			return err
		}
		if s.held != nil && len(s.queue) == 0 {
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
		var (
			denied <-chan error
			ended  <-chan struct{}
			judge  <-chan time.Time
		)
		switch {
		case len(s.queue) == 0:
		case s.queue[0].suspect:
			denied = s.denied
			judge = time.After(time.Until(s.taken.lookAt))
			if !s.open() {
				judge = time.After(0)
			}
		default:
			denied = s.denied
			ended = s.acks.Await(s.awaited())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
		case <-s.rivals.due:
			s.lookForRivals(ctx)
		case err := <-denied:
			if refusal.ConcernsPublishing(err) {
				return err
			}
		case <-judge:
			if err := errors.Join(s.judge(ctx), s.settle()); err != nil {
				return err
			}
		case <-ended:
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
	if m := s.queue[len(s.queue)/2]; !m.settled && !s.open() && !s.acks.Ended(m.n) {
		return m.n
	}
	return s.queue[0].n
}

// gather lets records and acknowledgements come together for a moment: one by
// one, each would cost several changes of thread, here and at the server, on the
// processor that supervisord and its listener need.
func (s *session) gather(ctx context.Context) error {
	s.empty = false
	if a, ok := s.cfg.Source.(Awaiter); ok && a.Awaited() {
		return nil
	}
	t := time.NewTimer(gather)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// giveWay waits while others need the processor. Once it has waited for giveWayMost it
// does not until the source is empty: what came first is published within a second.
func (s *session) giveWay(ctx context.Context) error {
	if s.cfg.GiveWay == nil || s.waited >= giveWayMost {
		return nil
	}
	for s.waited < giveWayMost && s.cfg.GiveWay() {
		begun := time.Now()
		sleep(ctx, giveWayLook)
		s.waited += time.Since(begun) // on a busy machine it takes longer
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// open reports whether the window has room for another record.
func (s *session) open() bool {
	if len(s.queue) > 0 && (!s.proven || s.alone || s.acks.Broken()) {
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
		s.alone = len(m.Data) > max(s.sizes.taken, minPayload)
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
		s.waited = 0
		return false, nil
	}
	s.sent = true
	doubt := s.handed < s.doubt
	if !doubt {
		s.stored = nil
	}
	s.tryTTL()
	s.handed++
	msgs, err := s.encode(rec)
	switch {
	case errors.Is(err, ErrPartly):
		s.sayTooLarge(err)
	case errors.Is(err, refusal.ErrTooSmall):
		s.held = err
		return true, nil
	case err != nil:
		if errors.Is(err, ErrTooLarge) {
			s.sayTooLarge(err)
		}
		s.cfg.Lost(rec, err)
		s.queue = append(s.queue, inflight{last: true})
		return true, nil
	}
	if len(msgs) == 0 {
		s.queue = append(s.queue, inflight{last: true})
		return true, nil
	}
	first := s.divide(msgs)
	for i, m := range msgs {
		s.outbox = append(s.outbox, outgoing{m, i == len(msgs)-1, i == 1, doubt, first})
	}
	return true, nil
}

// divide notes into how many parts a record is divided, and returns the hash of the
// first one's id. If it is sent again in other parts than before, since limits have
// changed, those are not to be taken for the ones that the stream has: their message
// ids say how many they are.
func (s *session) divide(msgs []*nats.Msg) (first messageID) {
	if len(msgs) == 1 && len(s.divided) == 0 {
		return first
	}
	id := msgs[0].Header.Get(nats.MsgIdHdr)
	if len(msgs) == 1 {
		return hashID(id + "/1")
	}
	first = hashID(id)
	before, ok := s.divided[first]
	if !ok {
		s.divided[first] = len(msgs)
	}
	if ok && before != len(msgs) {
		for _, m := range msgs {
			m.Header[nats.MsgIdHdr] = []string{fmt.Sprintf("%s/of/%d", m.Header.Get(nats.MsgIdHdr), len(msgs))}
		}
	}
	return first
}

// tryTTL gives messages their time to live again now and then, where the stream did
// not take it.
func (s *session) tryTTL() {
	if !s.noTTL.IsZero() && time.Since(s.noTTL) > largerEvery {
		s.noTTL = time.Time{}
	}
}

// encode makes the messages of a record, as large as the server and the stream take
// them. What cannot be made as small as is likely to be taken is tried as large as
// was not refused yet.
func (s *session) encode(rec []byte) ([]*nats.Msg, error) {
	limit, guessed := s.limit()
	msgs, err := s.cfg.Encode(rec, limit)
	for _, larger := range []int{(limit + s.sizes.refused) / 2, s.sizes.refused - 1} {
		if guessed && larger > limit && errors.Is(err, ErrTooLarge) {
			msgs, err = s.cfg.Encode(rec, larger)
		}
	}
	if errors.Is(err, ErrTooLarge) && limit < minPayload {
		return nil, fmt.Errorf("%w: %w", refusal.ErrTooSmall, err)
	}
	return msgs, err
}

// send publishes a message, unless the stream has it.
func (s *session) send(m outgoing) error {
	id := m.Header.Get(nats.MsgIdHdr)
	if m.doubt && s.has(m.Msg) {
		s.queue = append(s.queue, inflight{id: id, last: m.last, first: m.first})
		return nil
	}
	if !s.noTTL.IsZero() {
		m.Header.Del(jetstream.MsgTTLHeader)
	}
	as := ""
	if len(s.taken.ids) > 0 {
		if as = s.taken.ids[hashID(id)]; as != "" {
			m.Header[nats.MsgIdHdr] = []string{as}
		}
	}
	m.Header[stream.HeaderSent] = s.now()
	n, err := s.acks.Publish(m.Msg)
	if err != nil {
		return fmt.Errorf("publish on %s: %w", m.Subject, err)
	}
	size := len(m.Subject) + len(m.Data) // its headers are small
	_, ttl := m.Header[jetstream.MsgTTLHeader]
	s.queue = append(s.queue, inflight{n: n, ttl: ttl, subject: m.Subject, id: id, as: as, size: size, data: len(m.Data), last: m.last, doubt: m.doubt, first: m.first})
	s.bytes += size
	return nil
}

// now is the header of the time of sending. Within a millisecond it stays the same:
// as a text of its own it would cost each event of a burst an allocation.
func (s *session) now() []string {
	now := time.Now()
	if s.stamp == nil || now.Sub(s.stamped) >= time.Millisecond || now.Before(s.stamped) {
		s.stamp, s.stamped = []string{schema.Stamp(now)}, now
	}
	return s.stamp
}

// has reports that a message in doubt need not be sent.
func (s *session) has(m *nats.Msg) bool {
	if s.stored == nil {
		return false
	}
	_, ok := s.stored[idOf(m)]
	// No more than a window was ever in flight behind the checkpoint.
	return ok || s.fenced && s.handed <= window && s.cfg.Fence.Replaced(m)
}

// settle takes the answers to the oldest message and to all that follow it
// without a gap, and moves the source's checkpoint once. Its error is the first
// one among them.
func (s *session) settle() error {
	records, taken := 0, 0
	var refused error
	for ; refused == nil && taken < len(s.queue); taken++ {
		m := &s.queue[taken]
		if m.n != 0 && !m.settled {
			ack, ok := s.acks.Take(m.n)
			if !ok {
				break
			}
			if refused = s.check(*m, ack); refused != nil {
				s.bytes -= m.size
				continue
			}
			s.answered(m, ack)
		}
		if m.suspect {
			break
		}
		if m.as != "" {
			s.resent(m)
		}
		if m.last {
			records++
			delete(s.divided, m.first)
		}
	}
	s.queue = slices.Delete(s.queue, 0, taken)
	if records > 0 {
		if err := s.cfg.Source.Ack(records, s.seq); err != nil {
			return errors.Join(refused, fmt.Errorf("move the spool's checkpoint: %w", err))
		}
		s.acked += records
		s.progress = true
		if s.passed {
			s.passed = false
			s.cfg.Fence.Passed()
		}
		s.left -= records
		s.acknowledged()
		s.backoff = 0
		s.trouble.over()
		s.quiet()
	}
	return refused
}

// answered takes note of the acknowledgement of a message.
func (s *session) answered(m *inflight, ack acks.Answer) {
	m.settled, m.seq = true, ack.Seq
	s.bytes -= m.size
	s.sizes.taken = max(s.sizes.taken, m.data)
	s.proven = true
	if s.saidTTL && m.ttl {
		s.saidTTL = false
		s.clear(CauseTTL)
	}
	if !ack.Duplicate {
		s.seq = ack.Seq
		return
	}
	// Of what may have been sent before, a duplicate is to be expected, unless it is
	// known that the stream did not have it.
	if m.doubt && s.stored == nil {
		return
	}
	if s.cfg.Fence == nil {
		s.sayDuplicate(m.id, 1)
		return
	}
	m.suspect = true
}

// check turns an answer that is no acknowledgement of our stream into an error.
func (s *session) check(m inflight, ack acks.Answer) error {
	if ack.Err != nil {
		return s.refused(m, ack.Err)
	}
	if ack.Stream != s.cfg.Stream { // any responder on the subject can answer
		return &refusal.Foreign{Subject: m.subject, Got: ack.Stream, Want: s.cfg.Stream}
	}
	return nil
}

// refused turns the error of a message into ours.
func (s *session) refused(m inflight, err error) error {
	if refusal.IsTTLDisabled(err) {
		// The stream was made without allow_msg_ttl: its own limits apply.
		s.noTTL, s.saidTTL, s.changed = time.Now(), true, true
	}
	if refusal.IsTooBig(err) {
		s.sizes.tooLarge(m.size)
		s.changed = m.size > minPayload
	}
	return fmt.Errorf("publish on %s: %w", m.subject, err)
}
