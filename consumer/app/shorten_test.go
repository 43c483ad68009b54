package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"supernats/consumer/rules"
	"supernats/schema"
	"supernats/schema/stream/streamtest"
)

// A notification that lists more than a message may hold is shortened: logs first,
// then the oldest events; its count stays.
func TestNotificationFits(t *testing.T) {
	v := &events{js: streamtest.Start(t).JetStream()}
	at := time.Date(2026, 11, 21, 19, 0, 31, 0, time.UTC)
	list := func(n int, log string) rules.Notification {
		a := &schema.Alert{Alert: "a", Rule: "r", Severity: "critical", Host: "h", Opened: schema.Time{Time: at}, Count: n}
		for i := range n {
			a.Events = append(a.Events, schema.AlertEvent{ID: fmt.Sprint("h/b/", i), Time: schema.Time{Time: at}, Event: "PROCESS_STATE_EXITED", Process: fmt.Sprint("p", i), Log: &schema.Log{Stderr: log}})
		}
		return rules.Notification{ID: "a/1", Type: schema.TypeAlertFiring, At: at, Alert: a}
	}
	log := strings.Repeat("a line of the log\n", 200)
	for _, tc := range []struct {
		name      string
		n, limit  int
		least     int // events
		logs, all bool
	}{
		{"as it is", 100, 1 << 20, 100, true, true},
		{"shorter logs", 100, 64 << 10, 100, true, false},
		{"hardly any logs", 250, 64 << 10, 250, true, false},
		{"newest events", 5000, 64 << 10, 200, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := list(tc.n, log)
			v.maxAlert = tc.limit
			json, err := v.write(&n)
			if err != nil || len(json) > tc.limit-alertHeaders {
				t.Fatalf("%d bytes: %v", len(json), err)
			}
			ce, err := schema.Unmarshal[*schema.Alert](json)
			if err != nil {
				t.Fatal(err)
			}
			got := ce.Data.Events
			last := got[len(got)-1]
			if len(got) < tc.least || ce.Data.Count != tc.n || last.ID != fmt.Sprint("h/b/", tc.n-1) {
				t.Errorf("%d events of %d, the last is %s", len(got), ce.Data.Count, last.ID)
			}
			if (last.Log != nil) != tc.logs || tc.logs && !strings.HasSuffix(log, last.Log.Stderr) || tc.all && last.Log.Stderr != log {
				t.Errorf("log: %v", last.Log)
			}
			if n.Alert.Events[0].Log.Stderr != log {
				t.Error("the notification itself was changed")
			}
		})
	}
}
