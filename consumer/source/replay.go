package source

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
)

// Replay calls each with every message that the stream of events holds, in order, from
// the oldest one or from a time on, until there are no more or each returns false. The
// message is valid until each returns; an error of each ends Replay. It needs no durable
// consumer.
func Replay(
	ctx context.Context, js jetstream.JetStream, line Lineage, since time.Time,
	each func(*Received) (more bool, err error),
) error {
	config := jetstream.OrderedConsumerConfig{}
	if !since.IsZero() {
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	c, err := js.OrderedConsumer(ctx, stream.Events, config)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream.Events, err)
	}
	if c.CachedInfo().NumPending == 0 {
		return nil
	}

	msgs, err := c.Messages(jetstream.PullMaxMessagesWithBytesLimit(readAhead, pullBytes(js)))
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream.Events, err)
	}
	defer msgs.Stop()
	defer context.AfterFunc(ctx, msgs.Stop)() // cheaper than to hand ctx to each Next

	var m Received // one for all: each must not keep it
	for {
		raw, err := msgs.Next()
		if err != nil {
			return fmt.Errorf("read stream %s: %w", stream.Events, cmp.Or(ctx.Err(), err))
		}
		m, err = Receive(raw, line)
		if err != nil {
			return err
		}
		if more, err := each(&m); err != nil || !more || m.Meta.NumPending == 0 {
			return err
		}
	}
}
