package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// durable is a consumer on the server that acknowledges all up to a message, so
// that what was not acknowledged can be had again in order.
type durable struct {
	stream, name string
	ackWait      time.Duration
}

// maxPending is how many messages a consumer may have that are not acknowledged.
const maxPending = 2 * maxUnacked

// beginning is where a consumer begins that is made now.
type beginning struct {
	policy jetstream.DeliverPolicy
	seq    uint64
	time   *time.Time
}

func from(seq uint64) *beginning {
	return &beginning{policy: jetstream.DeliverByStartSequencePolicy, seq: seq}
}

// after begins after a message that was stored at a time. What a record says of it is
// cut off at a microsecond.
func after(stored time.Time) *beginning {
	stored = stored.Add(storedWithin)
	return &beginning{policy: jetstream.DeliverByStartTimePolicy, time: &stored}
}

// open returns the consumer. begin says from where it has to be made, in place of
// the one that is there (nil: there is none), and nil to go on with that one: what
// was in flight would come back after ackWait, behind younger messages, while a
// new consumer has it first.
func (d durable) open(ctx context.Context, js jetstream.JetStream, begin func(have *jetstream.ConsumerInfo) (*beginning, error)) (jetstream.Consumer, error) {
	have, err := d.look(ctx, js)
	if err != nil {
		return nil, err
	}
	for broken := false; ; {
		b, err := begin(have)
		if err != nil {
			return nil, err
		}
		switch {
		case b == nil:
			b = &beginning{have.Config.DeliverPolicy, have.Config.OptStartSeq, have.Config.OptStartTime}
		case have != nil:
			if err := js.DeleteConsumer(ctx, d.stream, d.name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				return nil, fmt.Errorf("rewind consumer %s: %w", d.name, err)
			}
		}
		config := jetstream.ConsumerConfig{
			Durable: d.name, AckPolicy: jetstream.AckAllPolicy, AckWait: d.ackWait, MaxDeliver: -1,
			MaxAckPending: maxPending, DeliverPolicy: b.policy, OptStartSeq: b.seq, OptStartTime: b.time,
		}
		if have != nil && have.Paused {
			config.PauseUntil = have.Config.PauseUntil // it is not for us to end that
		}
		c, err := js.CreateOrUpdateConsumer(ctx, d.stream, config)
		var api *jetstream.APIError
		if errors.As(err, &api) && api.Code == 500 && have != nil && !broken {
			// A consumer that was deleted and made at once may be left without its
			// directory (nats-server 2.15), and cannot be changed any more.
			broken = true
			lost := *have
			lost.NumAckPending = max(1, lost.NumAckPending)
			have = &lost
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("create consumer %s: %w", d.name, err)
		}
		// Whoever read before may have made it, and had messages sent, since we
		// looked: the server may still be at what it was told before that.
		if have = c.CachedInfo(); have.NumAckPending == 0 {
			return c, nil
		}
	}
}

// look returns nil if there is no consumer.
func (d durable) look(ctx context.Context, js jetstream.JetStream) (*jetstream.ConsumerInfo, error) {
	c, err := js.Consumer(ctx, d.stream, d.name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up consumer %s: %w", d.name, err)
	}
	return c.CachedInfo(), nil
}

// contiguous sees that no message is missing. What the server has sent into a
// connection that broke comes again only after ackWait; an acknowledgement of a
// later message would be one of it too, and it would never be seen.
type contiguous struct {
	// seen and last are the numbers of the last message: among those that the
	// consumer delivered, and in the stream.
	seen, last uint64
}

// next reports whether a message is one that was not had before.
func (c *contiguous) next(meta *jetstream.MsgMetadata) (fresh bool, err error) {
	if n := meta.Sequence.Consumer; n != c.seen+1 {
		return false, fmt.Errorf("consumer %s delivered its message %d after %d: some were lost on the way, and are read again", meta.Consumer, n, c.seen)
	}
	c.seen++
	fresh = meta.Sequence.Stream > c.last
	c.last = max(c.last, meta.Sequence.Stream)
	return fresh, nil
}
