package state_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"supernats/consumer/state"
	"supernats/schema"
)

func apply(f *state.Fleet, m message) state.Changes {
	switch ce := m.ce.(type) {
	case *schema.CloudEvent[*schema.Event]:
		return f.Event(m.meta, ce)
	case *schema.CloudEvent[*schema.Snapshot]:
		return f.Snapshot(m.meta, ce)
	case *schema.CloudEvent[*schema.Loss]:
		return f.Loss(m.meta, ce)
	case *schema.CloudEvent[*schema.Bridge]:
		return f.Bridge(m.meta, schema.BridgeStarted, ce)
	}
	panic("no such message")
}

func fold(stream []message) *state.Fleet {
	f := state.NewFleet()
	for _, m := range stream {
		apply(f, m)
	}
	return f
}

// stored are all records as a bucket holds them.
func stored(f *state.Fleet) map[string]string {
	all := map[string]string{}
	for key, h := range f.Hosts() {
		all[key] = encode(h)
	}
	for key, s := range f.States() {
		all[key] = encode(s)
	}
	return all
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// load is a Fleet with what a bucket holds.
func load(all map[string]string) *state.Fleet {
	var hosts []schema.HostRecord
	var states []schema.ProcessRecord
	for key, b := range all {
		var err error
		if key == "web1" {
			hosts = append(hosts, schema.HostRecord{})
			err = json.Unmarshal([]byte(b), &hosts[len(hosts)-1])
		} else {
			states = append(states, schema.ProcessRecord{})
			err = json.Unmarshal([]byte(b), &states[len(states)-1])
		}
		if err != nil {
			panic(err)
		}
	}
	f := state.NewFleet()
	f.Load(hosts, states)
	return f
}

// checkTable compares the records with what is true.
func checkTable(t *rapid.T, f *state.Fleet, s *supervisor) {
	t.Helper()
	for key, r := range f.States() {
		p := s.table[r.Group+":"+r.Process]
		switch {
		case !slices.Contains(s.groups(), r.Group):
		case r.Gone == nil && r.Serial == 0 && s.removed[r.Group] > s.asked:
			// New to us when the snapshot came, after the removal of its group: only
			// the next one shows it.
		case p == nil && r.Gone == nil:
			t.Fatalf("%s is not gone", key)
		case p == nil:
		case r.Gone != nil && p.State == "STOPPED" && p.added >= s.asked:
			// Nothing has said that it is back.
		case r.Gone != nil || r.State != p.State:
			t.Fatalf("%s is %s, gone %v, not %s", key, r.State, r.Gone, p.State)
		case r.PID != p.PID && (r.PID != 0 || p.State != "STARTING"):
			t.Fatalf("%s, %s, has pid %d, not %d", key, r.State, r.PID, p.PID)
		}
	}
	for _, p := range s.table {
		if f.State("web1", p.Group, p.Process) == nil && p.added < s.asked {
			t.Fatalf("%s:%s is not known", p.Group, p.Process)
		}
	}
	checkCounts(t, f)
}

// checkCounts compares the counts of the host with its processes.
func checkCounts(t *rapid.T, f *state.Fleet) {
	t.Helper()
	got := f.Host("web1")
	if got == nil {
		return
	}
	n := map[string]int{}
	for _, r := range f.States() {
		status, _ := state.Status(r, got, zero, 0)
		n[status]++
	}
	want := []int{n[state.Running], n[state.Down], n[state.Stopped], n[state.Exited]}
	if d := cmp.Diff(want, []int{got.Running, got.Down, got.Stopped, got.Exited}); d != "" {
		t.Fatal(d)
	}
}

// Whatever happened before and whatever was lost of it, the states are right after
// the last snapshot, however long that was under way; from when it was asked for
// nothing is lost.
func TestASnapshotFixesTheStates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSupervisor(t)
		s.steps(true, true, 40)
		s.lastSnapshot(8)
		s.readAll()
		checkTable(t, fold(s.stream), s)
	})
}

// A snapshot that was answered at once makes the states right at once, and the
// events that wait in supervisord and are shown by it leave them right.
func TestASnapshotIsRightAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSupervisor(t)
		s.steps(true, true, 40)
		s.pending = nil
		for range 3 {
			s.snapshot()
		}
		f := fold(s.stream)
		checkTable(t, f, s)
		before := len(s.stream)
		s.readAll()
		for _, m := range s.stream[before:] {
			apply(f, m)
		}
		checkTable(t, f, s)
	})
}

// Without a loss every start and exit is counted once, whatever the snapshots have
// shown before.
func TestNothingIsCountedTwiceOrMissed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSupervisor(t)
		s.steps(false, true, 60)
		s.readAll()
		for _, r := range fold(s.stream).States() {
			want := s.counts[r.Group+":"+r.Process]
			got := schema.ProcessRecord{Starts: r.Starts, Exits: r.Exits, UnexpectedExits: r.UnexpectedExits, Fatals: r.Fatals}
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("%s:%s: %s", r.Group, r.Process, d)
			}
		}
	})
}

// Counters are never lowered and never above what happened.
func TestCountersOnlyRise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSupervisor(t)
		s.steps(true, true, 60)
		f, was := state.NewFleet(), map[string]schema.ProcessRecord{}
		for _, m := range s.stream {
			for _, c := range apply(f, m).States {
				r, old := c.State, was[c.Key]
				if r.Starts < old.Starts || r.Exits < old.Exits || r.UnexpectedExits < old.UnexpectedExits || r.Fatals < old.Fatals || r.Seq != m.meta.Seq {
					t.Fatalf("%+v after %+v", r, old)
				}
				was[c.Key] = *r
			}
			checkCounts(t, f)
		}
		for _, r := range f.States() {
			if c := s.counts[r.Group+":"+r.Process]; r.Starts > c.Starts || r.Exits > c.Exits || r.UnexpectedExits > c.UnexpectedExits || r.Fatals > c.Fatals {
				t.Fatalf("%+v, but there were %+v", r, c)
			}
		}
	})
}

// Messages that are applied again change nothing, also after a restart of the
// daemon and also if only some of the records were stored before it was killed.
// Rebuilt from the whole stream, all is the same.
func TestMessagesMayComeAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSupervisor(t)
		s.steps(true, true, 40)
		want := stored(fold(s.stream))
		f, bucket := state.NewFleet(), map[string]string{}
		for i := 0; i < len(s.stream); i++ {
			apply(f, s.stream[i])
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0, 1: // stored
				bucket = stored(f)
			case 2: // again
				before := stored(f)
				from := rapid.IntRange(0, i).Draw(t, "from")
				for _, m := range s.stream[from : i+1] {
					if c := apply(f, m); c.Host != nil || len(c.States) > 0 {
						t.Fatalf("message %d is applied again: %+v", m.meta.Seq, c)
					}
				}
				if d := cmp.Diff(before, stored(f)); d != "" {
					t.Fatal(d)
				}
			case 3: // killed while it stored, hosts last; all is read again from the last store
				now, all := stored(f), true
				for _, key := range slices.Sorted(maps.Keys(now)) {
					if key != "web1" && rapid.Bool().Draw(t, "stored "+key) {
						bucket[key] = now[key]
					}
					all = all && (key == "web1" || bucket[key] == now[key])
				}
				if all && rapid.Bool().Draw(t, "stored web1") {
					bucket["web1"] = now["web1"]
				}
				f = load(bucket)
				for _, m := range s.stream[:i+1] {
					apply(f, m)
				}
				if d := cmp.Diff(now, stored(f)); d != "" {
					t.Fatal(d)
				}
			}
		}
		if d := cmp.Diff(want, stored(f)); d != "" {
			t.Fatal(d)
		}
	})
}
