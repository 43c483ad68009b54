package app

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
)

// Versions before batches had a consumer that acknowledged each notification by
// itself. Of such a one the server tells how many are in flight and not which, and
// those that wait for their next try come when their time is over. They are
// delivered from it first; then a consumer of now begins behind them.

// openOld has everything back at once that is in flight.
func (b *inbox) openOld(ctx context.Context, have *jetstream.ConsumerInfo) error {
	c, err := b.js.Consumer(ctx, stream.Alerts, b.name)
	if err != nil {
		return fmt.Errorf("look up consumer %s: %w", b.name, err)
	}
	b.log.Info().Int("notifications", have.NumAckPending).Msg("delivering what the version before had in flight")
	b.consumer, b.old = c, true
	b.raise(have.AckFloor.Stream)
	if err := b.claim(ctx); err != nil {
		return err
	}
	if err := b.nak(have); err != nil {
		return err
	}
	got, err := c.Fetch(have.NumAckPending, jetstream.FetchMaxWait(5*time.Second))
	if err != nil {
		return fmt.Errorf("fetch notifications: %w", err)
	}
	b.order = contiguous{seen: have.Delivered.Consumer}
	for m := range got.Messages() {
		if b.left, err = b.take(b.left, m); err != nil {
			return err
		}
	}
	return got.Error()
}

// nak gives back all that may be in flight; what is not is nothing to the server
// (nats-server/server/consumer.go processNak).
func (b *inbox) nak(have *jetstream.ConsumerInfo) error {
	nc := b.js.Conn()
	for seq := have.AckFloor.Stream + 1; seq <= have.Delivered.Stream; seq++ {
		subject := fmt.Sprintf("$JS.ACK.%s.%s.1.%d.%d.0.0", stream.Alerts, b.name, seq, have.Delivered.Consumer)
		var err error
		if seq < have.Delivered.Stream {
			err = nc.Publish(subject, []byte("-NAK"))
		} else { // the last one is answered: by then all are taken in
			_, err = nc.Request(subject, []byte("-NAK"), ackTimeout)
		}
		if err != nil {
			return fmt.Errorf("have notification %d back: %w", seq, err)
		}
	}
	return nil
}

// nextOld returns a batch of what was in flight.
func (b *inbox) nextOld() ([]jetstream.Msg, error) {
	if len(b.left) == 0 {
		return nil, errReopen
	}
	n := min(len(b.left), batchSize)
	batch := b.left[:n]
	b.left = b.left[n:]
	return batch, nil
}
