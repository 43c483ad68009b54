package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/config"
	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

// keys are those of a bucket that are there.
func (f *fleet) keys(bucket string) []string {
	f.Helper()
	keys, err := f.bucket(bucket).Keys(f.Context())
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		f.Fatal(err)
	}
	return keys
}

// left is how many messages the buckets hold, those of what was deleted too.
func (f *fleet) left(bucket string) uint64 {
	f.Helper()
	s, err := f.js.Stream(f.Context(), "KV_"+bucket)
	if err != nil {
		f.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func onHost(name string) func(*schema.Event) { return func(e *schema.Event) { e.Host = name } }

// forget says that a host is gone for good.
func (f *fleet) forget(w schema.Forgotten) {
	f.Helper()
	if err := PublishForgotten(f.Context(), f.js, &w); err != nil {
		f.Fatal(err)
	}
}

func TestForget(t *testing.T) {
	f := newFleet(t)
	f.run()
	name := stream.BridgeConsumer("web1")
	if _, err := f.js.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{Durable: name}); err != nil {
		t.Fatal(err)
	}
	f.publish(f.event(schema.ProcessStateRunning, onHost("db1")), f.event(schema.ProcessStateStarting))
	f.handled(f.publish(f.crash()))
	f.forget(schema.Forgotten{Host: "web1", Reason: schema.ForgottenByHand, By: "ops@mon1"})

	f.until("it is forgotten", func() bool { return len(f.keys(stream.HostsBucket)) == 1 && len(f.keys(stream.StateBucket)) == 1 })
	f.until("nothing is left of it", func() bool { return f.left(stream.HostsBucket) == 1 && f.left(stream.StateBucket) == 1 })
	f.until("its alert is gone", func() bool { return len(f.keys(stream.AlertsBucket)) == 0 })
	f.until("its consumer is gone", func() bool {
		_, err := f.js.Consumer(t.Context(), stream.Events, name)
		return errors.Is(err, jetstream.ErrConsumerNotFound)
	})
	all := f.stored(stream.Alerts)
	ce, err := schema.Unmarshal[*schema.Notification](all[len(all)-1].Data)
	if err != nil || len(all) != 2 || ce.Type != schema.TypeAlertResolved || ce.Data.Ended != schema.EndedForgotten {
		t.Errorf("%d notifications, the last is %s", len(all), all[len(all)-1].Data)
	}

	// It comes back as a new one.
	f.handled(f.publish(f.event(schema.ProcessStateStarting), f.crash()))
	if s := f.state("web1", "api", "api_00"); s.UnexpectedExits != 1 || s.Starts != 1 {
		t.Errorf("state is %+v", s)
	}
	if n := len(f.stored(stream.Alerts)); n != 3 {
		t.Errorf("%d notifications", n)
	}
}

// Killed after the record was acknowledged and before anything was deleted.
func TestForgetAfterAKill(t *testing.T) {
	f := newFleet(t)
	stop := f.run()
	f.handled(f.publish(f.event(schema.ProcessStateStarting), f.event(schema.ProcessStateRunning), f.event(schema.ProcessStateRunning, onHost("db1"))))
	stop()
	f.forget(schema.Forgotten{Host: "web1", Reason: schema.ForgottenByHand})
	c, err := f.js.Consumer(t.Context(), stream.Events, durableName)
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

	f.run()
	f.until("it is forgotten", func() bool { return len(f.keys(stream.HostsBucket)) == 1 && len(f.keys(stream.StateBucket)) == 1 })
}

// A host that has spoken since somebody found it silent stays.
func TestForgetNoOneWhoIsThere(t *testing.T) {
	f := newFleet(t)
	f.run()
	f.handled(f.publish(f.event(schema.ProcessStateRunning)))
	f.forget(schema.Forgotten{Host: "web1", Reason: schema.ForgottenByAge, LastSeen: &schema.Time{Time: time.Now().Add(-time.Hour)}})
	f.handled(f.publish(f.event(schema.ProcessStateExited)))
	if n := len(f.keys(stream.HostsBucket)); n != 1 {
		t.Errorf("%d hosts", n)
	}
}

// forgetting runs a daemon that forgets what has been silent for a while.
func (f *fleet) forgetting(after time.Duration) {
	f.background(func(ctx context.Context) error {
		v := f.events()
		v.plan.cfg.ForgetAfter = schema.Duration(after)
		return v.run(ctx, func() {})
	})
}

func TestForgetAfter(t *testing.T) {
	f := newFleet(t)
	f.forgetting(3 * time.Second)
	f.publish(f.event(schema.ProcessStateRunning))
	f.until("web1 is known", func() bool { return len(f.keys(stream.HostsBucket)) == 1 })
	f.until("it is forgotten", func() bool {
		f.publish(f.event(schema.Tick5, onHost("db1"), func(e *schema.Event) { e.Group, e.Process = "", "" }))
		keys := f.keys(stream.HostsBucket)
		return len(keys) == 1 && keys[0] == "db1" && len(f.keys(stream.StateBucket)) == 0
	})
}

// An ephemeral host that has said goodbye is forgotten after its silence, and nobody is
// told; one that has not said so is told, once.
func TestEphemeral(t *testing.T) {
	cfg := config.Default()
	set, err := cfg.CompileRules()
	if err != nil {
		t.Fatal(err)
	}
	for _, ephemeral := range []bool{false, true} {
		day := &flapper{T: t, m: newMachine(set, state.DefaultLimits()), now: time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)}
		day.says("web", schema.ProcessStateRunning, 0)
		day.bridge(&schema.Bridge{Ephemeral: ephemeral}, schema.BridgeStarted)
		day.bridge(&schema.Bridge{Ephemeral: ephemeral, SupervisorState: "STOPPING"}, schema.BridgeStopping)
		day.m.engine.Advance(day.now.Add(72 * time.Hour))
		notes := day.m.take()
		silent := day.m.fleet.Silent(day.now.Add(4*time.Minute), time.Time{})
		switch {
		case ephemeral && (len(notes) != 0 || len(silent) != 1 || silent[0].Reason != schema.ForgottenEphemeral):
			t.Errorf("%d notifications; to be forgotten are %v", len(notes), silent)
		case !ephemeral && (len(notes) != 1 || len(silent) != 0):
			t.Errorf("%d notifications; to be forgotten are %v", len(notes), silent)
		}
		if again := day.m.fleet.Silent(day.now.Add(time.Minute), time.Time{}); len(again) != 0 {
			t.Errorf("too early: %v", again)
		}
	}
}
