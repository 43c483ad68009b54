package notify_test

import (
	"testing"
	"time"

	"supernats/consumer/notify"
	"supernats/schema"
)

func TestCrashesLately(t *testing.T) {
	at := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *schema.Time { return &schema.Time{Time: at.Add(-d)} }
	for _, c := range []struct {
		name    string
		crashes *schema.RecentCrashes
		want    string
	}{
		{name: "not known"},
		{name: "the first", crashes: &schema.RecentCrashes{LastHour: 1, LastDay: 1}, want: "the first in 24 hours"},
		{
			name: "the first since it is known", crashes: &schema.RecentCrashes{LastHour: 1, LastDay: 1, Since: ago(3 * time.Hour)},
			want: "the first in 3 hours, before that not known",
		},
		{
			name: "the first since a moment ago", crashes: &schema.RecentCrashes{LastHour: 1, LastDay: 1, Since: ago(0)},
			want: "the first in the last minute, before that not known",
		},
		{
			name: "of an hour and a day", crashes: &schema.RecentCrashes{LastHour: 3, LastDay: 17},
			want: "3 in the last hour, 17 in the last 24 hours",
		},
		{name: "of an hour", crashes: &schema.RecentCrashes{LastHour: 3, LastDay: 3}, want: "3 in the last 24 hours, all in the last hour"},
		{name: "long ago", crashes: &schema.RecentCrashes{LastDay: 1}, want: "1 in the last 24 hours, none in the last hour"},
		{
			name: "the hour is not known as a whole", crashes: &schema.RecentCrashes{LastHour: 2, LastDay: 2, Since: ago(20 * time.Minute)},
			want: "2 in the last 20 minutes, before that not known",
		},
		{
			name: "known since a moment ago", crashes: &schema.RecentCrashes{LastHour: 2, LastDay: 2, Since: ago(0)},
			want: "2 in the last minute, before that not known",
		},
		{
			name: "the hour is, the day is not", crashes: &schema.RecentCrashes{LastHour: 2, LastDay: 9, Since: ago(5 * time.Hour)},
			want: "2 in the last hour, 9 in the last 5 hours, before that not known",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &notify.Notification{Time: schema.Time{Time: at}, Data: &schema.Notification{Crashes: c.crashes}}
			if got := notify.CrashesLately(n); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestStateNow(t *testing.T) {
	since := schema.Time{Time: time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)}
	last := func(event string) []schema.AlertEvent { return []schema.AlertEvent{{Event: event}} }
	for _, c := range []struct {
		name  string
		typ   string
		alert schema.Notification
		want  string
	}{
		{name: "not known", alert: schema.Notification{Events: last(schema.ProcessStateExited)}},
		{name: "it gave up", alert: schema.Notification{State: schema.StateFatal}, want: "FATAL, down until somebody starts it"},
		{name: "it tries again", alert: schema.Notification{State: schema.StateBackoff}, want: "BACKOFF, supervisord will try again"},
		{name: "it runs again", alert: schema.Notification{State: schema.StateRunning, StateSince: &since}, want: "RUNNING since 19:00"},
		{name: "down", alert: schema.Notification{State: schema.StateExited}, want: "EXITED, down unless supervisord restarts it"},
		{name: "it ran to its end", typ: schema.TypeAlertResolved, alert: schema.Notification{State: schema.StateExited}, want: "EXITED"},
		{name: "stopped", alert: schema.Notification{State: schema.StateStopped}, want: "STOPPED"},
		{
			name: "of an earlier version", want: "FATAL, down until somebody starts it",
			alert: schema.Notification{Process: "api_00", Events: last(schema.ProcessStateFatal)},
		},
		{
			name: "of an earlier version, an end", typ: schema.TypeAlertResolved,
			alert: schema.Notification{Process: "api_00", Events: last(schema.ProcessStateFatal)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &notify.Notification{Type: c.typ, Data: &c.alert}
			if got := notify.StateNow(n, func(at time.Time) string { return at.Format("15:04") }); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
