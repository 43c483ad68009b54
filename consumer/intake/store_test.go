package intake

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"supernats/schema"
	"supernats/schema/stream"
)

// put stores records that an earlier version would have written.
func (f *fleet) put(bucket string, records map[string]any) {
	f.Helper()
	kv := f.Bucket(bucket)
	for key, r := range records {
		if _, err := kv.Put(f.Context(), key, []byte(f.JSON(r))); err != nil {
			f.Fatal(err)
		}
	}
}

// A bucket holds more names of one host than there is room for: those that the host still
// has are kept, the others are removed, and no other host is touched.
func TestTooManyRecordsAreRemoved(t *testing.T) {
	f := newFleet(t)
	at := schema.Time{Time: time.Now().Add(-2 * time.Hour)}
	many := map[string]any{}
	add := func(host, process string, gone bool) {
		s := schema.ProcessRecord{Host: host, Group: "api", Process: process, State: "RUNNING", Since: at, Updated: at, Boot: "4f0c6d1e2a90b7c3", Starts: 7}
		if gone {
			s.Gone = &at
		}
		many[schema.StateKey(host, "api", process)] = s
	}
	for i := range 300 {
		add("web1", fmt.Sprint("gone", i), true)
	}
	for i := range 60 {
		add("web1", fmt.Sprint("real", i), false)
		add("db1", fmt.Sprint("real", i), false)
	}
	f.put(stream.StateBucket, many)
	run := func() (stop func()) {
		reader := f.reader()
		reader.plan.Limits.Processes = 100
		return f.Background(func(ctx context.Context) error { return run(ctx, reader, func() {}) })
	}
	for range 2 {
		stop := run()
		f.WaitHandled(f.Publish(f.Event(schema.ProcessStateFatal, func(e *schema.Event) { e.Process = "real7" })))
		stop()
		n := map[string]int{}
		for _, k := range f.Keys(stream.StateBucket) {
			n[strings.TrimRight(k, "0123456789")]++
		}
		if n["web1.api.gone"] != 40 || n["web1.api.real"] != 60 || n["db1.api.real"] != 60 {
			t.Fatalf("kept are %v", n)
		}
		if s := f.Process("web1", "api", "real7"); s.State != "FATAL" || s.Starts != 7 {
			t.Errorf("%+v", s)
		}
	}

	// One that was removed comes back.
	add("web1", "x", false)
	stop := run()
	var gone string
	for i := range 300 {
		if gone = fmt.Sprint("gone", i); !has(f.Keys(stream.StateBucket), schema.StateKey("web1", "api", gone)) {
			break
		}
	}
	s := &schema.Snapshot{Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Serial: 99, SupervisorState: "RUNNING"}
	for _, p := range []string{gone, "another"} {
		s.Processes = append(s.Processes, schema.SnapshotProcess{Group: "api", Process: p, State: "RUNNING", PID: 7})
	}
	f.WaitHandled(f.PublishRaw("supervisor.snapshot.web1", f.JSON(s.Envelope(time.Now()))))
	if got := f.Process("web1", "api", gone); got.State != "RUNNING" {
		t.Errorf("%+v", got)
	}
	stop()
}

func has(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
