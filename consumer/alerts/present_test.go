package alerts_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/alerts"
	"supernats/consumer/rules"
	"supernats/schema"
)

// present is what a notification says of its process at the time when it was made.
type present struct {
	state    string
	since    time.Duration // after t0
	hour     int
	day      int
	isUnsure bool
}

func presentOf(n alerts.Notification) (p present) {
	p.state = n.Alert.State
	if n.Alert.StateSince != nil {
		p.since = n.Alert.StateSince.Sub(t0)
	}
	if c := n.Alert.Crashes; c != nil {
		p.hour, p.day, p.isUnsure = c.LastHour, c.LastDay, c.Since != nil
	}
	return p
}

// While it is open a notification says what the process does then, and not what it did
// when it was first reported; and how often it crashed, over several alerts.
func TestThePresent(t *testing.T) {
	for _, killed := range []bool{false, true} {
		w := newWorld(t, options(), crashRule(func(c *rules.Config) { c.RepeatInterval = dur(50 * time.Minute) }))
		w.restarts = killed
		w.event(0, "RUNNING")
		w.event(time.Minute, "EXITED")
		w.event(0, "RUNNING")
		w.pass(3 * time.Hour) // another alert, and nothing is left of that one
		w.event(time.Minute, "EXITED")
		w.event(0, "STARTING")
		w.event(time.Second, "BACKOFF")
		w.pass(time.Hour)
		w.event(0, "RUNNING")
		w.pass(time.Hour)

		var got []present
		for _, n := range w.notes {
			got = append(got, presentOf(n))
		}
		want := []present{
			{state: "EXITED", since: time.Minute, hour: 1, day: 1},
			{state: "RUNNING", since: time.Minute, hour: 1, day: 1},
			{state: "EXITED", since: 3*time.Hour + 2*time.Minute, hour: 1, day: 2},
			{state: "BACKOFF", since: 3*time.Hour + 2*time.Minute + time.Second, hour: 2, day: 3},
			{state: "RUNNING", since: 4*time.Hour + 2*time.Minute + time.Second, day: 3},
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(present{})); d != "" {
			t.Errorf("killed before every message: %t\n%s", killed, d)
		}
	}
}

// What is not known is not said: of several processes, and of one without a record.
func TestThePresentIsUnknown(t *testing.T) {
	many := newWorld(t, options(), crashRule(func(c *rules.Config) { c.GroupBy = rules.List{"group"} }))
	many.event(0, "EXITED")

	crowded := newWorld(t, options(), crashRule()) // there is no room for its record
	m := crowded.meta(0)
	e := schema.Event{
		Event: schema.ProcessStateExited, Host: "web1", Boot: "4f0c6d1e2a90b7c3", Serial: 1,
		Group: "api", Process: "api_00", Expected: p(false),
	}
	crowded.applyEvent(m, e.Envelope(crowded.at), t0.Add(-time.Hour))
	crowded.take()

	for name, w := range map[string]*world{"several": many, "no record": crowded} {
		if len(w.notes) != 1 || presentOf(w.notes[0]) != (present{}) {
			t.Errorf("%s: %d notifications, %+v", name, len(w.notes), w.notes)
		}
	}
}
