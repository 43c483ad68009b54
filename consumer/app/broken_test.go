package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/alerts"
	"supernats/consumer/health"
	"supernats/consumer/records"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// What was asked over a connection that broke is never answered: nobody waits for it.
func TestQuestionsEndWithTheConnection(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops"}
	var d *delivery
	var v *events
	for name, ask := range map[string]func(ctx context.Context) error{
		"has something arrived":   func(ctx context.Context) error { return d.inbox.check(ctx) },
		"where the receiver is":   func(ctx context.Context) error { return d.inbox.claim(ctx) },
		"what is parked":          func(ctx context.Context) error { return d.retryParked(ctx) },
		"storing a notification":  func(ctx context.Context) error { return v.publishPending(ctx) },
		"opening the receiver":    func(ctx context.Context) error { return d.open(ctx) },
		"parking a notification":  func(ctx context.Context) error { return d.park(ctx, newest(f), 1, errors.New("malformed")) },
		"the records of a fleet":  func(ctx context.Context) error { return v.restore(ctx, &durableSource{}) },
		"are the buckets as were": func(ctx context.Context) error { _, err := v.isOther(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) {
			p := streamtest.NewProxy(t, f.js.Conn().ConnectedAddr())
			patient, err := jetstream.New(p.JetStream().Conn(), jetstream.WithDefaultTimeout(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			d = newDelivery(patient, addressee{Receiver: r}, isHeld, quick(), zerolog.Nop())
			v = f.events()
			v.js = patient
			if err := errors.Join(d.Create(t.Context()), v.restore(t.Context(), &durableSource{})); err != nil {
				t.Fatal(err)
			}
			defer v.mutes.stop()
			note := crashes(1, "a log\n")
			note.At = time.Now().Add(-time.Hour) // it is looked whether it is there
			v.pending, v.looked = []alerts.Notification{note}, time.Time{}

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
	c, err := f.js.OrderedConsumer(f.Context(), stream.Alerts, jetstream.OrderedConsumerConfig{})
	if err != nil {
		f.Fatal(err)
	}
	m, err := c.Next()
	if err != nil {
		f.Fatal(err)
	}
	return m
}

// A bucket vanishes after it was seen that none has, and before it is read: what it held
// is in memory, and is not given up for the nothing that is there.
func TestRecordsThatVanishBeforeTheyAreRead(t *testing.T) {
	f := newFleet(t)
	stop := f.run()
	f.handled(f.publish(f.event(schema.ProcessStateRunning)))
	stop()
	v := f.events()
	if err := v.restore(t.Context(), &durableSource{}); err != nil {
		t.Fatal(err)
	}
	v.mutes.stop()

	if err := f.js.DeleteStream(t.Context(), "KV_"+stream.StateBucket); err != nil {
		t.Fatal(err)
	}
	if err := stream.EnsureAll(t.Context(), f.js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	if err := v.restore(t.Context(), &durableSource{}); !errors.Is(err, records.ErrRestored) {
		t.Fatalf("an empty bucket is read: %v", err)
	}
	if err := errors.Join(v.remember(t.Context(), false), v.restore(t.Context(), &durableSource{})); err != nil {
		t.Fatal(err)
	}
	v.mutes.stop()
	if !f.has(stream.StateBucket, "web1.api.api_00") {
		t.Error("the record is not written again")
	}
	n := 0
	for range v.fleet.States() {
		n++
	}
	if n != 1 {
		t.Errorf("%d processes are in memory", n)
	}
}
