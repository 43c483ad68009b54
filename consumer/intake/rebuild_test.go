package intake

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
