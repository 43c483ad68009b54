package history_test

import (
	"testing"
	"time"

	"supernats/consumer"
	"supernats/consumer/fleettest"
	"supernats/consumer/history"
	"supernats/schema"
)

// publishMany publishes n events of a process, 50 of another host between each two.
func publishMany(f *fleettest.Fleet, n int) {
	for i := range n {
		var others []*schema.Event
		for range 50 {
			others = append(others, f.Event("TICK_5", func(e *schema.Event) { e.Host, e.Group, e.Process = "web2", "", "" }))
		}
		f.Publish(others...)
		f.Publish(f.Crash(func(e *schema.Event) { e.PID = i + 1 }))
	}
}

// The newest events come first, page after page, however rare they are in the stream.
func TestNewestGoesBackPageByPage(t *testing.T) {
	f := fleettest.New(t)
	publishMany(f, 60) // over more than one window
	r := &history.Reader{JS: f.JS}

	q := history.NewestQuery{Filter: consumer.Filter{Hosts: []string{"web1"}}, Limit: 25}
	var got []int
	for pages := 0; ; pages++ {
		found, err := r.Newest(t.Context(), q)
		if err != nil || pages > 3 {
			t.Fatal(err, pages)
		}
		for _, e := range found.Events {
			got = append(got, e.Data.PID)
		}
		if !found.More {
			break
		}
		q.Before = found.Next
	}
	if len(got) != 60 {
		t.Fatalf("%d events, want 60", len(got))
	}
	for i, pid := range got {
		if pid != 60-i {
			t.Fatalf("%d: event %d, want %d", i, pid, 60-i)
		}
	}
}

// Nothing from before a time is returned, and nothing that a filter does not pass.
func TestNewestWithinAPeriod(t *testing.T) {
	f := fleettest.New(t)
	publishMany(f, 3)
	r := &history.Reader{JS: f.JS}

	all, err := r.Newest(t.Context(), history.NewestQuery{Filter: consumer.Filter{Events: []string{"PROCESS_STATE"}}})
	if err != nil || len(all.Events) != 3 || all.More {
		t.Fatalf("%+v, %v", all, err)
	}
	for want, since := range map[int]time.Time{0: time.Now().Add(time.Hour), 3: all.Events[2].Stored.Time} {
		q := history.NewestQuery{Filter: consumer.Filter{Hosts: []string{"web1"}}, Since: since}
		if found, err := r.Newest(t.Context(), q); err != nil || len(found.Events) != want {
			t.Errorf("since %s: %d events, want %d, %v", since, len(found.Events), want, err)
		}
	}
}

// A message that somebody else has put on a subject is no event.
func TestNewestLeavesOutWhatIsNoEvent(t *testing.T) {
	f := fleettest.New(t)
	f.Publish(f.Crash())
	f.PublishRaw("supervisor.event.web1.api.api=5F00.process_state.exited", "{")
	var warnings []string
	r := &history.Reader{JS: f.JS, Warn: func(text string) { warnings = append(warnings, text) }}

	found, err := r.Newest(t.Context(), history.NewestQuery{Filter: consumer.Filter{Hosts: []string{"web1"}}})
	if err != nil || len(found.Events) != 1 || len(warnings) != 1 {
		t.Errorf("%d events, %q, %v", len(found.Events), warnings, err)
	}
}
