package fleet_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/fleet"
	"supernats/consumer/fleettest"
	"supernats/schema"
	"supernats/schema/stream"
)

// follow runs a live copy of an installation.
func follow(t *testing.T, f *fleettest.Fleet) *fleet.Fleet {
	t.Helper()
	live := fleet.New()
	stop := f.Background(func(ctx context.Context) error { return live.Run(ctx, f.JS, zerolog.Nop()) })
	t.Cleanup(stop)
	return live
}

// put writes a record into a bucket.
func put(f *fleettest.Fleet, bucket, key string, record any) {
	f.Helper()
	if _, err := f.Bucket(bucket).Put(f.Context(), key, []byte(f.JSON(record))); err != nil {
		f.Fatal(err)
	}
}

func putProcess(f *fleettest.Fleet, name, state string) {
	f.Helper()
	put(f, stream.StateBucket, "web1.api."+name, &schema.ProcessRecord{
		Host: "web1", Group: "api", Process: name, State: state, Boot: "4f0c6d1e2a90b7c3",
	})
}

// stateOf returns the state of a process, "" if it is not known.
func stateOf(live *fleet.Fleet, name string) string {
	h := live.Snapshot().Host("web1")
	if h == nil || h.Process("api", name) == nil {
		return ""
	}
	return h.Process("api", name).State
}

// What is written is seen, what is deleted is gone, and a listener learns of both.
func TestFollowsTheBuckets(t *testing.T) {
	f := fleettest.New(t)
	live := follow(t, f)
	changed, stop := live.Subscribe()
	defer stop()

	f.Until("the empty buckets are read", func() bool { return live.Snapshot().Status.Loaded })
	putProcess(f, "api_00", schema.StateRunning)
	f.Until("the process is seen", func() bool { return stateOf(live, "api_00") == schema.StateRunning })
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Fatal("the listener learns of nothing")
	}

	putProcess(f, "api_00", schema.StateFatal)
	f.Until("its change is seen", func() bool { return stateOf(live, "api_00") == schema.StateFatal })
	if err := f.Bucket(stream.StateBucket).Purge(t.Context(), "web1.api.api_00"); err != nil {
		t.Fatal(err)
	}
	f.Until("its end is seen", func() bool { return stateOf(live, "api_00") == "" })
}

// A bucket that is created again is read again: what it lacks is gone.
func TestABucketThatIsCreatedAgain(t *testing.T) {
	f := fleettest.New(t)
	putProcess(f, "api_00", schema.StateRunning)
	live := follow(t, f)
	f.Until("the process is seen", func() bool { return stateOf(live, "api_00") == schema.StateRunning })

	if err := f.JS.DeleteKeyValue(t.Context(), stream.StateBucket); err != nil {
		t.Fatal(err)
	}
	if err := stream.EnsureAll(t.Context(), f.JS, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	putProcess(f, "api_01", schema.StateRunning)
	f.Until("the new record is seen", func() bool { return stateOf(live, "api_01") == schema.StateRunning })
	f.Until("the old record is gone", func() bool { return stateOf(live, "api_00") == "" })
}

// A snapshot is live only while an instance records events, in time; and it says why it is not.
func TestStatusSaysWhyItIsNotLive(t *testing.T) {
	f := fleettest.New(t)
	live := follow(t, f)
	why := func() string { return live.Snapshot().Status.Why }
	f.Until("nobody records events", func() bool { return why() == "no `supernats consume` is recording events" })

	put(f, stream.LeasesBucket, stream.LeaseKey, &stream.LeaseRecord{Instance: "web1, pid 7"})
	if _, err := f.JS.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{
		Durable: stream.EventsConsumer, AckPolicy: jetstream.AckAllPolicy,
	}); err != nil {
		t.Fatal(err)
	}
	f.Until("it is live", func() bool {
		s := live.Snapshot().Status
		return s.Live && s.Active == "web1, pid 7" && s.Why == ""
	})

	f.Publish(f.Event(schema.ProcessStateRunning))
	f.Until("the lag is seen", func() bool { return live.Snapshot().Status.Lag == 1 })

	f.Server.Stop()
	f.Until("NATS cannot be reached", func() bool { return why() == "NATS cannot be reached" })
	if s := live.Snapshot().Status; s.Live || s.Since.IsZero() {
		t.Errorf("%+v", s)
	}
	f.Server.Restart()
	f.Until("it is live again", func() bool { return live.Snapshot().Status.Live })
}

// Who has not seen the last recording says up to when events were recorded, or that it is not
// known: never the time of its own start.
func TestSinceBeforeAnybodyLooked(t *testing.T) {
	f := fleettest.New(t)
	live := follow(t, f)
	f.Until("nobody records events", func() bool { return live.Snapshot().Status.Why != "" && live.Snapshot().Status.Loaded })
	if s := live.Snapshot().Status; !s.Since.IsZero() {
		t.Errorf("nobody has ever recorded events, but it says since %s", s.Since)
	}

	if _, err := f.JS.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{
		Durable: stream.EventsConsumer, AckPolicy: jetstream.AckAllPolicy,
	}); err != nil {
		t.Fatal(err)
	}
	f.Publish(f.Event(schema.ProcessStateRunning))
	stored := f.Messages(stream.Events)[0].Time
	time.Sleep(50 * time.Millisecond)
	later := follow(t, f)
	f.Until("nobody records events", func() bool { return later.Snapshot().Status.Loaded })
	if s := later.Snapshot().Status; !s.Since.Equal(stored) {
		t.Errorf("since %s, but the first event that waits is of %s", s.Since, stored)
	}
}

// Events that wait are late though the oldest of them have expired.
func TestLateThoughTheOldestHasExpired(t *testing.T) {
	f := fleettest.New(t)
	put(f, stream.LeasesBucket, stream.LeaseKey, &stream.LeaseRecord{Instance: "web1, pid 7"})
	if _, err := f.JS.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{
		Durable: stream.EventsConsumer, AckPolicy: jetstream.AckAllPolicy,
	}); err != nil {
		t.Fatal(err)
	}
	first := f.Publish(f.Event("TICK_5"))
	f.Publish(f.Event(schema.ProcessStateRunning))
	s, err := f.JS.Stream(t.Context(), stream.Events)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), first); err != nil {
		t.Fatal(err)
	}

	live := follow(t, f)
	f.Until("it is known for how long they wait", func() bool { return live.Snapshot().Status.LagAge > 0 })
}

// While nobody follows, between two connections, nothing is live.
func TestNothingIsLiveBetweenTwoConnections(t *testing.T) {
	f := fleettest.New(t)
	put(f, stream.LeasesBucket, stream.LeaseKey, &stream.LeaseRecord{Instance: "web1, pid 7"})
	if _, err := f.JS.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{
		Durable: stream.EventsConsumer, AckPolicy: jetstream.AckAllPolicy,
	}); err != nil {
		t.Fatal(err)
	}
	live := fleet.New()
	stop := f.Background(func(ctx context.Context) error { return live.Run(ctx, f.JS, zerolog.Nop()) })
	f.Until("it is live", func() bool { return live.Snapshot().Status.Live })

	stop()
	if s := live.Snapshot().Status; s.Live || time.Since(s.Since) > time.Minute || s.Why == "" {
		t.Errorf("%+v", s)
	}
}

// What is deleted while nobody follows, between two connections, is gone with the next one.
func TestWhatIsDeletedBetweenTwoConnections(t *testing.T) {
	f := fleettest.New(t)
	putProcess(f, "api_00", schema.StateRunning)
	putProcess(f, "api_01", schema.StateRunning)
	live := fleet.New()
	run := func() (stop func()) {
		return f.Background(func(ctx context.Context) error { return live.Run(ctx, f.JS, zerolog.Nop()) })
	}
	stop := run()
	f.Until("both are seen", func() bool { return stateOf(live, "api_00") != "" && stateOf(live, "api_01") != "" })
	stop()

	if err := f.Bucket(stream.StateBucket).Purge(t.Context(), "web1.api.api_00"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(run())
	f.Until("it is gone", func() bool { return stateOf(live, "api_00") == "" })
	if stateOf(live, "api_01") == "" {
		t.Error("the other one is gone too")
	}
}

// A record that is malformed or under a wrong key hides no other.
func TestMalformedRecordsHideNoOther(t *testing.T) {
	f := fleettest.New(t)
	for i, value := range []string{"", "{", `{"host":"web1","group":"api","process":"other"}`} {
		if _, err := f.Bucket(stream.StateBucket).PutString(t.Context(), fmt.Sprintf("web1.api.bad_%d", i), value); err != nil {
			t.Fatal(err)
		}
	}
	putProcess(f, "api_00", schema.StateRunning)
	live := follow(t, f)
	f.Until("the good one is seen", func() bool { return stateOf(live, "api_00") == schema.StateRunning })
	if n := len(live.Snapshot().Host("web1").Processes); n != 1 {
		t.Errorf("%d processes, want 1", n)
	}
}
