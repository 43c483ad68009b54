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
	"supernats/consumer/notify/mail/summary"
)

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
		"one":  {batch: batch(late), want: []string{"\nLate: happened 3h ago, reported now because "}},
		"some": {batch: batch(late, storm(1)[0]), want: []string{"\nLate: 1 event happened 3h ago, reported now because ", " (3h ago), late\n"}},
		"two":  {batch: batch(late, late), want: []string{"\nLate: 2 events happened up to 3h ago, reported now because "}},
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
	_, summary, _ := strings.Cut(m.Text, "\nSummary:\n")
	summary, _, _ = strings.Cut(summary, "Firing: ")
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
					line := summary.Reason(ev)
					if len(n.Data.Events) == 1 {
						line = fmt.Sprintf("%s:%s on %s exited unexpectedly (%s)", n.Data.Group, n.Data.Process, n.Data.Host, line)
					}
					line = withAge(ev.Time.Time, happened.Add(time.Second)) + ": " + line
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
			_, logs, _ := strings.Cut(m.Text, "\nLast lines of ")
			logs, _, _ = strings.Cut(logs, "\nSummary:\n")
			if len(logs) == 0 || len(logs) > maxLogs {
				t.Errorf("logs of %d bytes", len(logs))
			}
		})
	}
}
