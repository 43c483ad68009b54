package letter

import (
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"supernats/consumer/notify/mail/letter/custom"
	"supernats/consumer/notify/mail/lettertest"
	"supernats/consumer/notify/mail/summary"
	"supernats/schema"
)

// wanted are the events that the lists of a mail must have.
func wanted(batch []*notification) map[string]int {
	mail, lines := happened.Add(time.Second), map[string]int{}
	r := newReport(batch)
	for k, n := range r.clean {
		a := n.Data
		if len(r.clean) == 1 && (len(a.Events) == 0 || len(a.Events) == 1 && n.Type == schema.TypeAlertFiring) {
			// Its one event stands in the rows.
			continue
		}
		view := newAlert(r, k, mail)
		// An alert of which one event says all is a card of its own.
		card := len(r.clean) > 1 && len(a.Events) == 1 && n.Type == schema.TypeAlertFiring && summary.More(n) == 0 && view.authorNote() == ""
		for i := range a.Events {
			ev := &view.Events[i]
			line := ev.shortText(a, &a.Events[i])
			if card {
				line = ev.fullText(a, &a.Events[i])
			}
			if card || view.Host == "" || view.Process == "" {
				line = spaced(ev.owner(), line)
			}
			lines[ev.timeText(mail)+": "+line]++
		}
	}
	return lines
}

// TestProperty: whatever is in a batch, every event is in both bodies once, and nothing
// else looks like one.
func TestProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		batch := rapid.SliceOfN(rapid.Custom(lettertest.DrawNotification), 1, 6).Draw(t, "batch")
		l, err := NewWriter(&custom.Templates{}, linked, time.UTC).Write(batch, happened.Add(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		harmless(t, batch, l)

		want := wanted(batch)
		text, page := eventsOf(l)
		if !maps.Equal(text, want) {
			t.Errorf("text has %v, want %v in\n%s", text, want, l.Text)
		}
		if !maps.Equal(page, want) {
			t.Errorf("page has %v, want %v in\n%s", page, want, l.HTML)
		}
	})
}
