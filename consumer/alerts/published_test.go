package alerts_test

import (
	"testing"
	"time"

	"supernats/schema"
)

// A record knows where its notifications are, the first and the last; one of another
// alert, or of a rule that is not there, changes nothing.
func TestPublished(t *testing.T) {
	w := newWorld(t, options(), crashRule())
	w.event(0, "EXITED")
	first := w.notes[0].Alert
	w.Published(first, 7)
	w.flush()
	w.event(time.Second, "EXITED")
	w.pass(5 * time.Minute)
	if len(w.notes) != 2 {
		t.Fatalf("%d notifications", len(w.notes))
	}
	w.Published(w.notes[1].Alert, 9)
	quiet := *w.notes[1].Alert // nobody is to take it
	quiet.Quiet = true
	w.Published(&quiet, 10)
	other := *first
	other.Incident = "another"
	w.Published(&other, 11)
	w.Published(&schema.Notification{Rule: "no such rule", Host: "web1"}, 12)
	w.flush()
	if r := w.records["exit.web1.api.api_00"]; r.FirstSeq != 7 || r.LastSeq != 9 {
		t.Errorf("%+v", r)
	}
}
