package doctor

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// How long something waits is what the stream says, by its own clock.
func TestLongestWait(t *testing.T) {
	js := streamtest.Start(t).JetStream()
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), (&schema.Event{Host: "web1", Event: schema.Tick60}).Subject(), nil); err != nil {
		t.Fatal(err)
	}
	c, err := js.CreateOrUpdateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{Durable: "supernats", AckPolicy: jetstream.AckAllPolicy})
	if err != nil {
		t.Fatal(err)
	}
	info := c.CachedInfo()
	info.TimeStamp = info.TimeStamp.Add(time.Hour)
	wait, err := longestWait(t.Context(), js, stream.Events, info)
	if err != nil || wait < time.Hour || wait > 2*time.Hour {
		t.Errorf("%v %v", wait, err)
	}
	if info.NumPending = 0; info.NumAckPending != 0 {
		t.Fatal("somebody has read")
	}
	if wait, err := longestWait(t.Context(), js, stream.Events, info); wait != 0 || err != nil {
		t.Errorf("%v %v", wait, err)
	}
}

func TestIsAtLeast(t *testing.T) {
	for version, want := range map[string]bool{
		"": false, "2": false, "2.9.25": false, "2.10.29": false, "2.11.0": true, "2.11.0-RC.1": true, "2.15.2": true, "3.0.0": true,
	} {
		if isAtLeast(version, oldestServer) != want {
			t.Errorf("%q", version)
		}
	}
}
