package fit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"supernats/schema"
)

var at = time.Date(2026, 11, 21, 19, 0, 31, 0, time.UTC)

// crashes is a notification of so many, each with a log.
func crashes(n int, log string, change ...func(*schema.Notification)) *schema.Notification {
	a := &schema.Notification{Incident: "a", Rule: "r", Severity: "critical", Host: "h", Opened: schema.Time{Time: at}, Closed: &schema.Time{Time: at}, Count: n}
	for i := range n {
		a.Events = append(a.Events, schema.AlertEvent{ID: fmt.Sprint("h/b/", i), Time: schema.Time{Time: at}, Event: "PROCESS_STATE_EXITED", Process: fmt.Sprint("p", i), Log: &schema.Log{Stderr: log}})
	}
	for _, c := range change {
		c(a)
	}
	return a
}

// A notification that lists more than a message may hold is shortened, logs first, and
// then divided: every crash is listed, and its count stays.
func TestNotificationFits(t *testing.T) {
	log := strings.Repeat("a line of the log\n", 200)
	long := func(a *schema.Notification) {
		a.Annotations = map[string]string{"summary": strings.Repeat("é", 8000), "description": strings.Repeat("x", 16000)}
		a.Labels = map[string]string{"team": "a"}
		for i := range a.Events {
			a.Events[i].Exit = &schema.Exit{SpawnErr: strings.Repeat("x", 20000)}
		}
	}
	for _, tc := range []struct {
		name      string
		n, limit  int
		change    func(*schema.Notification)
		parts     int // at most
		logs, all bool
	}{
		{"as it is", 100, 1 << 20, func(*schema.Notification) {}, 1, true, true},
		{"shorter logs", 100, 64 << 10, func(*schema.Notification) {}, 1, true, false},
		{"in parts", 100, 32 << 10, func(*schema.Notification) {}, 2, true, false},
		{"in many parts", 500, 32 << 10, func(*schema.Notification) {}, 16, true, false},
		{"long texts", 3, 32 << 10, long, 3, true, false},
		{"hardly anything", 3, 4 << 10, long, 4, false, false},
		{"texts alone", 0, 8 << 10, long, 1, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := crashes(tc.n, log, tc.change)
			pieces, err := Notification("a/1", schema.TypeAlertResolved, n, at, tc.limit)
			if err != nil || len(pieces) > tc.parts || tc.n > 0 && len(pieces) == 0 {
				t.Fatalf("%d pieces: %v", len(pieces), err)
			}
			listed := 0
			for i, p := range pieces {
				ce, err := schema.Unmarshal[*schema.Notification](p.JSON)
				if err != nil || len(p.JSON) > tc.limit-notificationHeaders || ce.ID != p.ID || ce.Data.Count != tc.n || ce.Data.Incident != "a" {
					t.Fatalf("%s of %d bytes: %v", p.ID, len(p.JSON), err)
				}
				if last := i == len(pieces)-1; (ce.Type == schema.TypeAlertResolved) != last || (ce.Data.Closed != nil) != last {
					t.Errorf("%s is %s", p.ID, ce.Type)
				}
				for _, e := range ce.Data.Events {
					if e.ID != fmt.Sprint("h/b/", listed) {
						t.Errorf("%s is where the event %d should be", e.ID, listed)
					}
					if (e.Log != nil) != tc.logs || tc.logs && !strings.HasSuffix(log, e.Log.Stderr) || tc.all && e.Log.Stderr != log {
						t.Errorf("log: %v", e.Log)
					}
					listed++
				}
			}
			if listed != tc.n {
				t.Errorf("%d crashes of %d are listed", listed, tc.n)
			}
			if tc.n > 0 && n.Events[0].Log.Stderr != log {
				t.Error("the notification itself was changed")
			}
		})
	}
}

// The first part of what is new opens the alert, the others continue it.
func TestPartsOfAFirstNotification(t *testing.T) {
	n := crashes(100, "")
	n.Closed = nil
	pieces, err := Notification("a/1", schema.TypeAlertFiring, n, at, 8<<10)
	if err != nil || len(pieces) < 2 {
		t.Fatal(len(pieces), err)
	}
	for i, p := range pieces {
		ce, err := schema.Unmarshal[*schema.Notification](p.JSON)
		if err != nil || (ce.Type == schema.TypeAlertFiring) != (i == 0) || i > 0 && ce.Type != schema.TypeAlertUpdate {
			t.Error(p.ID, ce.Type, err)
		}
	}
	if _, number, end := CutID(pieces[len(pieces)-1].ID); number != 1 || end != 100 {
		t.Errorf("the last is %s", pieces[len(pieces)-1].ID)
	}
}
