package inbox

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/fleettest"
	"supernats/consumer/records"
	"supernats/schema/stream"
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
	b.positions, err = records.OpenTable[Position](t.Context(), f.JS, stream.LeasesBucket, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.BeginLater(t.Context()); err != nil {
		t.Fatal(err)
	}
	written := func() (p Position) {
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
