package letter

import (
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"supernats/consumer/notify/mail/lettertest"

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
			"RESOLVED web1 loses no more events: open for 4m30s, 17 events",
			"web1 loses no more events: open for 4m30s, 17 events.",
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

// TestDigestWords are the subjects of mails about several notifications.
func TestDigestWords(t *testing.T) {
	silent := func(host string) *notification {
		a := alertOf(schema.TypeAlertFiring, "quiet", host, "", "")
		a.Data.Kind = schema.KindSilent
		return a
	}
	heard := func(host string) *notification {
		return alertOf(schema.TypeAlertResolved, "host-silent", host, "", "")
	}
	down := func(rule, group, process string) *notification {
		return alertOf(schema.TypeAlertFiring, rule, "web1", group, process)
	}
	warning := func(n *notification) *notification { n.Data.Severity = "warning"; return n }
	again := note(schema.TypeAlertUpdate, 2, schema.Notification{
		Rule: "unexpected-exit", Host: "web1", Group: "worker", Process: "worker_000", Count: 3,
		Events: []schema.AlertEvent{exit(time.Minute, code(3)), exit(2*time.Minute, code(4))},
	})
	lateStorm := storm(3)
	for _, n := range lateStorm {
		n.Data.Events[0].Late = true
	}
	for _, tc := range []struct {
		batch []*notification
		want  string
	}{
		{
			append(storm(200), recovered("web1", "api", "api_00", time.Minute, 1), recovered("web1", "api", "api_01", time.Minute, 1)),
			"CRITICAL worker_000, worker_001, worker_002 +197 crashed",
		},
		{storm(2), "CRITICAL worker:worker_000, worker:worker_001 exited unexpectedly"},
		{storm(1), "CRITICAL web1 worker:worker_000 exited unexpectedly (exit code 1)"},
		{batch(storm(1)[0], again), "CRITICAL worker:worker_000 on web1 crashed (exit 4) (3 events)"},
		{
			append(storm(2), recovered("web1", "worker", "worker_000", 270*time.Second, 1)),
			"CRITICAL worker:worker_001 on web2 crashed (exit 2) (1 resolved)",
		},
		{
			batch(storm(1)[0], recovered("web1", "worker", "worker_000", 270*time.Second, 1)),
			"RESOLVED worker:worker_000 on web1 has recovered after 4m30s...",
		},
		{
			batch(recovered("web1", "a", "a", time.Second, 1), recovered("web2", "b", "b", time.Second, 1), heard("web3")),
			"RESOLVED a, b have recovered on 2 hosts and 1 other alert",
		},
		{
			batch(alertOf(schema.TypeAlertResolved, "quorum", "web1", "api", ""), alertOf(schema.TypeAlertResolved, "quorum", "web1", "db", "")),
			"RESOLVED 2 alerts on web1 are over",
		},
		{batch(silent("web1"), silent("web2")), "CRITICAL 2 hosts are silent"},
		{append(storm(3), silent("web9")), "CRITICAL worker_000, worker_001, worker_002 crashed, +1 alert"},
		// The worst comes first, even if there is more of another.
		{
			batch(warning(storm(3)[0]), warning(storm(3)[1]), warning(storm(3)[2]), silent("web9")),
			"CRITICAL web9 is silent and 3 other alerts",
		},
		{
			append(storm(2), silent("web9"), warning(down("disk", "", "")), warning(down("quorum", "api", ""))),
			"CRITICAL worker:worker_000, worker:worker_001 crashed, +3 alerts",
		},
		{batch(down("quorum", "api", ""), down("quorum", "db", "")), "CRITICAL 2 alerts of rule quorum on web1"},
		{batch(down("unexpected-exit", "api", ""), down("unexpected-exit", "db", "")), "CRITICAL 2 alerts on web1: exited unexpectedly"},
		{lateStorm, "CRITICAL LATE worker_000, worker_001, worker_002 crashed"},
		{append(storm(5)[3:], lateStorm[0]), "CRITICAL worker_003, worker_004, worker_000 exited unexpectedly"},
	} {
		if got, _ := words(tc.batch); got != "[supervisor] "+tc.want {
			t.Errorf("got  %s\nwant [supervisor] %s", got, tc.want)
		}
	}
}

var (
	// An event of a text is a card, or a line of one, and no other line looks so.
	textCard  = regexp.MustCompile(`(?m)^ \* (.*)\n   (` + aTime + `)$`)
	textEvent = regexp.MustCompile(`(?m)^   (` + aTime + `): (.*)$`)
	htmlCard  = regexp.MustCompile(`(?m)^<li>(.*)<br><i>(` + aTime + `)</i>$`)
	htmlEvent = regexp.MustCompile(`(?m)^(?:<li>|<br>)<i>(` + aTime + `)</i> (.*)$`)
)

const aTime = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [A-Z]+(?: \((?:just now|[^()]* ago)\))?(?:, late)?`

// eventsOf are the events of both bodies, each as "when: who what", and how often.
func eventsOf(m Letter) (text, page map[string]int) {
	text, page = map[string]int{}, map[string]int{}
	for _, l := range textCard.FindAllStringSubmatch(m.Text, -1) {
		text[l[2]+": "+l[1]]++
	}
	for _, l := range textEvent.FindAllStringSubmatch(m.Text, -1) {
		text[l[1]+": "+l[2]]++
	}
	plain := strings.NewReplacer("<b>", "", "</b>", "")
	for _, l := range htmlCard.FindAllStringSubmatch(m.HTML, -1) {
		page[l[2]+": "+html.UnescapeString(plain.Replace(l[1]))]++
	}
	for _, l := range htmlEvent.FindAllStringSubmatch(m.HTML, -1) {
		page[l[1]+": "+html.UnescapeString(l[2])]++
	}
	return text, page
}

// TestLate: a person sees which events are old and why they hear of them now.
func TestLate(t *testing.T) {
	late := crash("web1", "", "importer", -3*time.Hour, code(3))
	late.Data.Events[0].Late = true
	for name, tc := range map[string]struct {
		batch []*notification
		want  []string
	}{
		"one":  {batch(late), []string{"\nLate: happened 3h ago, told now because "}},
		"some": {batch(late, storm(1)[0]), []string{"\nLate: 1 event happened 3h ago, told now because ", " (3h ago), late\n"}},
		"two":  {batch(late, late), []string{"\nLate: 2 events happened up to 3h ago, told now because "}},
	} {
		t.Run(name, func(t *testing.T) {
			m := write(t, tc.batch)
			mustContain(t, m.Text, tc.want...)
			mustContain(t, m.HTML, strings.TrimSpace(tc.want[0]))
		})
	}
	if m := write(t, batch(storm(1)[0])); strings.Contains(m.Text, "Late") || strings.Contains(m.Subject, "LATE") {
		t.Errorf("fresh news is called late:\n%s", m.Text)
	}
}

// TestUnlisted: a notification that holds fewer events than it is about says so.
func TestUnlisted(t *testing.T) {
	n := storm(1)[0]
	n.Data.Count = 700
	mustContain(t, write(t, batch(n, storm(2)[1])).Text, "and there are 699 more events\n", "   Note: 699 more events are not listed\n")
}

// TestManyHosts: the summary stays one for a person to read.
func TestManyHosts(t *testing.T) {
	list := storm(500)
	for i, n := range list {
		n.Data.Host = fmt.Sprintf("web%d", i)
	}
	m := write(t, list)
	summary, _, _ := strings.Cut(m.Text, "Firing: ")
	if n := strings.Count(summary, "\n"); n > maxSummary+15 {
		t.Errorf("summary of %d lines", n)
	}
	mustContain(t, summary, "  481 firing, 481 events: 481 more rules and hosts\n")
	// Nor does the header list five hundred.
	if i := slices.IndexFunc(m.Fields, func(f Field) bool { return f.Name == "X-Supernats-Host" }); i >= 0 {
		t.Errorf("field %q", m.Fields[i])
	}
}

// TestEveryEvent: all of them are in the letter, in both bodies.
func TestEveryEvent(t *testing.T) {
	for name, batch := range lettertest.Big() {
		t.Run(name, func(t *testing.T) {
			m := write(t, batch)
			text, page := eventsOf(m)
			events := 0
			for _, n := range batch {
				for i := range n.Data.Events {
					ev := &n.Data.Events[i]
					events++
					line := reason(ev)
					if len(n.Data.Events) == 1 {
						line = fmt.Sprintf("%s:%s on %s exited unexpectedly (%s)", n.Data.Group, n.Data.Process, n.Data.Host, line)
					}
					line = when(ev.Time.Time, happened.Add(time.Second)) + ": " + line
					if text[line] != 1 || page[line] != 1 {
						t.Fatalf("%d in the text and %d in the page: %s\n%s", text[line], page[line], line, m.Text[:min(len(m.Text), 2000)])
					}
				}
			}
			if len(text) != events || len(page) != events {
				t.Errorf("%d and %d lines for %d events", len(text), len(page), events)
			}
			want := maxLogAlerts
			if name == "100 logs" {
				want = 1 // they are the same
			}
			if n := strings.Count(m.Text, "Last lines of stderr of "); n != want {
				t.Errorf("%d logs, want %d", n, want)
			}
			_, tail, _ := strings.Cut(m.Text, "Last lines of ")
			if len(tail) > maxLogs {
				t.Errorf("logs of %d bytes", len(tail))
			}
		})
	}
}
