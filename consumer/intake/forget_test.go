package intake

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

// left is how many messages the buckets hold, those of what was deleted too.
func (f *fleet) left(bucket string) uint64 {
	f.Helper()
	s, err := f.JS.Stream(f.Context(), "KV_"+bucket)
	if err != nil {
		f.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func onHost(name string) func(*schema.Event) { return func(e *schema.Event) { e.Host = name } }

// forget says that a host is gone for good.
func (f *fleet) forget(w schema.Forgotten) {
	f.Helper()
	if err := PublishForgotten(f.Context(), f.JS, &w); err != nil {
		f.Fatal(err)
	}
}

func TestForget(t *testing.T) {
	f := newFleet(t)
	f.read()
	name := stream.BridgeConsumer("web1")
	if _, err := f.JS.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{Durable: name}); err != nil {
		t.Fatal(err)
	}
	f.Publish(f.Event(schema.ProcessStateRunning, onHost("db1")), f.Event(schema.ProcessStateStarting))
	f.WaitHandled(f.Publish(f.Crash()))
	f.forget(schema.Forgotten{Host: "web1", Reason: schema.ForgottenByHand, By: "ops@mon1"})

	f.Until("it is forgotten", func() bool { return len(f.Keys(stream.HostsBucket)) == 1 && len(f.Keys(stream.StateBucket)) == 1 })
	f.Until("nothing is left of it", func() bool { return f.left(stream.HostsBucket) == 1 && f.left(stream.StateBucket) == 1 })
	f.Until("its alert is gone", func() bool { return len(f.Keys(stream.AlertsBucket)) == 0 })
	f.Until("its consumer is gone", func() bool {
		_, err := f.JS.Consumer(t.Context(), stream.Events, name)
		return errors.Is(err, jetstream.ErrConsumerNotFound)
	})
	all := f.Messages(stream.Alerts)
	ce, err := schema.Unmarshal[*schema.Notification](all[len(all)-1].Data)
	if err != nil || len(all) != 2 || ce.Type != schema.TypeAlertResolved || ce.Data.Ended != schema.EndedForgotten {
		t.Errorf("%d notifications, the last is %s", len(all), all[len(all)-1].Data)
	}

	// It comes back as a new one.
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateStarting), f.Crash()))
	if s := f.Process("web1", "api", "api_00"); s.UnexpectedExits != 1 || s.Starts != 1 {
		t.Errorf("state is %+v", s)
	}
	if n := len(f.Messages(stream.Alerts)); n != 3 {
		t.Errorf("%d notifications", n)
	}
}

// Killed after the record was acknowledged and before anything was deleted.
func TestForgetAfterAKill(t *testing.T) {
	f := newFleet(t)
	stop := f.read()
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateStarting), f.Event(schema.ProcessStateRunning), f.Event(schema.ProcessStateRunning, onHost("db1"))))
	stop()
	f.forget(schema.Forgotten{Host: "web1", Reason: schema.ForgottenByHand})
	c, err := f.JS.Consumer(t.Context(), stream.Events, stream.EventsConsumer)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}

	f.read()
	f.Until("it is forgotten", func() bool { return len(f.Keys(stream.HostsBucket)) == 1 && len(f.Keys(stream.StateBucket)) == 1 })
}

// A host that has spoken since somebody found it silent stays.
func TestForgetNoOneWhoIsThere(t *testing.T) {
	f := newFleet(t)
	f.read()
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateRunning)))
	f.forget(schema.Forgotten{Host: "web1", Reason: schema.ForgottenByAge, LastSeen: &schema.Time{Time: time.Now().Add(-time.Hour)}})
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateExited)))
	if n := len(f.Keys(stream.HostsBucket)); n != 1 {
		t.Errorf("%d hosts", n)
	}
}

// forgetting runs a daemon that forgets what has been silent for a while.
func (f *fleet) forgetting(after time.Duration) {
	f.Background(func(ctx context.Context) error {
		reader := f.reader()
		reader.plan.ForgetAfter = after
		return run(ctx, reader, func() {})
	})
}

func TestForgetAfter(t *testing.T) {
	f := newFleet(t)
	f.forgetting(3 * time.Second)
	f.Publish(f.Event(schema.ProcessStateRunning))
	f.Until("web1 is known", func() bool { return len(f.Keys(stream.HostsBucket)) == 1 })
	f.Until("it is forgotten", func() bool {
		f.Publish(f.Event(schema.Tick5, onHost("db1"), func(e *schema.Event) { e.Group, e.Process = "", "" }))
		keys := f.Keys(stream.HostsBucket)
		return len(keys) == 1 && keys[0] == "db1" && len(f.Keys(stream.StateBucket)) == 0
	})
}
