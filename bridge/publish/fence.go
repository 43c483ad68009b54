package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
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
	// Passed is called when publishing begins again, not at its first beginning.
	Passed func()
	// Boot returns which life of a supervisord an id is of, empty if it is of none;
	// Ours is our own.
	Boot func(id string) string
	Ours string
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
	if f == nil || s.doubt == 0 && !s.again {
		return nil
	}
	msg, err := f.Record()
	if err != nil {
		return fmt.Errorf("make the record of a reconnect: %w", err)
	}
	seq, err := s.publishOne(ctx, msg)
	if err != nil {
		return err
	}
	s.proven = true
	if s.doubt > 0 {
		first := s.seq + 1
		if seq <= s.seq {
			first = 1 // the stream was made anew
		}
		s.stored, err = s.readIDs(ctx, first, seq)
		switch {
		case err == nil:
			s.cfg.Log.Debug().Int("records", s.doubt).Int("messages", len(s.stored)).Uint64("seq", seq).Msg("looked at what the stream has of records that may have been sent before")
		case errors.Is(err, errNoRight):
			s.sayNoRight(err)
		default:
			return fmt.Errorf("look at what the stream has: %w", err)
		}
	}
	if s.again {
		f.Passed()
	}
	return nil
}

// publishOne publishes a message and waits for its sequence.
func (s *session) publishOne(ctx context.Context, m *nats.Msg) (uint64, error) {
	n, err := s.acks.publish(m)
	if err != nil {
		return 0, fmt.Errorf("publish on %s: %w", m.Subject, err)
	}
	for {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case err := <-s.denied:
			if concernsPublishing(err) {
				return 0, err
			}
		case <-s.acks.await(n):
			ack, _ := s.acks.take(n)
			return ack.seq, s.check(inflight{subject: m.Subject}, ack)
		}
	}
}

// readIDs returns the ids of the messages from the sequence first to the fence.
// The error is errNoRight (wrapped) if it is not allowed to us.
func (s *session) readIDs(ctx context.Context, first, fence uint64) (map[messageID]struct{}, error) {
	ids := map[messageID]struct{}{}
	err := s.read(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: first,
	}, fence, func(m jetstream.Msg, _ uint64) { ids[hashID(m.Headers().Get(nats.MsgIdHdr))] = struct{}{} })
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// read calls each for the headers of our messages, up to the one with the sequence
// last, or, if that is 0, up to the last there is.
func (s *session) read(ctx context.Context, cfg jetstream.ConsumerConfig, last uint64, each func(m jetstream.Msg, seq uint64)) (err error) {
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
	for empty := time.Now(); time.Since(empty) < readPatience; {
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
			if last > 0 && meta.Sequence.Stream >= last || last == 0 && meta.NumPending == 0 {
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
		if last == 0 {
			return nil
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
			if !concernsPublishing(err) {
				err = fmt.Errorf("%w: %w", errNoRight, err)
			}
			cancel(err)
		}
	}()
	return ctx, cancel
}

// concernsPublishing tells a denial of what a publisher needs from one of what is
// only of use to it.
func concernsPublishing(err error) bool { return !strings.Contains(err.Error(), `"$JS.API.`) }

func (p *Publisher) sayNoRight(err error) {
	if p.saidNoRight {
		return
	}
	p.saidNoRight = true
	p.cfg.Log.Warn().Err(err).Str("mend", "allow this user to publish on $JS.API.CONSUMER.CREATE."+p.cfg.Stream+"."+p.cfg.Fence.Consumer+"."+p.cfg.Fence.Filter+
		", $JS.API.CONSUMER.MSG.NEXT."+p.cfg.Stream+"."+p.cfg.Fence.Consumer+" and $JS.API.CONSUMER.DELETE."+p.cfg.Stream+"."+p.cfg.Fence.Consumer).
		Msg("after an outage longer than the stream's duplicate window events may be stored twice")
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
