package notify_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
	"supernats/schema"
)

// TestTimes: nothing is in the future of the reader, ends come after beginnings,
// and lengths are what they were.
func TestTimes(t *testing.T) {
	now := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return now.Add(d) }
	const open = time.Duration(-1 << 62)
	for name, tc := range map[string]struct {
		opened, closed time.Duration // from now
		began, over    time.Duration
	}{
		"open":                    {opened: -time.Hour, closed: open, began: -time.Hour, over: open},
		"open in the future":      {opened: time.Hour, closed: open, began: 0, over: open},
		"closed":                  {opened: -time.Hour, closed: -time.Minute, began: -time.Hour, over: -time.Minute},
		"closed now":              {opened: -time.Hour, closed: 0, began: -time.Hour, over: 0},
		"closed in the future":    {opened: -time.Minute, closed: 2 * time.Minute, began: -3 * time.Minute, over: 0},
		"all in the future":       {opened: time.Hour, closed: time.Hour + 3*time.Minute, began: -3 * time.Minute, over: 0},
		"closed before it opened": {opened: -time.Minute, closed: -time.Hour, began: -time.Minute, over: -time.Minute},
		"the same, in the future": {opened: time.Hour, closed: -time.Hour, began: 0, over: 0},
	} {
		t.Run(name, func(t *testing.T) {
			typ := schema.TypeAlertFiring
			if tc.closed != open {
				typ = schema.TypeAlertResolved
			}
			n := notifytest.Notification(typ, "a/1", 1, func(a *schema.Notification) {
				a.Opened, a.Closed = schema.Time{Time: at(tc.opened)}, nil
				if tc.closed != open {
					a.Closed = &schema.Time{Time: at(tc.closed)}
				}
			})
			began, over := notify.Incidents([]*notify.Notification{n})[0].Times(now)
			want := at(tc.over)
			if tc.over == open {
				want = time.Time{}
			}
			if !began.Equal(at(tc.began)) || !over.Equal(want) {
				t.Errorf("%s to %s; want %s to %s", began, over, at(tc.began), want)
			}
		})
	}
}

// What chats, Alertmanager and PagerDuty show of it.
func TestALackOfMemoryIsSaid(t *testing.T) {
	n := notifytest.OutOfMemory("a")
	const text = "web1 api:api_00 exited unexpectedly (ran 2 d 4 h, SIGKILL, out of memory at 2.0 of 2 GiB)"
	if got := notify.LineOf(n).String(); got != "FIRING "+text {
		t.Errorf("line: %s", got)
	}

	i := notify.Incidents([]*notify.Notification{n})[0]
	notes := i.Annotations(10)
	want := map[string]string{
		"summary": text, "description": "2026-11-21T19:00:31.833Z " + text, "count": "1", "alert": "a", "notification": "a/1",
		"ran": "2 d 4 h", "out_of_memory": `2.0 of 2 GiB in cgroup /system.slice/a\x1b.service`,
		"last_look": "2.2 s before: 1.9 GiB (peak 2.0 GiB), 500 ms CPU, 1 thread, 31 open files", "address": "192.0.2.11",
	}
	if d := cmp.Diff(want, notes); d != "" {
		t.Errorf("annotations (-want +got):\n%s", d)
	}
	// It is no label: these say which alert it is.
	for name, value := range i.Labels() {
		if name == "ran" || name == "out_of_memory" {
			t.Errorf("label %s=%q", name, value)
		}
	}
	// What the rule's author has called so is kept.
	n.Data.Annotations = map[string]string{"ran": "by cron"}
	if got := notify.Incidents([]*notify.Notification{n})[0].Annotations(10)["ran"]; got != "by cron" {
		t.Errorf("the annotation of the rule has become %q", got)
	}
}

// What the process does now, and how often it crashed lately.
func TestThePresentIsSaid(t *testing.T) {
	n := notifytest.Firing("a", func(a *schema.Notification) {
		a.State = schema.StateRunning
		a.Crashes = &schema.RecentCrashes{LastHour: 3, LastDay: 17}
	})
	const crashes = "3 in the last hour, 17 in the last 24 hours"
	want := "FIRING web1 api:api_00 exited unexpectedly (exit code 1), now RUNNING, crashes: " + crashes
	if got := notify.LineOf(n).String(); got != want {
		t.Errorf("line: %s", got)
	}
	notes := notify.Incidents([]*notify.Notification{n})[0].Annotations(10)
	if notes["state"] != schema.StateRunning || notes["crashes"] != crashes {
		t.Errorf("annotations: %v", notes)
	}

	// What the line has said, it says once.
	n.Data.State, n.Data.Crashes = schema.StateExited, &schema.RecentCrashes{LastHour: 1, LastDay: 1}
	if got, want := notify.LineOf(n).String(), "FIRING web1 api:api_00 exited unexpectedly (exit code 1)"; got != want {
		t.Errorf("line: %s", got)
	}

	n.Data.Annotations = map[string]string{"state": "of Austria"}
	if got := notify.Incidents([]*notify.Notification{n})[0].Annotations(10)["state"]; got != "of Austria" {
		t.Errorf("the annotation of the rule has become %q", got)
	}
}
