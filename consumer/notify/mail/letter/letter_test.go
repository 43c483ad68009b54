package letter

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // machines without a zone database

	"supernats/schema"
)

// What many processes wrote alike is shown once, with whose it is.
func TestSameLogIsShownOnce(t *testing.T) {
	same, other := "could not connect to database\n", "out of memory\n"
	list := storm(13)
	for i, n := range list {
		n.Data.Events[0].Log = &schema.Log{Stderr: same}
		if i == 12 {
			n.Data.Events[0].Log = &schema.Log{Stderr: other, Stdout: same}
		}
	}
	m := write(t, list)
	for _, body := range []string{m.Text, m.HTML} {
		if n := strings.Count(body, strings.TrimSpace(same)); n != 2 { // on stderr, and on stdout
			t.Errorf("%d times in\n%s", n, body)
		}
		mustContain(t, body, "Last lines of stderr of worker:worker_000 on web1, worker:worker_001 on web2, worker:worker_002 on web3 and 9 others:",
			"Last lines of stderr of worker:worker_012 on web1:", "Last lines of stdout of worker:worker_012 on web1:")
	}

	// As many different ones are shown as before.
	list = storm(40)
	for i, n := range list {
		n.Data.Events[0].Log = &schema.Log{Stderr: fmt.Sprintf("text %d\n", i%20)}
	}
	if n := strings.Count(write(t, list).Text, "Last lines of "); n != maxLogAlerts {
		t.Errorf("%d logs, want %d", n, maxLogAlerts)
	}
}

// The times of a mail are those of its reader.
func TestLocation(t *testing.T) {
	old := crash("web1", "api", "api_00", -3*time.Minute, code(3))
	send := func(location string, batch []*notification) Letter {
		return writeBy(t, batch, func(c *keys) { c.Location = location })
	}
	m := send("Europe/Vienna", batch(old))
	mustContain(t, m.Text, "  Time         2026-11-21 19:57:31.833 CET (3m ago)\n")
	mustContain(t, m.HTML, "2026-11-21 19:57:31.833 CET (3m ago)")
	mustContain(t, send("Europe/Vienna", append(storm(1), old)).Text, "   2026-11-21 19:57:31.833 CET (3m ago)\n", "   2026-11-21 20:00:31.833 CET")
	mustContain(t, send("America/Sao_Paulo", batch(old)).Text, "2026-11-21 15:57:31.833 -03 (3m ago)")
	mustContain(t, send("", batch(old)).Text, "2026-11-21 18:57:31.833 UTC (3m ago)")

	m = writeBy(t, batch(old), func(c *keys) {
		c.Location = "Asia/Tokyo"
		c.Subject = `at {{range .Alerts}}{{range .Events}}{{date "15:04" .At}} {{.Time}}{{end}}{{end}}`
	})
	if got, want := m.Subject, "at 03:57 2026-11-22 03:57:31.833 JST"; got != want {
		t.Errorf("template wrote %q, want %q", got, want)
	}
}

// The worst comes first, whatever came first; what is over comes last.
func TestWorstFirst(t *testing.T) {
	small := alertOf(schema.TypeAlertFiring, "disk", "web1", "", "")
	small.Data.Severity = "warning"
	update := alertOf(schema.TypeAlertUpdate, "unexpected-exit", "web2", "a", "a", exit(time.Minute, code(3)))
	m := write(t, batch(recovered("web3", "b", "b", time.Minute, 1), small, update))
	last := -1
	for _, title := range []string{"\nUpdate: unexpected-exit (critical), 1 alert\n", "\nFiring: disk (warning), 1 alert\n", "\nResolved: unexpected-exit (critical), 1 alert\n"} {
		at := strings.Index(m.Text, title)
		if at <= last {
			t.Errorf("%q is at %d, after %d, in\n%s", title, at, last, m.Text)
		}
		last = at
	}
}

// No line of a text but the log's and the command's has to be broken far after where
// programs break lines, with names of usual length.
func TestTextIsNarrow(t *testing.T) {
	for line := range strings.SplitSeq(write(t, storm(30)).Text, "\n") {
		if len(line) > 90 && !strings.HasPrefix(line, "    ") && !strings.HasPrefix(line, "Last lines") {
			t.Errorf("line of %d: %s", len(line), line)
		}
	}
}
