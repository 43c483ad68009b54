package notify_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
	"supernats/schema"
)

// TestMain finds what still runs after a delivery.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestErrors(t *testing.T) {
	base := errors.New("429")
	if err := fmt.Errorf("chat: %w", notify.After(time.Minute, base)); !errors.Is(err, base) || notify.IsPermanent(err) {
		t.Errorf("marked error is not what it was: %v", err)
	} else if d, ok := notify.RetryAfter(err); !ok || d != time.Minute {
		t.Errorf("wait %s, %t", d, ok)
	}
	if err := fmt.Errorf("chat: %w", notify.Permanent(base)); !errors.Is(err, base) || !notify.IsPermanent(err) {
		t.Errorf("marked error is not what it was: %v", err)
	}
	for _, err := range []error{nil, base, notify.Permanent(base)} {
		if d, ok := notify.RetryAfter(err); ok || d != 0 {
			t.Errorf("%v: wait %s, %t", err, d, ok)
		}
	}
}

// answered is a notification of a type that has no events.
func answered(typ string, change func(*schema.Notification)) *notify.Notification {
	return notifytest.Notification(typ, "a", 2, func(a *schema.Notification) {
		a.Events = nil
		change(a)
	})
}

func TestLine(t *testing.T) {
	event := func(change func(*schema.AlertEvent)) func(*schema.Notification) {
		return func(a *schema.Notification) { change(&a.Events[0]) }
	}
	for _, c := range []struct {
		name string
		n    *notify.Notification
		want string
	}{
		{name: "exit", n: notifytest.Firing("a"), want: "FIRING web1 api:api_00 exited unexpectedly (exit code 1)"},
		{name: "signal", n: notifytest.Firing("a", event(func(e *schema.AlertEvent) { e.Exit = &schema.Exit{Signal: "SIGSEGV", Core: true} })), want: "FIRING web1 api:api_00 exited unexpectedly (SIGSEGV, core dumped)"},
		{name: "acknowledged", n: answered(schema.TypeAlertAcknowledged, func(a *schema.Notification) {
			a.By, a.Reason, a.Until = "ann", "rolling\nback", &schema.Time{Time: time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)}
		}), want: `ACKNOWLEDGED web1 api:api_00 acknowledged by ann: rolling\nback, until 2026-11-21 20:00:00 UTC`},
		{name: "withdrawn", n: answered(schema.TypeAlertUnacknowledged, func(a *schema.Notification) {
			a.By, a.Reason, a.Cause, a.Acknowledged = "bob", "end of shift", schema.UnackedByHand, &schema.Acknowledgement{By: "ann"}
		}), want: "UNACKNOWLEDGED web1 api:api_00 no longer acknowledged: withdrawn by bob (ann had it), end of shift"},
		{name: "withdrawn by who had it", n: answered(schema.TypeAlertUnacknowledged, func(a *schema.Notification) {
			a.By, a.Cause, a.Acknowledged = "ann", schema.UnackedByHand, &schema.Acknowledgement{By: "ann"}
		}), want: "UNACKNOWLEDGED web1 api:api_00 no longer acknowledged: withdrawn by ann"},
		{name: "expired", n: answered(schema.TypeAlertUnacknowledged, func(a *schema.Notification) {
			a.Cause, a.Acknowledged = schema.UnackedByTime, &schema.Acknowledgement{By: "ann"}
		}), want: "UNACKNOWLEDGED web1 api:api_00 no longer acknowledged: ann's acknowledgement has expired"},
		{name: "over, and somebody had taken care", n: notifytest.Notification(schema.TypeAlertResolved, "a", 2, func(a *schema.Notification) {
			a.Acknowledged = &schema.Acknowledgement{By: "ann", Reason: "rolling back"}
		}), want: "RESOLVED web1 api:api_00 exited unexpectedly (exit code 2), 2 times, over after 1m, acknowledged by ann: rolling back"},
		{name: "escalated", n: notifytest.Firing("a", func(a *schema.Notification) { a.Escalation = 1 }), want: "FIRING web1 api:api_00 exited unexpectedly (exit code 1), escalation 1, nobody has acknowledged it"},
		{name: "another rule and event", n: notifytest.Firing("a", func(a *schema.Notification) {
			a.Rule, a.Events[0].Event, a.Events[0].Exit = "loop", schema.ProcessStateBackoff, nil
		}), want: "FIRING web1 api:api_00 died while starting, will be tried again (rule loop)"},
		{name: "unknown event", n: notifytest.Firing("a", func(a *schema.Notification) { a.Rule, a.Events[0].Event, a.Events[0].Exit = "odd", "THING", nil }), want: "FIRING web1 api:api_00 THING (rule odd)"},
		{name: "summary", n: notifytest.Firing("a", func(a *schema.Notification) { a.Annotations = map[string]string{"summary": "the API\nis down"} }), want: `FIRING web1 api:api_00 the API\nis down`},
		{name: "loss", n: notifytest.Firing("a", func(a *schema.Notification) {
			a.Rule, a.Group, a.Process = "loss", "", ""
			a.Events = []schema.AlertEvent{{Event: "supernats.bridge.loss", Lost: 42}}
		}), want: "FIRING web1 has lost events: 42"},
		{name: "not listening", n: notifytest.Firing("a", func(a *schema.Notification) {
			a.Rule, a.Group, a.Process = "loss", "", ""
			a.Events = []schema.AlertEvent{{Event: "supernats.bridge.loss", Lost: 3, Cause: "not-listening"}}
		}), want: "FIRING web1 has lost events: 3 (supervisord did not run the bridge for a while)"},
		{name: "trouble", n: notifytest.Firing("a", func(a *schema.Notification) {
			a.Rule, a.Group, a.Process = "bridge-trouble", "", ""
			a.Events = []schema.AlertEvent{{Event: "supernats.bridge.trouble", Cause: "disk-full", Text: "3 MiB\x1b are left", Fix: "make room"}}
		}), want: "FIRING web1 is in trouble: disk-full: 3 MiB\\x1b are left; to fix it: make room"},
		{name: "trouble over", n: notifytest.Notification(schema.TypeAlertResolved, "a", 3, func(a *schema.Notification) {
			a.Count, a.Rule, a.Group, a.Process, a.Events = 1, "bridge-trouble", "", "", nil
		}), want: "RESOLVED web1 is in trouble, over after 2m"},
		{name: "lost process", n: notifytest.Firing("a", func(a *schema.Notification) {
			a.Rule, a.Events[0].Event, a.Events[0].Exit = "unknown", schema.ProcessStateUnknown, nil
		}), want: "FIRING web1 api:api_00 is in state UNKNOWN, supervisord has lost it, it may still run"},
		{name: "stopped", n: notifytest.Notification(schema.TypeAlertResolved, "a", 3, func(a *schema.Notification) {
			a.Annotations = map[string]string{"reason": "it was stopped"}
		}), want: "RESOLVED web1 api:api_00 exited unexpectedly (exit code 3), 3 times, over after 2m: it was stopped"},
		{name: "silent", n: notifytest.Firing("a", func(a *schema.Notification) {
			a.Rule, a.Group, a.Process, a.Events = "host-silent", "", "", nil
		}), want: "FIRING web1 is silent, its bridge sends nothing, last heard 2026-11-21 19:00:31 UTC"},
		{name: "silent, and why", n: notifytest.Firing("a", func(a *schema.Notification) {
			a.Kind, a.Rule, a.Group, a.Process, a.Events = schema.KindSilent, "quiet", "", "", nil
			a.Annotations = map[string]string{"reason": "its bridge was stopped"}
		}), want: "FIRING web1 is silent, its bridge was stopped, last heard 2026-11-21 19:00:31 UTC"},
		{name: "recovered", n: notifytest.Notification(schema.TypeAlertResolved, "a", 3, func(a *schema.Notification) {
			a.Ended, a.State = schema.EndedRecovered, "RUNNING"
		}), want: "RESOLVED web1 api:api_00 exited unexpectedly (exit code 3), 3 times, over after 2m: it has recovered; its state is RUNNING"},
		{name: "stopped, its state", n: notifytest.Notification(schema.TypeAlertResolved, "a", 3, func(a *schema.Notification) {
			a.Ended, a.State, a.Annotations = schema.EndedStopped, "STOPPED", map[string]string{"reason": "it was stopped"}
		}), want: "RESOLVED web1 api:api_00 exited unexpectedly (exit code 3), 3 times, over after 2m: it was stopped; its state is STOPPED"},
		{name: "reporting again", n: notifytest.Notification(schema.TypeAlertResolved, "a", 1, func(a *schema.Notification) {
			a.Kind, a.Rule, a.Group, a.Process, a.Events, a.Ended = schema.KindSilent, "quiet", "", "", nil, schema.EndedRecovered
			a.Annotations = map[string]string{"reason": "its bridge was stopped"}
		}), want: "RESOLVED web1 is silent, its bridge was stopped, last heard 2026-11-21 19:00:31 UTC, over after 0s: it is reporting again"},
		{name: "forgotten", n: notifytest.Notification(schema.TypeAlertResolved, "a", 1, func(a *schema.Notification) {
			a.Rule, a.Group, a.Process, a.Events, a.Ended = "host-silent", "", "", nil, schema.EndedForgotten
			a.Annotations = map[string]string{"reason": "its bridge was stopped"}
		}), want: "RESOLVED web1 is silent, its bridge was stopped, last heard 2026-11-21 19:00:31 UTC, over after 0s: the host was forgotten"},
		{name: "again and again", n: notifytest.Notification(schema.TypeAlertUpdate, "a", 3, func(a *schema.Notification) {
			a.Count, a.Recurring = 24, &schema.Recurring{Times: 22, Since: schema.Time{Time: a.Opened.Add(-14 * time.Minute)}, RunMS: 40_000}
		}), want: "UPDATE web1 api:api_00 crashed 22 times in 16 minutes, runs 40 s each (exit code 3), 24 times since it opened"},
		{name: "late and over", n: notifytest.Firing("a", event(func(e *schema.AlertEvent) { e.Late = true }), func(a *schema.Notification) {
			a.WellSince = &schema.Time{Time: a.Opened.Add(time.Minute)}
		}), want: "FIRING web1 api:api_00 exited unexpectedly (exit code 1), late: it was at 2026-11-21 19:00:31 UTC, closed since 2026-11-21 19:01:31 UTC"},
		{name: "no events", n: notifytest.Firing("a", func(a *schema.Notification) { a.Rule, a.Events = "down", nil }), want: "FIRING web1 api:api_00 alert down"},
		{name: "several processes", n: notifytest.Firing("a", func(a *schema.Notification) {
			a.Process, a.Count = "", 7
			a.Events[0].Group, a.Events[0].Process = "api", "api_03"
		}), want: "FIRING web1 api:api_03 exited unexpectedly (exit code 1), 7 times"},
		{name: "several hosts", n: notifytest.Firing("a", func(a *schema.Notification) { a.Host, a.Events[0].Host = "", "web9" }), want: "FIRING web9 api:api_00 exited unexpectedly (exit code 1)"},
		{name: "update", n: notifytest.Notification(schema.TypeAlertUpdate, "a", 3), want: "UPDATE web1 api:api_00 exited unexpectedly (exit code 3), 3 times"},
		{name: "resolved", n: notifytest.Notification(schema.TypeAlertResolved, "a", 3), want: "RESOLVED web1 api:api_00 exited unexpectedly (exit code 3), 3 times, over after 2m"},
		{name: "resolved at once", n: notifytest.Notification(schema.TypeAlertResolved, "a", 1, func(a *schema.Notification) { a.Closed = &schema.Time{Time: a.Opened.Add(-time.Second)} }), want: "RESOLVED web1 api:api_00 exited unexpectedly (exit code 1), over after 0s"},
		{name: "late", n: notifytest.Firing("a", event(func(e *schema.AlertEvent) { e.Late = true })), want: "FIRING web1 api:api_00 exited unexpectedly (exit code 1), late: it was at 2026-11-21 19:00:31 UTC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, notify.LineOf(c.n).String()); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
	for _, n := range notifytest.HostileBatch() {
		if s := notify.LineOf(n).String(); len([]rune(s)) > 1000 || strings.ContainsAny(s, "\r\n\x00\x1b\u202e") || strings.ToValidUTF8(s, "") != s {
			t.Errorf("line is %.300q", s)
		}
	}
}

func TestIncidents(t *testing.T) {
	n := notifytest.Notification
	batch := []*notify.Notification{
		n(schema.TypeAlertFiring, "a", 1), n(schema.TypeAlertResolved, "c", 4), n(schema.TypeAlertFiring, "b", 1), n(schema.TypeAlertUpdate, "a", 2), n(schema.TypeAlertResolved, "a", 3),
	}
	type summary struct {
		Alert, ID       string
		Resolved, Fired bool
		Events          []string
	}
	var got []summary
	for _, i := range notify.Incidents(batch) {
		s := summary{Alert: i.Alert.Incident, ID: i.ID, Resolved: i.IsResolved(), Fired: i.Fired}
		for _, e := range i.Alert.Events {
			s.Events = append(s.Events, e.ID)
		}
		got = append(got, s)
	}
	const e = "web1/4f0c6d1e2a90b7c3/"
	want := []summary{
		{Alert: "c", ID: "c/4", Resolved: true, Fired: false, Events: []string{e + "4"}},
		{Alert: "b", ID: "b/1", Resolved: false, Fired: true, Events: []string{e + "1"}},
		{Alert: "a", ID: "a/3", Resolved: true, Fired: true, Events: []string{e + "1", e + "2", e + "3"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("incidents (-want +got):\n%s", diff)
	}
	if len(batch[0].Data.Events) != 1 || len(batch[4].Data.Events) != 1 {
		t.Error("the batch was changed")
	}
}

func TestDescription(t *testing.T) {
	i := notify.Incidents([]*notify.Notification{
		notifytest.Notification(schema.TypeAlertFiring, "a", 1),
		notifytest.Notification(schema.TypeAlertUpdate, "a", 2, func(a *schema.Notification) {
			a.Events[0].Host, a.Events[0].Group, a.Events[0].Process, a.Events[0].Late = "web2", "w", "w\n1", true
		}),
		notifytest.Notification(schema.TypeAlertUpdate, "a", 3, func(a *schema.Notification) {
			a.Events[0] = schema.AlertEvent{Time: a.Events[0].Time, Event: "supernats.bridge.loss", Lost: 42}
			a.Annotations = map[string]string{"description": "Look here."}
		}),
	})[0]
	lines := []string{
		"2026-11-21T19:00:31.833Z web1 api:api_00 exited unexpectedly (exit code 1)",
		`2026-11-21T19:01:31.833Z web2 w:w\n1 exited unexpectedly (exit code 2), late`,
		"2026-11-21T19:02:31.833Z web1 api:api_00 has lost events: 42",
	}
	for _, c := range []struct {
		max  int
		want string
	}{
		{max: 0, want: strings.Join(lines, "\n")},
		{max: 3, want: strings.Join(lines, "\n")},
		{max: 1, want: "… and 2 more before\n" + lines[2]},
	} {
		if diff := cmp.Diff(c.want, i.Description(c.max)); diff != "" {
			t.Errorf("description of %d (-want +got):\n%s", c.max, diff)
		}
	}
	if diff := cmp.Diff("Look here.\n"+strings.Join(lines, "\n"), i.Annotations(0)["description"]); diff != "" {
		t.Errorf("annotation (-want +got):\n%s", diff)
	}
}

func TestLabelName(t *testing.T) {
	for s, want := range map[string]string{"": "_", "team": "team", "cost-center": "cost_center", "7up": "_up", "a7": "a7", "进程": "__", "__x": "__x", "a.b/c": "a_b_c"} {
		if got := notify.LabelName(s); got != want {
			t.Errorf("LabelName(%q) = %q, want %q", s, got, want)
		}
	}
}
