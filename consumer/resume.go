package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// progress is how far a Consumer has come in a stream, as this process knows it. The
// server knows it too, until somebody deletes the durable or the stream. It belongs to
// the goroutine of Run.
type progress struct {
	known bool
	// last is the highest message that was handled, stored at lastAt; tried are those up
	// to it that wait for another try, at most MaxAckPending of them.
	last   uint64
	lastAt time.Time
	tried  map[uint64]time.Time
}

// opened says where a durable is that is read now.
func (p *progress) opened(info *jetstream.ConsumerInfo) {
	if !p.known {
		*p = progress{known: true, last: info.AckFloor.Stream, lastAt: info.TimeStamp}
	}
}

// seen says that a message was handled, or will be tried again.
func (p *progress) seen(m *Message, done bool) {
	if m.Seq > p.last {
		p.last, p.lastAt = m.Seq, m.Stored
	}
	delete(p.tried, m.Seq)
	if !done {
		if p.tried == nil {
			p.tried = map[uint64]time.Time{}
		}
		p.tried[m.Seq] = m.Stored
	}
}

// next is the first message that is not handled, and when the one before was stored.
func (p *progress) next() (seq uint64, after time.Time) {
	seq, after = p.last+1, p.lastAt
	for s, stored := range p.tried {
		if s < seq {
			seq, after = s, stored.Add(-time.Nanosecond)
		}
	}
	return seq, after
}

// lookTimeout bounds how long a look at the stream takes that may not be allowed.
const lookTimeout = 2 * time.Second

// resume makes a durable that has vanished begin where this process is: nothing is
// missed, and only what waits for another try is handled twice. Of a stream that was
// made again everything is new.
func (c *Consumer) resume(ctx context.Context, want *jetstream.ConsumerConfig) error {
	if !c.at.known {
		return nil // it is a new one
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	s, err := c.cfg.JetStream.Stream(ctx, c.cfg.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("look up stream %s: %w", c.cfg.Stream, err)
	}
	if err != nil { // not everybody may look
		c.log.Warn().Err(err).Str("stream", c.cfg.Stream).Msg("durable consumer is gone and begins with the oldest message: the stream cannot be looked up")
		want.DeliverPolicy = jetstream.DeliverAllPolicy
		c.at = progress{}
		return nil
	}

	info := s.CachedInfo()
	next, after := c.at.next()
	switch {
	case info.Created.After(c.at.lastAt): // another stream of that name
		want.DeliverPolicy = jetstream.DeliverAllPolicy
		c.at = progress{}
	case info.State.LastSeq < next-1: // it was restored from a backup
		after = after.Add(time.Nanosecond)
		want.DeliverPolicy, want.OptStartTime = jetstream.DeliverByStartTimePolicy, &after
		c.at = progress{}
	default:
		want.DeliverPolicy, want.OptStartSeq = jetstream.DeliverByStartSequencePolicy, next
	}
	c.log.Warn().Str("stream", c.cfg.Stream).Msg("durable consumer is gone and is made again where it was")
	return nil
}
