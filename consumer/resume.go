package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// openDurable finds or creates the consumer on the server.
func (c *Consumer) openDurable(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	want := jetstream.ConsumerConfig{
		Durable:        c.cfg.Durable,
		FilterSubjects: c.cfg.Subjects,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        c.cfg.AckWait,
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		MaxDeliver:     -1, // messages are given up here: the server would forget them silently
		MaxAckPending:  maxPending,
	}
	if c.cfg.NewOnly {
		want.DeliverPolicy = jetstream.DeliverNewPolicy
	}

	have, err := c.cfg.JetStream.Consumer(ctx, c.cfg.Stream, c.cfg.Durable)
	if err == nil {
		c.keepSettings(&want, have.CachedInfo())
	} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, fmt.Errorf("look up consumer %s of stream %s: %w", c.cfg.Durable, c.cfg.Stream, err)
	} else if err := c.resume(ctx, &want); err != nil {
		return nil, err
	}

	have, err = c.cfg.JetStream.CreateOrUpdateConsumer(ctx, c.cfg.Stream, want)
	if err != nil {
		return nil, fmt.Errorf("create consumer %s of stream %s: %w", c.cfg.Durable, c.cfg.Stream, err)
	}
	c.progress.begin(have.CachedInfo())
	return have, nil
}

// keepSettings leaves alone what belongs to the operator, and where an existing consumer
// began: that cannot be changed, and need not be.
func (c *Consumer) keepSettings(want *jetstream.ConsumerConfig, info *jetstream.ConsumerInfo) {
	want.DeliverPolicy = info.Config.DeliverPolicy
	want.OptStartSeq = info.Config.OptStartSeq
	want.OptStartTime = info.Config.OptStartTime
	if !info.Paused {
		return
	}

	want.PauseUntil = info.Config.PauseUntil
	c.log.Warn().Time("until", info.TimeStamp.Add(info.PauseRemaining)).
		Msg("consumer is paused; nats consumer resume " + c.cfg.Stream + " " + c.cfg.Durable)
}

// progress is how far a Consumer has come in a stream, as this process knows it. The server
// knows that too, until somebody deletes the durable or the stream.
//
//   - All messages up to last have been handled, except those in tried.
//   - Those in tried wait for another try; there are at most maxPending.
type progress struct {
	known bool
	// last is the highest sequence that was handled, lastAt when the stream got it.
	last   uint64
	lastAt time.Time
	// tried says when the stream got each of them.
	tried map[uint64]time.Time
}

// begin notes where the durable stands, if nothing is known yet.
func (p *progress) begin(info *jetstream.ConsumerInfo) {
	if !p.known {
		*p = progress{known: true, last: info.AckFloor.Stream, lastAt: info.TimeStamp}
	}
}

// note notes that a message was handled (done), or will be tried again.
func (p *progress) note(m *Message, done bool) {
	if m.Seq > p.last {
		p.last = m.Seq
		p.lastAt = m.Stored
	}

	delete(p.tried, m.Seq)
	if !done {
		if p.tried == nil {
			p.tried = map[uint64]time.Time{}
		}
		p.tried[m.Seq] = m.Stored
	}
}

// firstUnhandled returns the first message that is not handled, and the time after which the
// stream got it.
func (p *progress) firstUnhandled() (seq uint64, after time.Time) {
	seq, after = p.last+1, p.lastAt
	for s, stored := range p.tried {
		if s < seq {
			seq, after = s, stored.Add(-time.Nanosecond)
		}
	}
	return seq, after
}

// lookTimeout bounds a look at the stream: one that is not allowed gets no answer.
const lookTimeout = 2 * time.Second

// resume makes a durable that has vanished begin where this process is. Nothing is missed,
// and only messages that come after one that waits for another try are handled twice. If
// the stream was created again, everything in it is new.
func (c *Consumer) resume(ctx context.Context, want *jetstream.ConsumerConfig) error {
	if !c.progress.known {
		return nil // the durable is a new one
	}

	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	s, err := c.cfg.JetStream.Stream(ctx, c.cfg.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("look up stream %s: %w", c.cfg.Stream, err)
	}
	if err != nil { // this user may not look it up
		c.log.Warn().Err(err).Str("stream", c.cfg.Stream).
			Msg("durable consumer is gone and begins with the oldest message: the stream cannot be looked up")
		want.DeliverPolicy = jetstream.DeliverAllPolicy
		c.progress = progress{}
		return nil
	}

	info := s.CachedInfo()
	next, after := c.progress.firstUnhandled()
	switch {
	case info.Created.After(c.progress.lastAt): // another stream with the name
		want.DeliverPolicy = jetstream.DeliverAllPolicy
		c.progress = progress{}
	case info.State.LastSeq < next-1: // it was restored from a backup
		after = after.Add(time.Nanosecond)
		want.DeliverPolicy = jetstream.DeliverByStartTimePolicy
		want.OptStartTime = &after
		c.progress = progress{}
	default:
		want.DeliverPolicy = jetstream.DeliverByStartSequencePolicy
		want.OptStartSeq = next
	}
	c.log.Warn().Str("stream", c.cfg.Stream).Msg("durable consumer is gone and is created again where it was")
	return nil
}
