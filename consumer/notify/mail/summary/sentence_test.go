package summary

import (
	"testing"
	"time"

	"supernats/schema"
)

// TestWords are the subjects and first sentences of mails about one alert.
func TestWords(t *testing.T) {
	const firing, update, resolved = schema.TypeAlertFiring, schema.TypeAlertUpdate, schema.TypeAlertResolved
	in := func(n *notification, change func(a *schema.Notification)) *notification {
		change(n.Data)
		return n
	}
	closed := func(a *schema.Notification) { end := at(270 * time.Second); a.Closed, a.Count = &end, 17 }
	minutes := []schema.AlertEvent{exit(time.Minute, code(3)), exit(2*time.Minute, code(3)), exit(3*time.Minute, &schema.Exit{Signal: "SIGKILL"})}
	expected := schema.AlertEvent{Event: schema.ProcessStateExited, Expected: new(true), Exit: code(0)}
	lost := schema.AlertEvent{Event: "supernats.bridge.loss", Lost: 17}
	late := exit(-3*time.Hour, code(3))
	late.Late = true
	summary := func(a *schema.Notification) {
		a.Annotations = map[string]string{"summary": "fewer than 7 of 8 are running"}
	}
	nobody := func(a *schema.Notification) { a.Host = "" }
	four := func(a *schema.Notification) { a.Opened, a.Count = at(-4*time.Hour), 4 }
	for _, tc := range []struct {
		n              *notification
		subject, first string
	}{
		{
			alertOf(update, "unexpected-exit", "web1", "", "crasher", minutes...),
			"CRITICAL UPDATE web1 crasher crashed (SIGKILL) (and 2 more)",
			"crasher on web1 exited unexpectedly 3 more times (the last time SIGKILL).",
		},
		{
			in(alertOf(update, "unexpected-exit", "web1", "", "crasher", minutes[0]), func(a *schema.Notification) { a.Count = 17 }),
			"CRITICAL UPDATE web1 crasher exited unexpectedly (exit code 3)",
			"crasher on web1 exited unexpectedly once more (exit code 3), 17 times since the alert opened.",
		},
		{
			alertOf(update, "fatal", "web1", "", "crasher", minutes[0], schema.AlertEvent{Event: schema.ProcessStateFatal}),
			"CRITICAL UPDATE web1 crasher is FATAL (and 1 more)",
			"crasher on web1 is FATAL, gave up starting it, and there is 1 more event.",
		},
		{
			in(alertOf(update, "unexpected-exit", "web1", "", "crasher"), four),
			"CRITICAL UPDATE web1 crasher crashed (still open for 4h, 4...",
			"crasher on web1 exited unexpectedly (still open for 4h, 4 events).",
		},
		{
			in(alertOf(update, "host-silent", "web1", "", ""), four),
			"CRITICAL UPDATE web1 is silent (still open for 4h)", "web1 is silent (still open for 4h), last heard 2026-11-21 15:00:31 UTC.",
		},
		{
			in(alertOf(resolved, "unexpected-exit", "web1", "", "crasher"), closed),
			"RESOLVED web1 crasher has recovered: open for 4m30s, 17 events",
			"crasher on web1 has recovered: open for 4m30s, 17 events.",
		},
		{
			in(alertOf(resolved, "down", "web1", "api", ""), closed),
			"RESOLVED web1 group api has recovered after 4m30s, 17 events...",
			"group api on web1 has recovered: open for 4m30s, 17 events (rule down).",
		},
		{
			in(in(alertOf(resolved, "down", "", "", ""), closed), nobody),
			"RESOLVED alert down has recovered after 4m30s, 17 events (rule...",
			"alert down has recovered: open for 4m30s, 17 events (rule down).",
		},
		{
			in(alertOf(resolved, "host-silent", "web1", "", ""), closed),
			"RESOLVED web1 is reporting again: open for 4m30s", "web1 is reporting again: open for 4m30s.",
		},
		{
			in(alertOf(resolved, "loss", "web1", "", ""), closed),
			"RESOLVED web1 no longer loses events: open for 4m30s, 17 events",
			"web1 no longer loses events: open for 4m30s, 17 events.",
		},
		{
			in(alertOf(resolved, "cron", "web1", "", "job", expected), closed),
			"RESOLVED web1 job is quiet again: open for 4m30s, 17 events",
			"job on web1 is quiet again: open for 4m30s, 17 events.",
		},
		{
			alertOf(firing, "cron", "web1", "", "job", expected),
			"CRITICAL web1 job exited as expected (exit code 0; rule cron)", "job on web1 exited as expected (exit code 0; rule cron).",
		},
		{
			alertOf(update, "cron", "web1", "", "job", expected, expected),
			"CRITICAL UPDATE web1 job exited as expected (exit 0... (1 more)",
			"job on web1 exited as expected 2 more times (the last time exit code 0; rule cron).",
		},
		{
			alertOf(firing, "any", "web1", "", "job", schema.AlertEvent{Event: schema.ProcessStateExited}),
			"CRITICAL web1 job exited (rule any)", "job on web1 exited (rule any).",
		},
		{
			alertOf(firing, "loss", "web1", "", "", lost, lost),
			"CRITICAL web1 has lost at least 34 events (and 1 more)", "web1 has lost at least 34 events, and there is 1 more event.",
		},
		{
			alertOf(firing, "my-loss", "web1", "", "", lost),
			"CRITICAL web1 has lost at least 17 events", "web1 has lost at least 17 events.",
		},
		{
			alertOf(firing, "unexpected-exit", "web1", "", "crasher", late),
			"CRITICAL LATE web1 crasher exited unexpectedly (exit code 3)", "crasher on web1 exited unexpectedly (exit code 3).",
		},
		{
			alertOf(firing, "unexpected-exit", "web1", "", "crasher", late, minutes[0]),
			"CRITICAL web1 crasher exited unexpectedly (exit code 3) (1 more)",
			"crasher on web1 exited unexpectedly (exit code 3), and there is 1 more event.",
		},
		{
			in(alertOf(firing, "quorum", "web1", "api", ""), summary),
			"CRITICAL web1 group api: fewer than 7 of 8 are running", "group api on web1: fewer than 7 of 8 are running.",
		},
		{alertOf(firing, "quorum", "web1", "api", ""), "CRITICAL web1 group api alert quorum", "group api on web1: alert quorum."},
		{alertOf(firing, "down", "web1", "api", "api_00"), "CRITICAL web1 api:api_00 alert down", "api:api_00 on web1: alert down."},
		{alertOf(firing, "down", "", "api", ""), "CRITICAL group api alert down", "group api: alert down."},
		{alertOf(firing, "down", "", "", ""), "CRITICAL alert down", "alert down."},
		{
			alertOf(firing, "unexpected-exit", "web1", "", "", of(minutes[0], "web1", "api", "api_00"), of(minutes[1], "web1", "db", "db")),
			"CRITICAL web1 api:api_00, db exited unexpectedly (exit code 3)", "2 processes on web1 exited unexpectedly (exit code 3).",
		},
		{
			alertOf(firing, "unexpected-exit", "web1", "api", "", of(minutes[0], "web1", "api", "api_00"), of(minutes[2], "", "", "api_01"), of(minutes[2], "", "", "api_01")),
			"CRITICAL web1 api:api_00, api:api_01 crashed (3 events)",
			"2 processes of group api on web1 exited unexpectedly (3 events).",
		},
		{
			alertOf(firing, "unexpected-exit", "", "api", "", of(minutes[0], "web1", "api", "api_00"), of(minutes[0], "web2", "api", "api_00")),
			"CRITICAL api:api_00 +1 on 2 hosts crashed (exit 3)",
			"2 processes of group api on 2 hosts exited unexpectedly (exit code 3).",
		},
		{
			alertOf(firing, "fatal", "", "", "", of(schema.AlertEvent{Event: schema.ProcessStateFatal}, "web1", "api", "api_00")),
			"CRITICAL web1 api:api_00 is FATAL, gave up starting it", "api:api_00 on web1 is FATAL, gave up starting it.",
		},
	} {
		subject, first := words(batch(tc.n))
		if want := "[supervisor] " + tc.subject; subject != want || first != tc.first {
			t.Errorf("got  %s | %s\nwant %s | %s", subject, first, want, tc.first)
		}
	}
}
