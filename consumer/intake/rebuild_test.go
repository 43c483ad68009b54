package intake

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/records"
	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

// Records rebuilt from the stream are those that were kept while it was read,
// whatever somebody did to them meanwhile.
func TestRebuild(t *testing.T) {
	f := newFleet(t)
	stop := f.read()
	for _, p := range []string{"a", "b", "c"} {
		of := func(e *schema.Event) { e.Process = p }
		f.Publish(f.Event(schema.ProcessStateStarting, of), f.Event(schema.ProcessStateRunning, of), f.Crash(of))
	}
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateStarting), f.Event(schema.Tick5)))
	stop()
	stored := func() (map[string]*schema.ProcessRecord, map[string]*schema.HostRecord) {
		t.Helper()
		_, states, err := records.Open[schema.ProcessRecord](t.Context(), f.JS, stream.StateBucket, nil, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		_, hosts, err := records.Open[schema.HostRecord](t.Context(), f.JS, stream.HostsBucket, nil, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		return states, hosts
	}
	states, hosts := stored()
	if len(states) != 4 || len(hosts) != 1 || states["web1.api.a"].UnexpectedExits != 1 {
		t.Fatalf("%d states, %d hosts: %+v", len(states), len(hosts), states["web1.api.a"])
	}
	kv := f.Bucket(stream.StateBucket)
	if err := kv.Delete(t.Context(), "web1.api.a"); err != nil {
		t.Fatal(err)
	}
	for key, text := range map[string]string{"web1.api.b": `{"exits":7}`, "web1.api.c": "garbage", "web9.never.was": `{"host":"web9"}`} {
		if _, err := kv.Put(t.Context(), key, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var read, total uint64
	progress := func(r, t uint64) { read, total = r, t }
	if err := Rebuild(ctx, f.JS, state.DefaultLimits(), progress, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	if read != 11 || total != 11 {
		t.Errorf("it ends with %d of %d messages, want 11 of 11", read, total)
	}
	again, hostsAgain := stored()
	if d := cmp.Diff(states, again); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(hosts, hostsAgain); d != "" {
		t.Error(d)
	}
}

// No counter falls by a rebuild, although the stream has dropped its oldest messages: a fall
// would look like crashes of now.
func TestRebuildKeepsCounts(t *testing.T) {
	f := newFleet(t)
	stop := f.read()
	crash := func(p string) uint64 {
		of := func(e *schema.Event) { e.Process = p }
		return f.Publish(f.Event(schema.ProcessStateStarting, of), f.Event(schema.ProcessStateRunning, of), f.Crash(of))
	}
	for range 3 {
		crash("old")
	}
	loss := &schema.Loss{Host: "web1", Boot: "4f0c6d1e2a90b7c3", Pool: "supernats", Cause: schema.LossFull, Count: 5}
	envelope := loss.Envelope(time.Now())
	ack, err := f.JS.Publish(t.Context(), schema.BridgeSubject("web1", schema.BridgeLoss), []byte(f.JSON(envelope)))
	if err != nil {
		t.Fatal(err)
	}
	crash("old")
	f.WaitHandled(crash("young"))
	stop()

	stored := func(name string) *schema.ProcessRecord {
		_, states, err := records.Open[schema.ProcessRecord](t.Context(), f.JS, stream.StateBucket, nil, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		return states["web1.api."+name]
	}
	old, young := stored("old"), stored("young")
	s, err := f.JS.Stream(t.Context(), stream.Events)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(ack.Sequence+1)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one begins with what the first one has kept
		if err := Rebuild(t.Context(), f.JS, state.DefaultLimits(), func(uint64, uint64) {}, zerolog.Nop()); err != nil {
			t.Fatal(err)
		}
	}

	if got := stored("old"); got.UnexpectedExits != 4 || got.Exits != 4 || got.Starts != old.Starts || !got.Recorded.Equal(old.Recorded.Time) {
		t.Errorf("%+v, want the counts of\n%+v", got, old)
	}
	if d := cmp.Diff(young, stored("young")); d != "" {
		t.Errorf("of what the stream has in whole:\n%s", d)
	}
	_, hosts, err := records.Open[schema.HostRecord](t.Context(), f.JS, stream.HostsBucket, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if h := hosts["web1"]; h.Lost != 5 || h.LostBy[schema.LossFull] != 5 || h.LastLoss == nil {
		t.Errorf("%+v", h)
	}
}
