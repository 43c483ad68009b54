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
//   - What is in flight is the queue, oldest first. An answer counts only when all older
//     messages have theirs.
//   - One message is in flight until the stream has answered (proven), and after a
//     disconnect until it answers again: a stream that comes up while a window is sent
//     would store its end before its beginning.
//   - A message that is larger than any that the stream took goes alone, so that nothing
//     overtakes it if it is refused.
type session struct {
	p       *Publisher // what outlives the session
	nc      *nats.Conn
	js      jetstream.JetStream
	acks    *acks.Ring
	headers *headers.Reader
	denied  <-chan error // what the server did not permit
	clock   sentClock

	// reconnected says that publishing begins again: with another connection, or a
	// stream that was away. callPassed says that nothing was stored since the fence, so
	// Fence.Passed is not called yet.
	reconnected bool
	callPassed  bool

	// handedOut is how many records the source has handed out in this session, acked how
	// many of them were reported to it as stored.
	handedOut, acked int
	// stored is what the stream has of what is in doubt; nil if that is not known, and
	// when nothing is in doubt any more. fenced says that it was read from the stream:
	// snapshots are not in it.
	stored ids.Set
	fenced bool

	// outbox is what the last record read is sent as.
	outbox []outgoing
	// queue is in flight, oldest first, bytes its size.
	queue []inflight
	bytes int

	ended bool // the source has
	// sentAny says that something was sent since the source was last empty; justEmpty,
	// that it has just become so.
	sentAny, justEmpty bool
	// gaveWay is for how long it gave way since the source was empty.
	gaveWay time.Duration
	// endsWith is what ends the session when nothing is in flight any more.
	endsWith error
	// changed says that what is sent next will be something else than what was refused,
	// so there is nothing to wait for.
	changed bool
	proven  bool
	// alone says that the message sent last is larger than any that the stream took, or
	// that the next one is.
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
	first ids.ID
}

// inflight is one message that waits for its acknowledgement.
type inflight struct {
	number      uint64 // in the ring; 0 if it was not sent, since the stream has it
	subject, id string
	otherID     string // the message id, where it is not id
	size, data  int    // of all of it that counts, and of its payload
	last        bool
	doubt       bool
	hasTTL      bool
	// settled says that its answer was taken, which gave seq; suspect, that the answer
	// calls it a duplicate, and that this was not to be expected.
	settled, suspect bool
	seq              uint64
	first            ids.ID
}

// newSession returns a session over a connection. connected says which one it is.
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

// ensure creates the stream if it is missing. Not to be allowed to look is no trouble: it
// is all that a host needs to publish. An error is a denial of what publishing needs.
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

// askLimits asks for the stream's limits. Not to be allowed to is no trouble.
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

// run publishes until the source ends (nil) or something goes wrong. In either case
// nothing is in flight any more, unless ctx ended.
func (s *session) run(ctx context.Context) error {
	// What the attempt before this one had in flight is sent again. Without that nothing
	// may be: an acknowledgement counts from the oldest record.
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
	ours := errors.Is(err, errTaken) || errors.Is(err, ErrBeginAgain) // nothing is wrong with the stream
	if err != nil && ctx.Err() == nil && !ours {
		s.p.trouble.report(err)
	}
	s.p.streamAway = err != nil && refusal.Code(err) == 0 && !ours
	return errors.Join(err, s.end(ctx, err))
}

// readLast reads the last message on each of our subjects: a rivals.Reader.
func (s *session) readLast(ctx context.Context, each func(subject, id string, seq uint64)) error {
	return s.headers.Read(ctx, headers.Last, each)
}

// end waits for the end of all that is in flight, so that nothing of it arrives after what
// is sent again, and notes what the stream has of it. If an answer is missing that is not
// known.
func (s *session) end(ctx context.Context, why error) error {
	p := s.p
	denied := ""
	if errors.Is(why, nats.ErrPermissionViolation) {
		denied = refusal.DeniedSubject(why) // nothing comes of it, and it is not stored
	}

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

// wait waits until there is something to do, and takes the answers that have come.
func (s *session) wait(ctx context.Context) error {
	var more <-chan struct{}
	if s.isOpen() {
		more = s.p.cfg.Source.More()
	}

	// Where the oldest answer is suspect, it is judged before another one is taken.
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

// awaited is the number of the message whose end is waited for: the oldest, or, while the
// window is full, the one in its middle. One by one, answers would cost a change of thread
// and a write of the checkpoint each.
func (s *session) awaited() uint64 {
	if m := s.queue[len(s.queue)/2]; !m.settled && !s.isOpen() && !s.acks.Ended(m.number) {
		return m.number
	}
	return s.queue[0].number
}

// gather lets records and acknowledgements come together for a moment: one by one, each
// would cost several changes of thread, here and at the server, on the processor that
// supervisord and its listener need.
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

// giveWay waits while others need the processor. Once it has waited for giveWayMost it
// does not until the source is empty: what came first is published within a second.
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
