package deliver

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/health"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// What was asked over a connection that broke is never answered: nobody waits for it.
func TestQuestionsEndWithTheConnection(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops"}
	var d *Delivery
	for name, ask := range map[string]func(ctx context.Context) error{
		"what is parked":         func(ctx context.Context) error { return d.retryParked(ctx) },
		"opening the receiver":   func(ctx context.Context) error { return d.open(ctx) },
		"parking a notification": func(ctx context.Context) error { return d.park(ctx, newest(f), 1, errors.New("malformed")) },
	} {
		t.Run(name, func(t *testing.T) {
			p := streamtest.NewProxy(t, f.JS.Conn().ConnectedAddr())
			patient, err := jetstream.New(p.JetStream().Conn(), jetstream.WithDefaultTimeout(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			d = newDelivery(patient, Addressee{Receiver: r})
			if err := d.Create(t.Context()); err != nil {
				t.Fatal(err)
			}

			p.SetFault(streamtest.Stalled)
			time.AfterFunc(50*time.Millisecond, p.Cut)
			if err := ask(t.Context()); !errors.Is(err, health.ErrBroken) && !errors.Is(err, nats.ErrDisconnected) {
				t.Errorf("%v", err)
			}
		})
	}
}

// newest is a message of the stream of notifications.
func newest(f *fleet) jetstream.Msg {
	f.alert("a")
	c, err := f.JS.OrderedConsumer(f.Context(), stream.Alerts, jetstream.OrderedConsumerConfig{})
	if err != nil {
		f.Fatal(err)
	}
	m, err := c.Next()
	if err != nil {
		f.Fatal(err)
	}
	return m
}
