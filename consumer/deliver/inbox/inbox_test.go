package inbox

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/fleettest"
	"supernats/consumer/health"
	"supernats/consumer/records"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// A queue that was there all the time continues where it was, whatever was written down
// while it could not be looked at.
func TestQueueThatCouldNotBeSeen(t *testing.T) {
	f := fleettest.New(t)
	b := New(f.JS, "mail/ops@example.com", nil, zerolog.Nop())
	config := jetstream.ConsumerConfig{Durable: b.Name(), AckPolicy: jetstream.AckAllPolicy, AckWait: redeliverAfter}
	if _, err := f.JS.CreateOrUpdateConsumer(t.Context(), stream.Alerts, config); err != nil {
		t.Fatal(err)
	}
	f.PublishRaw("supervisor.alert.a", "a")
	f.PublishRaw("supervisor.alert.b", "b")
	var err error
	b.positions, err = records.OpenTable[stream.Position](t.Context(), f.JS, stream.LeasesBucket, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.BeginLater(t.Context()); err != nil {
		t.Fatal(err)
	}
	written := func() (p stream.Position) {
		e, err := f.Bucket(stream.LeasesBucket).Get(t.Context(), b.Name())
		if err != nil {
			t.Fatal(err)
		}
		f.Unmarshal(e.Value(), &p)
		return p
	}
	if p := written(); !p.Unmade || p.Done != 2 {
		t.Fatalf("%+v", p)
	}

	f.PublishRaw("supervisor.alert.c", "c")
	if err := b.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 3 {
		msgs, err := b.Next(t.Context(), 10*time.Second)
		if err != nil || len(msgs) != 1 {
			t.Fatalf("%d messages: %v", len(msgs), err)
		}
		got = append(got, string(msgs[0].Data()))
	}
	if got := strings.Join(got, " "); got != "a b c" {
		t.Errorf("read is %s", got)
	}
	if p := written(); p.Unmade || p.Begin != 0 {
		t.Errorf("%+v", p)
	}
}

// Whatever the clock says, the position of a queue has one writer.
func TestQueueThatAnotherHasOpened(t *testing.T) {
	f := fleettest.New(t)
	a := New(f.JS, "mail/ops@example.com", nil, zerolog.Nop())
	b := New(f.JS, "mail/ops@example.com", nil, zerolog.Nop())
	for _, i := range []*Inbox{a, b} {
		if err := i.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Begin(t.Context(), 1); !stream.IsWrongLast(err) {
		t.Errorf("the first one may send: %v", err)
	}
	if err := b.Begin(t.Context(), 1); err != nil {
		t.Error(err)
	}
}

// What was asked over a connection that broke is never answered: nobody waits for it.
func TestQuestionsEndWithTheConnection(t *testing.T) {
	f := fleettest.New(t)
	var b *Inbox
	for name, ask := range map[string]func(ctx context.Context) error{
		"has something arrived": func(ctx context.Context) error { return b.checkArrived(ctx) },
		"where the receiver is": func(ctx context.Context) error { return b.writePosition(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			p := streamtest.NewProxy(t, f.JS.Conn().ConnectedAddr())
			patient, err := jetstream.New(p.JetStream().Conn(), jetstream.WithDefaultTimeout(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			b = New(patient, "mail/ops", nil, zerolog.Nop())
			if err := b.Open(t.Context()); err != nil {
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
