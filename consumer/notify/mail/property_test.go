package mail

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"supernats/consumer/notify/mail/smtptest"
	"supernats/schema"
)

// pieces are what hostile names and logs are made of.
var pieces = []string{
	"a", "api_00", "-", " ", "  ", "\t", "\r\n", "\n", "\r", "\x00", "\x1b[31m", "\u2028", "\u202e", "\u00a0", "\xff", "进", "=?utf-8?q?=0D=0A?=",
	"<b>", "</ul>", "<li><i>2026-11-21 19:00:31.833 UTC</i> web1", "<br><i>2026-11-21 19:00:31.833 UTC</i>", "&amp;", "\"'", "\r\nBcc: x@y.z\r\n\r\n", ".\r\n", "{{.Subject}}",
	"2026-11-21 19:00:31.833 UTC", "   2026-11-21 19:00:31.833 UTC (3m ago): api on web1 exited unexpectedly", " * api on web1 has recovered", "   Note: x",
	"Firing: x (critical), 1 alert", "Last lines of stderr:", "To investigate:", "\n\nSummary:\n\n", ": ", ", ",
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

func drawEvent(t *rapid.T) schema.AlertEvent {
	ev := schema.AlertEvent{
		ID: hostile().Draw(t, "id"), Time: at(time.Duration(rapid.IntRange(-1e7, 1e7).Draw(t, "time")) * time.Millisecond),
		Event: rapid.OneOf(rapid.SampledFrom(schema.Names()), hostile()).Draw(t, "event"),
		Late:  rapid.Bool().Draw(t, "late"), PID: rapid.IntRange(0, 9).Draw(t, "pid"),
		Server: hostile().Draw(t, "server"), FromState: hostile().Draw(t, "from"),
	}
	if rapid.Bool().Draw(t, "of") {
		ev.Host, ev.Group, ev.Process = hostile().Draw(t, "host"), hostile().Draw(t, "group"), hostile().Draw(t, "process")
	}
	if rapid.Bool().Draw(t, "known") {
		expected := rapid.Bool().Draw(t, "expected")
		ev.Expected = &expected
	}
	switch rapid.IntRange(0, 5).Draw(t, "exit") {
	case 0:
		ev.Exit = code(rapid.IntRange(0, 255).Draw(t, "code"))
	case 1:
		ev.Exit = &schema.Exit{Signal: hostile().Draw(t, "signal"), Core: true}
	case 2:
		ev.Exit = &schema.Exit{SpawnErr: hostile().Draw(t, "spawnerr")}
	case 3:
		ev.Lost = uint64(rapid.IntRange(1, 1000).Draw(t, "lost"))
	case 4:
		ev.Exit = &schema.Exit{Signal: hostile().Draw(t, "signal"), Source: hostile().Draw(t, "source"), OOM: &schema.OOM{
			Cgroup: hostile().Draw(t, "cgroup"), Limit: rapid.Uint64().Draw(t, "limit"), Peak: rapid.Uint64().Draw(t, "peak"),
		}}
	}
	ev.Ran = rapid.Ptr(rapid.Float64(), true).Draw(t, "ran")
	if rapid.Bool().Draw(t, "looked") {
		ev.Last = &schema.Look{
			Time: at(0), RSS: rapid.Uint64().Draw(t, "rss"), PeakRSS: rapid.Uint64().Draw(t, "peak rss"), CPU: rapid.Float64().Draw(t, "cpu"),
			Threads: rapid.Int().Draw(t, "threads"), Descriptors: rapid.Int().Draw(t, "fds"), Age: rapid.Float64().Draw(t, "age"),
		}
	}
	if rapid.Bool().Draw(t, "log") {
		ev.Log = &schema.Log{Stdout: hostile().Draw(t, "stdout"), Stderr: hostile().Draw(t, "stderr")}
	}
	return ev
}

func drawNotification(t *rapid.T) *notification {
	a := schema.Notification{
		Incident: rapid.OneOf(rapid.SampledFrom([]string{"one", "two"}), hostile()).Draw(t, "alert"),
		Rule:     rapid.OneOf(rapid.SampledFrom([]string{"unexpected-exit", "fatal", "host-silent", "loss"}), hostile()).Draw(t, "rule"),
		Severity: rapid.OneOf(rapid.SampledFrom([]string{"critical", "warning", ""}), hostile()).Draw(t, "severity"),
		Host:     hostile().Draw(t, "host"), Group: hostile().Draw(t, "group"), Process: hostile().Draw(t, "process"),
		Count:       rapid.IntRange(0, 20).Draw(t, "count"),
		Events:      rapid.SliceOfN(rapid.Custom(drawEvent), 0, 5).Draw(t, "events"),
		Labels:      map[string]string{"team": hostile().Draw(t, "team"), "address": hostile().Draw(t, "address")},
		Annotations: map[string]string{"summary": hostile().Draw(t, "summary"), "description": hostile().Draw(t, "description")},
	}
	if rapid.Bool().Draw(t, "opened") {
		a.Opened = at(0)
	}
	n := a.Envelope(hostile().Draw(t, "id"), rapid.SampledFrom([]string{
		schema.TypeAlertFiring, schema.TypeAlertUpdate, schema.TypeAlertResolved,
	}).Draw(t, "type"), happened)
	if n.Type == schema.TypeAlertResolved {
		closed := at(time.Minute)
		n.Data.Closed = &closed
	}
	return n
}

// wanted are the events that the lists of a mail must have.
func wanted(batch []*notification) map[string]int {
	mail, lines := happened.Add(time.Second), map[string]int{}
	for _, n := range batch {
		a := n.Data
		if len(batch) == 1 && (len(a.Events) == 0 || len(a.Events) == 1 && n.Type == schema.TypeAlertFiring) {
			// Its one event stands in the rows.
			continue
		}
		view := newAlert(n, mail)
		// An alert of which one event says all is a card of its own.
		card := len(batch) > 1 && len(a.Events) == 1 && n.Type == schema.TypeAlertFiring && more(n) == 0 && view.note() == ""
		for i := range a.Events {
			ev := &view.Events[i]
			line := ev.why(a, &a.Events[i])
			if card {
				line = ev.what(a, &a.Events[i])
			}
			if card || view.Host == "" || view.Process == "" {
				line = spaced(ev.who(), line)
			}
			lines[ev.when(mail)+": "+line]++
		}
	}
	return lines
}

// TestProperty: whatever is in a batch, every event is in both bodies once, and
// nothing else looks like one or begins a header.
func TestProperty(t *testing.T) {
	s := serve(t, smtptest.Options{})
	r := receiver(t, config(t, s, TLSNone))
	always := sortedFields(deliverAll(t, storm(2)).Header)
	sometimes := []string{"References", headerAlert, headerProcess, headerRule, headerSeverity, headerHost, headerCount, headerEvents}
	rapid.Check(t, func(t *rapid.T) {
		batch := rapid.SliceOfN(rapid.Custom(drawNotification), 1, 6).Draw(t, "batch")
		if err := r.Notify(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		mails := s.Mails()
		m := mails[len(mails)-1]
		if m.Err != nil {
			t.Fatalf("%v in:\n%s", m.Err, m.Data)
		}
		fields := sortedFields(m.Header)
		harmless(t, batch, m, fields)
		for i, f := range fields {
			if i > 0 && fields[i-1] == f || !slices.Contains(always, f) && !slices.Contains(sometimes, f) {
				t.Errorf("header field %q in %q", f, fields)
			}
		}
		for _, f := range always {
			if !slices.Contains(fields, f) && !slices.Contains(sometimes, f) {
				t.Errorf("no header field %q in %q", f, fields)
			}
		}
		want := wanted(batch)
		text, page := eventsOf(m)
		if !maps.Equal(text, want) {
			t.Errorf("text has %v, want %v in\n%s", text, want, m.Text)
		}
		if !maps.Equal(page, want) {
			t.Errorf("page has %v, want %v in\n%s", page, want, m.HTML)
		}
	})
}
