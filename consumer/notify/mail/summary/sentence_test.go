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
			n:       alertOf(update, "unexpected-exit", "web1", "", "crasher", minutes...),
			subject: "CRITICAL UPDATE web1 crasher crashed (SIGKILL) (and 2 more)",
			first:   "crasher on web1 exited unexpectedly 3 more times (the last time SIGKILL).",
		},
		{
			n:       in(alertOf(update, "unexpected-exit", "web1", "", "crasher", minutes[0]), func(a *schema.Notification) { a.Count = 17 }),
			subject: "CRITICAL UPDATE web1 crasher exited unexpectedly (exit code 3)",
			first:   "crasher on web1 exited unexpectedly once more (exit code 3), 17 times since the alert opened.",
		},
		{
			n:       alertOf(update, "fatal", "web1", "", "crasher", minutes[0], schema.AlertEvent{Event: schema.ProcessStateFatal}),
			subject: "CRITICAL UPDATE web1 crasher is FATAL (and 1 more)",
			first:   "crasher on web1 is FATAL, gave up starting it, and there is 1 more event.",
		},
		{
			n:       in(alertOf(update, "unexpected-exit", "web1", "", "crasher"), four),
			subject: "CRITICAL UPDATE web1 crasher crashed (still open for 4h, 4...",
			first:   "crasher on web1 exited unexpectedly (still open for 4h, 4 events).",
		},
		{
			n:       in(alertOf(update, "host-silent", "web1", "", ""), four),
			subject: "CRITICAL UPDATE web1 is silent (still open for 4h)", first: "web1 is silent (still open for 4h), last heard 2026-11-21 15:00:31 UTC.",
		},
		{
			n:       in(alertOf(resolved, "unexpected-exit", "web1", "", "crasher"), closed),
			subject: "RESOLVED web1 crasher has recovered: open for 4m30s, 17 events",
			first:   "crasher on web1 has recovered: open for 4m30s, 17 events.",
		},
		{
			n:       in(alertOf(resolved, "down", "web1", "api", ""), closed),
			subject: "RESOLVED web1 group api has recovered after 4m30s, 17 events...",
			first:   "group api on web1 has recovered: open for 4m30s, 17 events (rule down).",
		},
		{
			n:       in(in(alertOf(resolved, "down", "", "", ""), closed), nobody),
			subject: "RESOLVED alert down has recovered after 4m30s, 17 events (rule...",
			first:   "alert down has recovered: open for 4m30s, 17 events (rule down).",
		},
		{
			n:       in(alertOf(resolved, "host-silent", "web1", "", ""), closed),
			subject: "RESOLVED web1 is reporting again: open for 4m30s", first: "web1 is reporting again: open for 4m30s.",
		},
		{
			n:       in(alertOf(resolved, "loss", "web1", "", ""), closed),
			subject: "RESOLVED web1 no longer loses events: open for 4m30s, 17 events",
			first:   "web1 no longer loses events: open for 4m30s, 17 events.",
		},
		{
			n:       in(alertOf(resolved, "cron", "web1", "", "job", expected), closed),
			subject: "RESOLVED web1 job is quiet again: open for 4m30s, 17 events",
			first:   "job on web1 is quiet again: open for 4m30s, 17 events.",
		},
		{
			n:       alertOf(firing, "cron", "web1", "", "job", expected),
			subject: "CRITICAL web1 job exited as expected (exit code 0; rule cron)", first: "job on web1 exited as expected (exit code 0; rule cron).",
		},
		{
			n:       alertOf(update, "cron", "web1", "", "job", expected, expected),
			subject: "CRITICAL UPDATE web1 job exited as expected (exit 0... (1 more)",
			first:   "job on web1 exited as expected 2 more times (the last time exit code 0; rule cron).",
		},
		{
			n:       alertOf(firing, "any", "web1", "", "job", schema.AlertEvent{Event: schema.ProcessStateExited}),
			subject: "CRITICAL web1 job exited (rule any)", first: "job on web1 exited (rule any).",
		},
		{
			n:       alertOf(firing, "loss", "web1", "", "", lost, lost),
			subject: "CRITICAL web1 has lost at least 34 events (and 1 more)", first: "web1 has lost at least 34 events, and there is 1 more event.",
		},
		{
			n:       alertOf(firing, "my-loss", "web1", "", "", lost),
			subject: "CRITICAL web1 has lost at least 17 events", first: "web1 has lost at least 17 events.",
		},
		{
			n:       alertOf(firing, "unexpected-exit", "web1", "", "crasher", late),
			subject: "CRITICAL LATE web1 crasher exited unexpectedly (exit code 3)", first: "crasher on web1 exited unexpectedly (exit code 3).",
		},
		{
			n:       alertOf(firing, "unexpected-exit", "web1", "", "crasher", late, minutes[0]),
			subject: "CRITICAL web1 crasher exited unexpectedly (exit code 3) (1 more)",
			first:   "crasher on web1 exited unexpectedly (exit code 3), and there is 1 more event.",
		},
		{
			n:       in(alertOf(firing, "quorum", "web1", "api", ""), summary),
			subject: "CRITICAL web1 group api: fewer than 7 of 8 are running", first: "group api on web1: fewer than 7 of 8 are running.",
		},
		{n: alertOf(firing, "quorum", "web1", "api", ""), subject: "CRITICAL web1 group api alert quorum", first: "group api on web1: alert quorum."},
		{n: alertOf(firing, "down", "web1", "api", "api_00"), subject: "CRITICAL web1 api:api_00 alert down", first: "api:api_00 on web1: alert down."},
		{n: alertOf(firing, "down", "", "api", ""), subject: "CRITICAL group api alert down", first: "group api: alert down."},
		{n: alertOf(firing, "down", "", "", ""), subject: "CRITICAL alert down", first: "alert down."},
		{
			n:       alertOf(firing, "unexpected-exit", "web1", "", "", of(minutes[0], "web1", "api", "api_00"), of(minutes[1], "web1", "db", "db")),
			subject: "CRITICAL web1 api:api_00, db exited unexpectedly (exit code 3)", first: "2 processes on web1 exited unexpectedly (exit code 3).",
		},
		{
			n:       alertOf(firing, "unexpected-exit", "web1", "api", "", of(minutes[0], "web1", "api", "api_00"), of(minutes[2], "", "", "api_01"), of(minutes[2], "", "", "api_01")),
			subject: "CRITICAL web1 api:api_00, api:api_01 crashed (3 events)",
			first:   "2 processes of group api on web1 exited unexpectedly (3 events).",
		},
		{
			n:       alertOf(firing, "unexpected-exit", "", "api", "", of(minutes[0], "web1", "api", "api_00"), of(minutes[0], "web2", "api", "api_00")),
			subject: "CRITICAL api:api_00 +1 on 2 hosts crashed (exit 3)",
			first:   "2 processes of group api on 2 hosts exited unexpectedly (exit code 3).",
		},
		{
			n:       alertOf(firing, "fatal", "", "", "", of(schema.AlertEvent{Event: schema.ProcessStateFatal}, "web1", "api", "api_00")),
			subject: "CRITICAL web1 api:api_00 is FATAL, gave up starting it", first: "api:api_00 on web1 is FATAL, gave up starting it.",
		},
	} {
		subject, first := words(batch(tc.n))
		if want := "[supervisor] " + tc.subject; subject != want || first != tc.first {
			t.Errorf("got  %s | %s\nwant %s | %s", subject, first, want, tc.first)
		}
	}
}
