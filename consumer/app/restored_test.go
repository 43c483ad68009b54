package app

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/state"
	"supernats/schema"
	"supernats/schema/stream"
)

// put stores records that an earlier version would have written.
func (f *fleet) put(bucket string, records map[string]any) {
	f.Helper()
	kv := f.bucket(bucket)
	for key, r := range records {
		if _, err := kv.Put(f.Context(), key, []byte(f.json(r))); err != nil {
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
		v := f.events()
		v.plan.cfg.Limits.ProcessesPerHost = 100
		return f.background(func(ctx context.Context) error { return v.run(ctx, func() {}) })
	}
	for range 2 {
		stop := run()
		f.handled(f.publish(f.event(schema.ProcessStateFatal, func(e *schema.Event) { e.Process = "real7" })))
		stop()
		n := map[string]int{}
		for _, k := range f.keys(stream.StateBucket) {
			n[strings.TrimRight(k, "0123456789")]++
		}
		if n["web1.api.gone"] != 40 || n["web1.api.real"] != 60 || n["db1.api.real"] != 60 {
			t.Fatalf("kept are %v", n)
		}
		if s := f.state("web1", "api", "real7"); s.State != "FATAL" || s.Starts != 7 {
			t.Errorf("%+v", s)
		}
	}

	// One that was removed comes back.
	add("web1", "x", false)
	stop := run()
	var gone string
	for i := range 300 {
		if gone = fmt.Sprint("gone", i); !has(f.keys(stream.StateBucket), schema.StateKey("web1", "api", gone)) {
			break
		}
	}
	s := &schema.Snapshot{Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Serial: 99, SupervisorState: "RUNNING"}
	for _, p := range []string{gone, "another"} {
		s.Processes = append(s.Processes, schema.SnapshotProcess{Group: "api", Process: p, State: "RUNNING", PID: 7})
	}
	f.handled(f.raw("supervisor.snapshot.web1", f.json(s.Envelope(time.Now()))))
	if got := f.state("web1", "api", gone); got.State != "RUNNING" {
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

// A key whose revision nobody remembers, since it was deleted, is written again.
func TestForgottenRevisions(t *testing.T) {
	f := newFleet(t)
	b, _, err := openBucket[schema.ProcessRecord](t.Context(), f.js, stream.StateBucket, nil, f.events().log)
	if err != nil {
		t.Fatal(err)
	}
	write := func(v *schema.ProcessRecord) {
		t.Helper()
		if err := b.write(t.Context(), []record[schema.ProcessRecord]{{"web1.api.api_00", v}}); err != nil {
			t.Fatal(err)
		}
	}
	write(&schema.ProcessRecord{Starts: 1})
	write(nil)
	if len(b.revisions) != 0 {
		t.Errorf("a deleted key takes memory: %v", b.revisions)
	}
	write(&schema.ProcessRecord{Starts: 2})
	write(nil)
	write(nil)
	write(&schema.ProcessRecord{Starts: 3})
	if s := f.state("web1", "api", "api_00"); s.Starts != 3 {
		t.Errorf("%+v", s)
	}
	write(nil)
	if _, err := f.bucket(stream.StateBucket).Put(t.Context(), "web1.api.api_00", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := b.write(t.Context(), []record[schema.ProcessRecord]{{"web1.api.api_00", &schema.ProcessRecord{}}}); err == nil {
		t.Error("what somebody else has written was overwritten")
	}
}

// A record is deleted with its history: when the marker of a deletion expires, the record
// before it would be there again.
func TestDeletedRecordsHaveNoHistory(t *testing.T) {
	f := newFleet(t)
	b, _, err := openBucket[schema.ProcessRecord](t.Context(), f.js, stream.StateBucket, nil, f.events().log)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*schema.ProcessRecord{{Starts: 1}, {Starts: 2}, nil} {
		if err := b.write(t.Context(), []record[schema.ProcessRecord]{{"web1.api.api_00", v}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.left(stream.StateBucket); n != 1 {
		t.Errorf("%d messages are left of a deleted record: want its marker", n)
	}

	// Also by a daemon that does not remember the revision.
	if b, _, err = openBucket[schema.ProcessRecord](t.Context(), f.js, stream.StateBucket, nil, f.events().log); err != nil {
		t.Fatal(err)
	}
	for _, v := range []*schema.ProcessRecord{{Starts: 3}, nil, nil} {
		if err := b.write(t.Context(), []record[schema.ProcessRecord]{{"web1.api.api_00", v}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.left(stream.StateBucket); n != 1 {
		t.Errorf("%d messages are left of a record that was deleted again", n)
	}
}

// What was read is bounded in bytes, not only in messages.
func TestBigMessagesDoNotFillMemory(t *testing.T) {
	f := newFleet(t)
	big := strings.Repeat("x", 1000<<10)
	var last uint64
	for range 100 {
		last = f.raw("supervisor.snapshot.web1", big)
	}
	src, err := newDurableSource(t.Context(), f.js, f.events().known, f.events().log)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	f.until("as much is read as may be", func() bool {
		src.mu.Lock()
		defer src.mu.Unlock()
		return src.aheadBytes >= maxAhead
	})
	for n := 0; n < 100; {
		batch, err := src.Batch(t.Context(), 10*time.Second)
		if err != nil || len(batch) == 0 {
			t.Fatal(n, err)
		}
		size := 0
		for i := range batch {
			size += len(batch[i].Data)
		}
		if size > maxAhead+len(big) {
			t.Fatalf("%d bytes at once", size)
		}
		n += len(batch)
	}
	if src.last.Seq != last {
		t.Error(src.last.Seq)
	}
}

// Alerts that an earlier version has opened are bounded too; those that have closed go
// first.
func TestTooManyOpenAlerts(t *testing.T) {
	s := alertShare(state.DefaultLimits())
	s.most = 3
	kept := map[string]bool{}
	add := func(host, process, phase string) {
		key := schema.AlertKey("fatal", host, "api", process)
		if instead, ok := s.add(key, &schema.Alert{Phase: phase}); ok {
			kept[key] = true
			delete(kept, instead)
		}
	}
	add("web1", "a", schema.PhaseResolved)
	add("web1", "b", schema.PhaseFiring)
	add("web1", "c", schema.PhaseResolved)
	add("web1", "d", schema.PhaseFiring)
	add("web1", "e", schema.PhaseFiring)
	add("web1", "f", schema.PhaseFiring)
	add("web1", "g", schema.PhaseResolved)
	add("db1", "a", schema.PhaseResolved)
	want := map[string]bool{"fatal.web1.api.b": true, "fatal.web1.api.d": true, "fatal.web1.api.e": true, "fatal.db1.api.a": true}
	if d := cmp.Diff(want, kept); d != "" || s.skipped["web1"] != 4 || s.skipped["db1"] != 0 {
		t.Error(d, s.skipped)
	}
}

// A record that an earlier version has written with a time that nobody can read is read:
// other hosts' crashes are in it too.
func TestTimesOfEarlierVersions(t *testing.T) {
	for _, bad := range []string{"10000-01-01T11:59:59.000000Z", "-0001-12-31T00:00:00.000000Z", "-292277022399-01-01T00:00:00.000000Z"} {
		var a schema.Alert
		if err := unmarshalRecord([]byte(`{"alert":"a","opened":"`+bad+`","unsent":[7],"members":[{"host":"db1","matched":7}]}`), &a); err != nil || a.Incident != "a" || len(a.Unsent) != 1 || len(a.Members) != 1 {
			t.Errorf("%s: %+v, %v", bad, a, err)
		}
	}
	if err := unmarshalRecord([]byte(`{"alert":"a","opened":"yesterday"}`), &schema.Alert{}); err == nil {
		t.Error("anything is read")
	}
}

// What a deleted key leaves behind expires where that is possible.
func TestMarkersExpire(t *testing.T) {
	f := newFleet(t)
	// One of an earlier version lets nothing expire.
	if _, err := f.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "lasting"}); err != nil {
		t.Fatal(err)
	}
	for bucket, want := range map[string]string{"lasting": "", stream.AlertsBucket: markerTTL} {
		b, _, err := openBucket[schema.Alert](t.Context(), f.js, bucket, nil, f.events().log)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for _, v := range []*schema.Alert{{}, nil} {
				if err := b.write(t.Context(), []record[schema.Alert]{{"a.b.c.d", v}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		s, err := f.js.Stream(t.Context(), "KV_"+bucket)
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.GetLastMsgForSubject(t.Context(), "$KV."+bucket+".a.b.c.d")
		if err != nil || m.Header.Get("KV-Operation") != "PURGE" || (m.Header.Get(jetstream.MsgTTLHeader) != "") != (want != "") {
			t.Errorf("%s: %v, %v", bucket, m, err)
		}
	}
}
