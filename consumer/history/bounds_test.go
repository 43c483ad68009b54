package history

import (
	"testing"
	"time"

	"supernats/consumer"
	"supernats/consumer/fleettest"
	"supernats/schema"
	"supernats/schema/stream"
)

// A period is looked up, not searched: what lies outside of it is not read at all.
func TestPeriodsAreLookedUp(t *testing.T) {
	f := fleettest.New(t)
	var middle time.Time
	for i := range 20 {
		if i == 10 {
			time.Sleep(5 * time.Millisecond)
			middle = time.Now()
			time.Sleep(5 * time.Millisecond)
		}
		f.Publish(f.Crash())
	}
	r := &Reader{JS: f.JS}
	s, err := f.JS.Stream(t.Context(), stream.Events)
	if err != nil {
		t.Fatal(err)
	}
	state := &s.CachedInfo().State
	last := state.LastSeq

	for _, c := range []struct {
		name       string
		query      NewestQuery
		first, end uint64
	}{
		{name: "everything", first: state.FirstSeq, end: last + 1},
		{name: "the second half", query: NewestQuery{Since: middle}, first: last - 9, end: last + 1},
		{name: "the first half", query: NewestQuery{Until: middle}, first: state.FirstSeq, end: last - 9},
		{name: "the next page of the first half", query: NewestQuery{Until: middle, Before: last - 14}, first: state.FirstSeq, end: last - 14},
		{name: "times to come", query: NewestQuery{Since: middle.Add(time.Hour)}, first: last + 1, end: last + 1},
		{name: "until times to come", query: NewestQuery{Until: middle.Add(time.Hour)}, first: state.FirstSeq, end: last + 1},
		{name: "times before the stream", query: NewestQuery{Until: middle.Add(-time.Hour)}, first: state.FirstSeq, end: state.FirstSeq},
	} {
		first, end, err := r.bounds(t.Context(), &c.query, state)
		if err != nil || first != c.first || end != c.end {
			t.Errorf("%s: %d to %d, want %d to %d, %v", c.name, first, end, c.first, c.end, err)
		}
	}
}

// A window is kept only as far as a page needs it, however many of it match.
func TestWindowsAreBounded(t *testing.T) {
	f := fleettest.New(t)
	var crashes []*schema.Event
	for range 600 {
		crashes = append(crashes, f.Crash())
	}
	f.Publish(crashes...)
	r := &Reader{JS: f.JS}
	s, err := f.JS.Stream(t.Context(), stream.Events)
	if err != nil {
		t.Fatal(err)
	}
	end := s.CachedInfo().State.LastSeq + 1

	q := &NewestQuery{Filter: consumer.Filter{Hosts: []string{"web1"}}, Limit: 2}
	list, _, err := r.readWindow(t.Context(), q, 1, end, time.Now().Add(time.Minute))
	if err != nil || len(list) != 3 || cap(list) > 12 {
		t.Fatalf("%d events, room for %d, %v", len(list), cap(list), err)
	}
	for i, e := range list {
		if want := end - 1 - uint64(i); e.Seq != want {
			t.Errorf("%d: sequence %d, want %d", i, e.Seq, want)
		}
	}
}
