package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Queue is a consumer on the server that acknowledges all up to a message, so that what
// was not acknowledged comes again in order.
type Queue struct {
	Stream, Name string
	// AckWait is after what time the server delivers again what is not acknowledged.
	AckWait time.Duration
}

// MaxPending is how many messages a queue may have that are not acknowledged.
const MaxPending = 100_000

// Start is where a new queue begins.
type Start struct {
	policy jetstream.DeliverPolicy
	seq    uint64
	time   *time.Time
}

// FromNew begins with the first message that is stored from now on.
func FromNew() *Start { return &Start{policy: jetstream.DeliverNewPolicy} }

// FromAll begins with the oldest message.
func FromAll() *Start { return &Start{policy: jetstream.DeliverAllPolicy} }

// From begins with a sequence.
func From(seq uint64) *Start {
	return &Start{policy: jetstream.DeliverByStartSequencePolicy, seq: seq}
}

// After begins after the message that was stored at a time, which is exact to StoredWithin.
func After(stored time.Time) *Start {
	stored = stored.Add(StoredWithin)
	return &Start{policy: jetstream.DeliverByStartTimePolicy, time: &stored}
}

// startOf is where a consumer began.
func startOf(info *jetstream.ConsumerInfo) *Start {
	return &Start{info.Config.DeliverPolicy, info.Config.OptStartSeq, info.Config.OptStartTime}
}

// Open returns the consumer. It calls begin with the existing one, or nil. begin returns
// where a new consumer has to start, which then replaces the existing one; nil continues
// with the existing one.
//
// A queue with messages in flight has to be replaced: the server would deliver those only
// after AckWait, behind newer messages, while a new consumer delivers them first.
func (q Queue) Open(
	ctx context.Context, js jetstream.JetStream, begin func(have *jetstream.ConsumerInfo) (*Start, error),
) (jetstream.Consumer, error) {
	have, err := q.Look(ctx, js)
	if err != nil {
		return nil, err
	}

	for broken := false; ; {
		start, err := begin(have)
		if err != nil {
			return nil, err
		}
		switch {
		case start == nil:
			start = startOf(have)
		case have != nil:
			err := js.DeleteConsumer(ctx, q.Stream, q.Name)
			if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				return nil, fmt.Errorf("rewind consumer %s: %w", q.Name, err)
			}
		}

		c, err := js.CreateOrUpdateConsumer(ctx, q.Stream, q.config(start, have))
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
			return nil, fmt.Errorf("create consumer %s: %w", q.Name, err)
		}

		// Another reader may have requested messages since the look-up, which the server
		// has sent to it: then the consumer has to be replaced once more.
		if have = c.CachedInfo(); have.NumAckPending == 0 {
			return c, nil
		}
	}
}

func (q Queue) config(start *Start, have *jetstream.ConsumerInfo) jetstream.ConsumerConfig {
	config := jetstream.ConsumerConfig{
		Durable: q.Name, AckPolicy: jetstream.AckAllPolicy, AckWait: q.AckWait,
		MaxDeliver: -1, MaxAckPending: MaxPending,
		DeliverPolicy: start.policy, OptStartSeq: start.seq, OptStartTime: start.time,
	}
	if have != nil && have.Paused {
		config.PauseUntil = have.Config.PauseUntil // somebody has paused it on purpose
	}
	return config
}

// Look returns what the server knows of the queue, nil if there is none.
func (q Queue) Look(ctx context.Context, js jetstream.JetStream) (*jetstream.ConsumerInfo, error) {
	c, err := js.Consumer(ctx, q.Stream, q.Name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up consumer %s: %w", q.Name, err)
	}
	return c.CachedInfo(), nil
}

// Order checks that no message of a queue is missing. The server repeats what it sent into
// a broken connection only after AckWait. Acknowledging a later message would acknowledge
// the missing one too, and it would never be seen.
type Order struct {
	// Seen and last are the numbers of the last message: among those that the consumer
	// delivered, and in the stream.
	Seen, last uint64
}

// Next accepts a message and reports whether it is delivered for the first time. The error
// means that a message before it was lost on the way.
func (o *Order) Next(meta *jetstream.MsgMetadata) (fresh bool, err error) {
	if n := meta.Sequence.Consumer; n != o.Seen+1 {
		return false, fmt.Errorf("consumer %s delivered its message %d after %d: "+
			"some were lost on the way, and are read again",
			meta.Consumer, n, o.Seen)
	}
	o.Seen++
	fresh = meta.Sequence.Stream > o.last
	o.last = max(o.last, meta.Sequence.Stream)
	return fresh, nil
}
