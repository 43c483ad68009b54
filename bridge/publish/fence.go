package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/publish/acks"
	"supernats/bridge/publish/refusal"
	"supernats/schema/stream"
)

// Fence is how a publisher finds out, when it begins anew, which messages of its
// source the stream already has: it publishes a record of its own, whose sequence
// is the fence, and reads the ids of all messages between the last acknowledgement
// it knows of and the fence. Those are stored, everything else is not, however
// long ago the stream's duplicate window ended. Nothing that was never sent can be
// taken for stored, whoever else publishes under the same names.
//
// What was sent over the connection before may still reach the stream behind the
// fence, out of some buffer. That is what the duplicate window is left for: a
// server closes a connection that is silent for minutes.
type Fence struct {
	// Record makes the message that is published.
	Record func() (*nats.Msg, error)
	// Consumer is the name of the consumer that reads, always the same one, so that
	// a user's permissions can name it; Filter is what it reads.
	Consumer, Filter string
	// Replaced reports that a message need not be sent if it may have been before:
	// Filter does not cover it, and a newer one follows.
	Replaced func(*nats.Msg) bool
	// Passed is called when something is stored after publishing has begun again, not
	// after its first beginning: what it asks for is to be of use.
	Passed func()
	// Boot returns which life of a supervisord an id is of, empty if it is of none;
	// Ours is our own.
	Boot func(id string) string
	Ours string
	// Processes are those of our supervisord, group.process in tokens; nil, also as
	// its result, where they are not known but by their events.
	Processes func() map[string]bool
	// Listener reports whether a group, in tokens, is that of a bridge: every
	// supervisord has one, mostly of the same name. May be nil.
	Listener func(group string) bool
}

const (
	// readBatch is how many headers are asked for at a time.
	readBatch = 1000
	// readPatience is how long the fence itself is waited for behind what is read:
	// a replica may lag, and a stream with small limits may have removed it.
	readPatience = 3 * time.Second
	// consumerIdle is when the server removes a consumer whose bridge has died.
	consumerIdle = 10 * time.Second
)

// errNoRight says that the stream cannot be looked at.
var errNoRight = errors.New("not allowed to read what the stream has")

// messageID is a hash of an id: an id is some 40 bytes, and after a lost checkpoint
// there may be a million of them.
type messageID [16]byte

func idOf(m *nats.Msg) messageID { return hashID(m.Header.Get(nats.MsgIdHdr)) }

func hashID(id string) messageID {
	sum := sha256.Sum256([]byte(id))
	return messageID(sum[:16])
}

// pass publishes the fence, and finds out what is stored before it if anything
// may be.
func (s *session) pass(ctx context.Context) error {
	f := s.cfg.Fence
	if s.sure && s.doubt > 0 {
		s.stored = s.known // every answer came: there is nothing to find out
	}
	if f == nil || (s.doubt == 0 || s.sure) && !s.again {
		return nil
	}
	seq, err := s.publishFence(ctx)
	if err != nil {
		return err
	}
	s.proven = true
	if s.doubt > 0 && !s.sure {
		first := s.seq + 1
		if seq <= s.seq {
			first = 1 // the stream was made anew
		}
		s.stored, err = s.readIDs(ctx, first, seq)
		switch {
		case err == nil:
			s.fenced = true
			s.cfg.Log.Debug().Int("records", s.doubt).Int("messages", len(s.stored)).Uint64("seq", seq).Msg("looked at what the stream has of records that may have been sent before")
		case errors.Is(err, errNoRight):
			s.sayNoRight(err)
		default:
			return fmt.Errorf("look at what the stream has: %w", err)
		}
	}
	s.passed, s.progress = s.again, false
	return nil
}

// publishFence publishes the fence and returns its sequence.
func (s *session) publishFence(ctx context.Context) (uint64, error) {
	for try := 0; ; try++ {
		m, err := s.cfg.Fence.Record()
		if err != nil {
			return 0, fmt.Errorf("make the record of a reconnect: %w", err)
		}
		if try > 0 {
			m.Header[nats.MsgIdHdr] = []string{s.taken.again(m.Header.Get(nats.MsgIdHdr))}
		}
		ack, err := s.publishOne(ctx, m)
		// The sequence of a duplicate is that of another message, see judge.
		if err != nil || !ack.Duplicate || try == 2 {
			return ack.Seq, err
		}
		s.sayTaken(m.Header.Get(nats.MsgIdHdr))
	}
}

// publishOne publishes a message and waits for its answer.
func (s *session) publishOne(ctx context.Context, m *nats.Msg) (acks.Answer, error) {
	m.Header[stream.HeaderSent] = s.now()
	n, err := s.acks.Publish(m)
	if err != nil {
		return acks.Answer{}, fmt.Errorf("publish on %s: %w", m.Subject, err)
	}
	for {
		select {
		case <-ctx.Done():
			return acks.Answer{}, ctx.Err()
		case err := <-s.denied:
			if refusal.ConcernsPublishing(err) {
				return acks.Answer{}, err
			}
		case <-s.acks.Await(n):
			ack, _ := s.acks.Take(n)
			return ack, s.check(inflight{subject: m.Subject, size: len(m.Data)}, ack)
		}
	}
}

// readIDs returns the ids of the messages from the sequence first to the fence.
// The error is errNoRight (wrapped) if it is not allowed to us.
func (s *session) readIDs(ctx context.Context, first, fence uint64) (map[messageID]struct{}, error) {
	ids := map[messageID]struct{}{}
	err := s.read(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: first,
	}, fence, true, func(m jetstream.Msg, _ uint64) {
		ids[hashID(withoutAgain(m.Headers().Get(nats.MsgIdHdr)))] = struct{}{}
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// read calls each for the headers of our messages, up to the one with the sequence
// last, or, if that is 0, up to the last there is. If it is patient it waits for last
// for a while.
func (s *session) read(ctx context.Context, cfg jetstream.ConsumerConfig, last uint64, patient bool, each func(m jetstream.Msg, seq uint64)) (err error) {
	ctx, cancel := s.untilDenied(ctx)
	defer cancel(nil)
	cfg.Name, cfg.FilterSubject = s.cfg.Fence.Consumer, s.cfg.Fence.Filter
	// The description makes it another consumer than the one that a bridge left
	// behind when it died: that one has delivered some already.
	cfg.Description = fmt.Sprintf("what a bridge reads when it begins anew, up to %d, %d", last, time.Now().UnixNano())
	cfg.AckPolicy, cfg.HeadersOnly = jetstream.AckNonePolicy, true
	cfg.MemoryStorage, cfg.InactiveThreshold = true, consumerIdle
	c, err := s.createConsumer(ctx, cfg)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, nats.ErrPermissionViolation) {
			return cause
		}
		return err
	}
	defer func() { _ = s.js.DeleteConsumer(ctx, s.cfg.Stream, cfg.Name) }()
	if s.saidNoRight {
		s.saidNoRight = false
		s.clear(CauseLook)
	}
	begun := time.Now()
	for empty := begun; time.Since(empty) < readPatience; {
		batch, err := c.FetchNoWait(readBatch)
		if err != nil {
			return fmt.Errorf("read from consumer %s: %w", cfg.Name, err)
		}
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return fmt.Errorf("read from consumer %s: %w", cfg.Name, err)
			}
			each(m, meta.Sequence.Stream)
			if last > 0 && meta.Sequence.Stream >= last || !patient && meta.NumPending == 0 {
				return nil
			}
			empty = time.Now()
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err := batch.Error(); err != nil {
			return fmt.Errorf("read from consumer %s: %w", cfg.Name, err)
		}
		if !patient && empty.Equal(begun) {
			return nil // there is nothing
		}
		if time.Since(empty) > time.Millisecond {
			sleep(ctx, 50*time.Millisecond)
		}
	}
	return nil
}

// createConsumer creates the consumer, in place of one that another listener of
// this host is reading with, or left behind.
func (s *session) createConsumer(ctx context.Context, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	for try := 0; ; try++ {
		tryCtx, cancel := context.WithTimeout(ctx, ackTimeout)
		c, err := s.js.CreateConsumer(tryCtx, s.cfg.Stream, cfg)
		cancel()
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, jetstream.ErrConsumerExists) || try == 3 {
			return nil, fmt.Errorf("create consumer %s: %w", cfg.Name, err)
		}
		sleep(ctx, 300*time.Millisecond)
		if try > 0 {
			tryCtx, cancel := context.WithTimeout(ctx, ackTimeout)
			_ = s.js.DeleteConsumer(tryCtx, s.cfg.Stream, cfg.Name)
			cancel()
		}
	}
}

// untilDenied returns a context that ends when the server denies something, since
// that gets no answer: with errNoRight if it was a request to JetStream.
func (s *session) untilDenied(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-ctx.Done():
		case err := <-s.denied:
			if !refusal.ConcernsPublishing(err) {
				err = fmt.Errorf("%w: %w", errNoRight, err)
			}
			cancel(err)
		}
	}()
	return ctx, cancel
}

func (p *Publisher) sayNoRight(err error) {
	if p.saidNoRight {
		return
	}
	p.saidNoRight = true
	name, filter := p.cfg.Stream+"."+p.cfg.Fence.Consumer, p.cfg.Fence.Filter
	fix := "allow this user to publish on $JS.API.CONSUMER.CREATE." + name + "." + filter +
		", $JS.API.CONSUMER.MSG.NEXT." + name + " and $JS.API.CONSUMER.DELETE." + name
	text := "it may not be looked at what the stream has: after an outage longer than the stream's duplicate window events may be stored twice"
	p.raise(CauseLook, text+": "+err.Error(), fix)
	p.cfg.Log.Warn().Err(err).Str("fix", fix).Msg(text)
}

// sleep returns when d is over, or ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
