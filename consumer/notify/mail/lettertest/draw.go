package lettertest

import (
	"strings"
	"time"

	"pgregory.net/rapid"

	"supernats/schema"
)

// pieces are what hostile names and logs are made of.
var pieces = []string{
	"a", "api_00", "-", " ", "  ", "\t", "\r\n", "\n", "\r", "\x00", "\x1b[31m", "\u2028", "\u202e", "\u00a0",
	"\xff", "进", "=?utf-8?q?=0D=0A?=",
	"<b>", "</ul>", "<li><i>2026-11-21 19:00:31.833 UTC</i> web1", "<br><i>2026-11-21 19:00:31.833 UTC</i>",
	"&amp;", "\"'", "\r\nBcc: x@y.z\r\n\r\n", ".\r\n", "{{.Subject}}",
	"2026-11-21 19:00:31.833 UTC",
	"   2026-11-21 19:00:31.833 UTC (3m ago): api on web1 exited unexpectedly",
	" * api on web1 has recovered", "   Note: x", "  Since  2026-11-21 19:00:31.833 UTC",
	"Firing: x (critical), 1 alert", "Last lines of stderr:", "To investigate:", "Details:",
	"\n\nSummary:\n\n", ": ", ", ",
}

// hostile draws a text that wants to be taken for something else.
func hostile() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 3).Draw(t, "plain") == 0 {
			return rapid.StringMatching(`[a-z]{0,8}`).Draw(t, "name")
		}
		s := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 5).Draw(t, "pieces"), "")
		if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
			s = strings.Repeat(s, 60)
		}
		return s
	})
}

// drawEvent draws an event in which everything may be hostile.
func drawEvent(t *rapid.T) schema.AlertEvent {
	ev := schema.AlertEvent{
		ID:    hostile().Draw(t, "id"),
		Time:  At(time.Duration(rapid.IntRange(-1e7, 1e7).Draw(t, "time")) * time.Millisecond),
		Event: rapid.OneOf(rapid.SampledFrom(schema.Names()), hostile()).Draw(t, "event"),
		Late:  rapid.Bool().Draw(t, "late"), PID: rapid.IntRange(0, 9).Draw(t, "pid"),
		Server: hostile().Draw(t, "server"), FromState: hostile().Draw(t, "from"),
	}
	if rapid.Bool().Draw(t, "of") {
		ev.Host, ev.Group = hostile().Draw(t, "host"), hostile().Draw(t, "group")
		ev.Process = hostile().Draw(t, "process")
	}
	if rapid.Bool().Draw(t, "known") {
		expected := rapid.Bool().Draw(t, "expected")
		ev.Expected = &expected
	}

	drawEnd(t, &ev)
	if rapid.Bool().Draw(t, "log") {
		ev.Log = &schema.Log{Stdout: hostile().Draw(t, "stdout"), Stderr: hostile().Draw(t, "stderr")}
	}
	return ev
}

// drawEnd draws why a process ended, and what was known of it.
func drawEnd(t *rapid.T, ev *schema.AlertEvent) {
	switch rapid.IntRange(0, 5).Draw(t, "exit") {
	case 0:
		ev.Exit = Code(rapid.IntRange(0, 255).Draw(t, "code"))
	case 1:
		ev.Exit = &schema.Exit{Signal: hostile().Draw(t, "signal"), Core: true}
	case 2:
		ev.Exit = &schema.Exit{SpawnErr: hostile().Draw(t, "spawnerr")}
	case 3:
		ev.Lost = uint64(rapid.IntRange(1, 1000).Draw(t, "lost"))
	case 4:
		oom := &schema.OOM{
			Cgroup: hostile().Draw(t, "cgroup"),
			Limit:  rapid.Uint64().Draw(t, "limit"), Peak: rapid.Uint64().Draw(t, "peak"),
		}
		ev.Exit = &schema.Exit{Signal: hostile().Draw(t, "signal"), Source: hostile().Draw(t, "source"), OOM: oom}
	}

	ev.Ran = rapid.Ptr(rapid.Float64(), true).Draw(t, "ran")
	if rapid.Bool().Draw(t, "looked") {
		ev.Last = &schema.Look{
			Time: At(0), RSS: rapid.Uint64().Draw(t, "rss"), PeakRSS: rapid.Uint64().Draw(t, "peak rss"),
			CPU: rapid.Float64().Draw(t, "cpu"), Threads: rapid.Int().Draw(t, "threads"),
			Descriptors: rapid.Int().Draw(t, "fds"), Age: rapid.Float64().Draw(t, "age"),
		}
	}
}

// DrawNotification draws a notification in which everything may be hostile.
func DrawNotification(t *rapid.T) *Notification {
	// or draws one of the usual values, or a hostile one.
	or := func(label string, usual ...string) string {
		return rapid.OneOf(rapid.SampledFrom(usual), hostile()).Draw(t, label)
	}
	a := schema.Notification{
		Incident: or("alert", "one", "two"),
		Rule:     or("rule", "unexpected-exit", "fatal", "host-silent", "loss"),
		Severity: or("severity", "critical", "warning", ""),
		Host:     hostile().Draw(t, "host"), Group: hostile().Draw(t, "group"), Process: hostile().Draw(t, "process"),
		State:  or("state", "", schema.StateRunning),
		Count:  rapid.IntRange(0, 20).Draw(t, "count"),
		Events: rapid.SliceOfN(rapid.Custom(drawEvent), 0, 5).Draw(t, "events"),
		Labels: map[string]string{"team": hostile().Draw(t, "team"), "address": hostile().Draw(t, "address")},
		Annotations: map[string]string{
			"summary": hostile().Draw(t, "summary"), "description": hostile().Draw(t, "description"),
			"reason": or("reason", ""),
		},
	}
	if rapid.Bool().Draw(t, "opened") {
		a.Opened = At(0)
	}
	if rapid.Bool().Draw(t, "crashed") {
		since := At(0)
		a.StateSince = &since
		a.Crashes = &schema.RecentCrashes{
			LastHour: rapid.IntRange(-1, 3).Draw(t, "hour"), LastDay: rapid.IntRange(-1, 3).Draw(t, "day"),
			Since: rapid.Ptr(rapid.Just(since), true).Draw(t, "since"),
		}
	}

	typ := rapid.SampledFrom([]string{
		schema.TypeAlertFiring, schema.TypeAlertUpdate, schema.TypeAlertResolved,
	}).Draw(t, "type")
	n := a.Envelope(hostile().Draw(t, "id"), typ, Happened)
	if n.Type == schema.TypeAlertResolved {
		closed := At(time.Minute)
		n.Data.Closed = &closed
	}
	return n
}
