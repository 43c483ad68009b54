package keeper

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// kept is a keeper of a server with all streams, which has looked once.
type kept struct {
	*Keeper
	health  *health.Health
	refuse  error // what creating answers; nil: it creates
	changes int
}

func newKept(t *testing.T) *kept {
	t.Helper()
	js := streamtest.Start(t).JetStream()
	k := &kept{health: health.New(zerolog.Nop())}
	ensure := func(ctx context.Context) error {
		if k.refuse != nil {
			return k.refuse
		}
		return stream.EnsureAll(ctx, js, stream.DefaultLimits())
	}
	k.Keeper = New(js, Options{
		Create:    ensure,
		Changed:   func() { k.changes++ },
		Consumers: func() map[string][]string { return map[string][]string{stream.Events: {"reader"}} },
		Health:    k.health,
		Log:       zerolog.Nop(),
	})
	if err := ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.mustLook(t)
	return k
}

func (k *kept) mustLook(t *testing.T) {
	t.Helper()
	if err := k.lookOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestMissingStreamIsCreatedAgain(t *testing.T) {
	k := newKept(t)
	bucket := stream.OfBucket(stream.HostsBucket)
	if err := k.js.DeleteStream(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}

	k.refuse = errors.New("no room")
	k.mustLook(t)
	failures := k.health.Failures()
	if len(failures) != 1 || failures[0].Cause != CauseMissing || !strings.Contains(failures[0].Text, bucket+"; it cannot be created again: no room") {
		t.Errorf("while it cannot be created: %+v", failures)
	}
	if k.changes != 0 {
		t.Errorf("%d changes are reported", k.changes)
	}

	k.refuse = nil
	k.mustLook(t)
	if _, err := k.js.Stream(t.Context(), bucket); err != nil {
		t.Error(err)
	}
	if len(k.health.Failures()) != 0 || k.changes != 1 {
		t.Errorf("after it was created: %+v, %d changes", k.health.Failures(), k.changes)
	}
}

func TestStreamThatWentBackIsAChange(t *testing.T) {
	k := newKept(t)
	if _, err := k.js.Publish(t.Context(), "supervisor.event.x", nil); err != nil {
		t.Fatal(err)
	}
	k.mustLook(t)
	if k.changes != 0 {
		t.Errorf("a message is %d changes", k.changes)
	}

	if err := k.js.DeleteStream(t.Context(), stream.Events); err != nil {
		t.Fatal(err)
	}
	if err := k.options.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.mustLook(t)
	if k.changes != 1 {
		t.Errorf("another stream of that name is %d changes", k.changes)
	}
}

func TestPausedConsumerIsATrouble(t *testing.T) {
	k := newKept(t)
	until := time.Now().Add(time.Hour)
	config := jetstream.ConsumerConfig{Durable: "reader", AckPolicy: jetstream.AckExplicitPolicy, PauseUntil: &until}
	if _, err := k.js.CreateOrUpdateConsumer(t.Context(), stream.Events, config); err != nil {
		t.Fatal(err)
	}
	k.mustLook(t)
	failures := k.health.Failures()
	if len(failures) != 1 || failures[0].Cause != "consumer-paused reader" || failures[0].Fix != "nats consumer resume SUPERVISOR reader" {
		t.Errorf("while it is paused: %+v", failures)
	}

	if _, err := k.js.ResumeConsumer(t.Context(), stream.Events, "reader"); err != nil {
		t.Fatal(err)
	}
	k.mustLook(t)
	if failures := k.health.Failures(); len(failures) != 0 {
		t.Errorf("after it was resumed: %+v", failures)
	}
}
