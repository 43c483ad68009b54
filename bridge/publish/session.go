package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/publish/acks"
	"supernats/bridge/publish/headers"
	"supernats/bridge/publish/ids"
	"supernats/bridge/publish/refusal"
)

// session is one attempt: it ends at the first error, and with the source. All of it
// belongs to the goroutine that publishes.
//
//   - The messages in flight are in queue, oldest first. An answer counts only when all
//     older messages have theirs.
//   - Only one message is in flight until the stream has answered (proven), and after a
//     disconnect until it answers again. Otherwise a stream that comes up while a window is
//     being sent would store the end of it before its beginning.
//   - A message that is larger than any that the stream took goes alone, so that nothing
//     overtakes it if it is refused.
//   - acked ≤ handedOut. The records between the two are in queue and outbox.
type session struct {
	p       *Publisher // what outlives the session
	nc      *nats.Conn
	js      jetstream.JetStream
	acks    *acks.Ring
	headers *headers.Reader
	denied  <-chan error // what the server did not permit
	clock   sentClock

	// reconnected says that publishing begins again: over another connection, or to a
	// stream that was away. callPassed says that Fence.Passed is to be called when the
	// first record is stored.
	reconnected bool
	callPassed  bool

	// handedOut is how many records the source has handed out in this session, acked how
	// many of them were reported to it as stored.
	handedOut, acked int
	// stored is what the stream holds of the records in doubt; nil if that is not known, and
	// after the last of them. fenced says that it was read from the stream: snapshots are
	// not in it.
	stored ids.Set
	fenced bool

	// outbox is the messages of the last record read that are not sent yet.
	outbox []outgoing
	// queue is what is in flight, oldest first; bytes is how much of it is not answered.
	queue []inflight
	bytes int

	ended bool // the source has
	// sentAny says that a record was read since the source was last empty; justEmpty, that
	// the source was read to its end since gather was last called.
	sentAny, justEmpty bool
	// gaveWay is how long the session has given way since the source was last empty.
	gaveWay time.Duration
	// endsWith is the error that ends the session as soon as nothing is in flight.
	endsWith error
	// changed says that the next session sends something other than what was refused, so
	// there is nothing to wait for.
	changed bool
	proven  bool // the stream has answered
	// alone says that the message sent last is larger than any that the stream took, or
	// that the next one is.
	alone bool
}

// outgoing is one message that is to be sent.
type outgoing struct {
	*nats.Msg
	// last says that the message completes its record.
	last bool
	// second says that it is the second part of a record. It waits for the answer to the
	// first one, which shows that the stream takes parts of that size: with another size
	// they would be other parts under the same ids.
	second bool
	// doubt says that the message may have been sent before.
	doubt bool
	// first is the hash of the first part's id, if the message is one of several.
	first ids.ID
}

// inflight is one message that waits for its acknowledgement.
type inflight struct {
	number      uint64 // in the ring; 0 if it was not sent, since the stream holds it
	subject, id string
	otherID     string // the id that it was sent under, if that is not id
	size, data  int    // in bytes: of what counts for the window, and of its payload
	last        bool
	doubt       bool
	hasTTL      bool
	// settled says that its answer, which gave seq, was taken; suspect, that the answer
	// calls it a duplicate although none was to be expected: judge decides.
	settled, suspect bool
	seq              uint64
	first            ids.ID
}

// newSession returns a session over a connection.
func (p *Publisher) newSession(l natsLink, connected connection) *session {
	s := &session{
		p: p, nc: l.nc, js: l.js, acks: l.acks, denied: l.denied,
		reconnected: p.begun && p.progress && (p.streamAway || connected != p.lastUsed),
	}
	if f := p.cfg.Fence; f != nil {
		s.headers = &headers.Reader{
			JS: l.js, Stream: p.cfg.Stream, Consumer: f.Consumer, Filter: f.Filter,
			Timeout: ackTimeout, Denied: l.denied, Permitted: p.clearNoRight,
		}
	}
	return s
}

// ensure creates the stream if it is missing. A host needs no right to look: without it,
// and after other errors, publishing is tried all the same. The error is a denial of what
// publishing needs.
func (s *session) ensure(ctx context.Context) error {
	ctx, cancel := refusal.UntilDenied(ctx, s.denied)
	defer cancel(nil)
	err := s.p.cfg.Ensure(ctx, s.js)

	switch cause := context.Cause(ctx); {
	case errors.Is(cause, refusal.ErrNoRight):
	case errors.Is(cause, nats.ErrPermissionViolation):
		return cause
	case errors.Is(err, nats.ErrNoResponders):
		s.p.trouble.report(fmt.Errorf("%w: %w", jetstream.ErrJetStreamNotEnabled, err))
	case err != nil:
		s.p.trouble.report(err)
	default:
		s.askLimits(ctx)
	}
	return nil
}

// askLimits asks for the stream's limits. A host needs no right to do so.
func (s *session) askLimits(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	info, err := s.js.Stream(ctx, s.p.cfg.Stream)
	if err != nil {
		return
	}

	cfg := info.CachedInfo().Config
	s.p.sizes.setLimit(max(0, int(cfg.MaxMsgSize)))
	if cfg.AllowMsgTTL {
		s.p.ttl.allow()
	}
}

// run publishes until the source ends (nil) or something goes wrong. Unless ctx ended,
// nothing is in flight afterwards.
func (s *session) run(ctx context.Context) error {
	// What the session before this one had in flight is read again. If that fails nothing
	// may be sent: acknowledgements are counted from the oldest record.
	if err := s.p.cfg.Source.Rewind(); err != nil {
		return fmt.Errorf("go back in the spool: %w", err)
	}
	s.p.noteLate()

	if s.p.cfg.Fence != nil {
		s.p.rivals.LookBefore(ctx, s.readLast)
	}
	err := s.passFence(ctx)
	if err == nil {
		err = s.loop(ctx)
	}

	s.changed = s.changed || errors.Is(err, errTaken)
	ownChoice := errors.Is(err, errTaken) || errors.Is(err, ErrBeginAgain) // the stream is fine
	if err != nil && ctx.Err() == nil && !ownChoice {
		s.p.trouble.report(err)
	}
	s.p.streamAway = err != nil && refusal.Code(err) == 0 && !ownChoice
	return errors.Join(err, s.end(ctx, err))
}

// readLast reads the last message on each of our subjects: a rivals.Reader.
func (s *session) readLast(ctx context.Context, each func(subject, id string, seq uint64)) error {
	return s.headers.Read(ctx, headers.Last, each)
}

// end waits for the answers to all that is in flight, so that nothing of it arrives after
// what is sent again. It notes for the next session what is in doubt, and what the stream
// holds of that: not known if an answer is missing.
func (s *session) end(ctx context.Context, why error) error {
	p := s.p
	denied := ""
	if errors.Is(why, nats.ErrPermissionViolation) {
		denied = refusal.DeniedSubject(why) // what was sent there gets no answer and is not stored
	}

	// Of the records in doubt that were not read again, only stored is known.
	known := ids.Set{}
	sure := true
	if s.handedOut < p.inDoubt {
		sure = s.stored != nil
		maps.Copy(known, s.stored)
	}
	p.inDoubt = max(p.inDoubt, s.handedOut) - s.acked
	p.known = nil
	p.sure = false

	for _, m := range s.queue {
		stored := m.settled && !m.suspect || m.number == 0
		if m.number != 0 && !m.settled && m.subject != denied {
			select {
			case <-s.acks.Await(m.number):
			case <-ctx.Done():
				return ctx.Err()
			}
			ack, ok := s.acks.Take(m.number)
			stored = ok && s.check(m, ack) == nil && !ack.Duplicate
			sure = sure && ok && (stored || refusal.Code(ack.Err) != 0)
		}
		if stored && m.id != "" {
			known.Add(ids.Of(m.id))
		}
	}

	if sure {
		p.known = known
		p.sure = true
	}
	return nil
}

// loop sends what the source hands out, and takes the answers.
func (s *session) loop(ctx context.Context) error {
	for {
		if err := s.giveWay(ctx); err != nil {
			return err
		}
		if err := s.fill(); err != nil {
			return err
		}

		if s.endsWith != nil && len(s.queue) == 0 {
			return s.endsWith
		}
		if s.ended && len(s.queue) == 0 {
			return nil
		}

		if s.justEmpty {
			if err := s.gather(ctx); err != nil {
				return err
			}
		}
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
}

// wait waits until there is something to do, and takes the answers that have arrived.
func (s *session) wait(ctx context.Context) error {
	var more <-chan struct{}
	if s.isOpen() {
		more = s.p.cfg.Source.More()
	}

	// A suspect answer is judged before the ones after it are taken.
	var (
		denied <-chan error
		ended  <-chan struct{}
		judge  <-chan time.Time
	)
	switch {
	case len(s.queue) == 0:
	case s.queue[0].suspect:
		denied = s.denied
		judge = time.After(time.Until(s.p.taken.lookAt))
		if !s.isOpen() {
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
	case <-s.p.rivals.Due():
		s.p.rivals.Look(ctx, s.readLast)
	case err := <-denied:
		if refusal.ConcernsPublishing(err) {
			return err
		}
	case <-judge:
		return errors.Join(s.judge(ctx), s.settle())
	case <-ended:
		return s.settle()
	}
	return nil
}

// awaited returns the number of the message to wait for: the oldest, or, while the window is
// full, the one in its middle. One by one, answers would cost a thread switch and a write of
// the checkpoint each.
func (s *session) awaited() uint64 {
	if m := s.queue[len(s.queue)/2]; !m.settled && !s.isOpen() && !s.acks.Ended(m.number) {
		return m.number
	}
	return s.queue[0].number
}

// gather lets records and acknowledgements accumulate for a moment: one by one, each would
// cost several thread switches, here and at the server, on the processor that supervisord
// and its listener need.
func (s *session) gather(ctx context.Context) error {
	s.justEmpty = false
	if a, ok := s.p.cfg.Source.(Awaiter); ok && a.Awaited() {
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

// giveWay waits while others need the processor. After giveWayMost it does not wait again
// until the source was empty: so what came first is published within a second.
func (s *session) giveWay(ctx context.Context) error {
	if s.p.cfg.GiveWay == nil || s.gaveWay >= giveWayMost {
		return nil
	}

	for s.gaveWay < giveWayMost && s.p.cfg.GiveWay() {
		begun := time.Now()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(giveWayLook):
		}
		s.gaveWay += time.Since(begun) // on a busy machine it takes longer
	}
	return nil
}

// isOpen reports whether the window has room for another record.
func (s *session) isOpen() bool {
	if len(s.queue) > 0 && (!s.proven || s.alone || s.acks.Broken()) {
		return false
	}
	return !s.ended && s.endsWith == nil && len(s.queue) < window && s.bytes < windowBytes
}
