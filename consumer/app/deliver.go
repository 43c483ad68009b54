package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer"
	"supernats/consumer/notify"
	"supernats/schema"
	"supernats/schema/stream"
)

// refusals is how often a notification is tried that the other side refuses for
// good: somebody may mend the other side. By the back-off that is some hours.
const refusals = 30

// deliveryBackOff begins short, since most outages are, and ends at a pace that a
// mail server bears.
var deliveryBackOff = []time.Duration{
	time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second, 10 * time.Second,
	15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
}

// newDelivery returns the consumer that brings every notification to a receiver.
// What cannot be delivered waits in the stream, over restarts too.
func newDelivery(js jetstream.JetStream, r notify.Receiver, log zerolog.Logger) (*consumer.Consumer, error) {
	log = log.With().Str("receiver", r.Name()).Logger()
	return consumer.New(consumer.Config{
		JetStream: js, Stream: stream.Alerts, Durable: deliveryName(r.Name()),
		// A receiver that is new is not told the past.
		NewOnly: true, MaxTries: -1, BackOff: deliveryBackOff, Log: log,
		Handler: consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
			n, err := schema.Unmarshal[*schema.Alert](m.Data)
			if err == nil && n.Data == nil {
				err = errors.New("notification has no data")
			}
			if err == nil && !schema.OfHost(m.Subject, schema.AlertPrefix, n.Data.Host) {
				// Whoever may have a consumer may have it deliver into this stream.
				err = fmt.Errorf("notification %q of host %q was published on %s", n.ID, n.Data.Host, m.Subject)
			}
			if err != nil {
				return consumer.Park(err)
			}
			if err := r.Notify(ctx, []*schema.CloudEvent[*schema.Alert]{n}); err != nil {
				if notify.IsPermanent(err) && m.Tries >= refusals {
					return consumer.Park(err)
				}
				return err
			}
			log.Info().Str("alert", n.ID).Int("try", m.Tries).Msg("notified")
			return nil
		}),
	})
}

// deliveryName makes the name of a durable of a receiver's.
func deliveryName(receiver string) string {
	return schema.Token("notify_" + strings.ToLower(receiver))
}
