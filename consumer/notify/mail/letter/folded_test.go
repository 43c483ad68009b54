package letter

import (
	"strings"
	"testing"
	"time"

	"supernats/schema"
)

// A server that was away gets in one mail what happened meanwhile: each process is in it
// once, as it is by now, with all of its events.
func TestFold(t *testing.T) {
	at := func(typ, alert string, after time.Duration, change ...func(*schema.Notification)) *notification {
		n := firing(append([]func(*schema.Notification){func(a *schema.Notification) { a.Incident = alert }}, change...)...)
		n.Type, n.Time = typ, schema.Time{Time: happened.Add(after)}
		return n
	}
	over := func(a *schema.Notification) {
		a.Events, a.Closed, a.Ended, a.State = nil, &schema.Time{Time: happened.Add(time.Minute)}, schema.EndedRecovered, "RUNNING"
	}
	recurring := func(times int) func(*schema.Notification) {
		return func(a *schema.Notification) {
			a.Count = 1 + times
			a.Recurring = &schema.Recurring{Times: times, Since: schema.Time{Time: happened}, RunMS: 40_000}
		}
	}
	const fires, more, ends = schema.TypeAlertFiring, schema.TypeAlertUpdate, schema.TypeAlertResolved
	for name, c := range map[string]struct {
		batch   []*notification
		subject string
		not     string
	}{
		"over by now": {
			batch:   batch(at(fires, "1", 0), at(ends, "1", time.Minute, over)),
			subject: "[supervisor] RESOLVED web1 api:api_00 has recovered: open for 1m, 1 event", not: "exited unexpectedly",
		},
		"not over any more": {
			batch:   batch(at(fires, "1", 0), at(ends, "1", time.Minute, over), at(fires, "1", 2*time.Minute)),
			subject: "[supervisor] CRITICAL web1 api:api_00 crashed (exit 3) (and 1 more)", not: "recovered",
		},
		"another alert of the same": {
			batch:   batch(at(fires, "1", 0), at(ends, "1", time.Minute, over), at(fires, "2", 20*time.Minute)),
			subject: "[supervisor] CRITICAL web1 api:api_00 crashed (exit 3) (and 1 more)", not: "recovered",
		},
		"again and again": {
			batch:   batch(at(fires, "1", 0), at(more, "1", 5*time.Minute, recurring(7)), at(more, "1", 20*time.Minute, recurring(22))),
			subject: "[supervisor] CRITICAL web1 api:api_00 crashed 30x in 20m, runs 40s each", not: "recovered",
		},
		"one that was divided": {
			batch:   batch(at(more, "1", 5*time.Minute), at(more, "1", 5*time.Minute, recurring(2))),
			subject: "[supervisor] CRITICAL UPDATE web1 api:api_00 crashed 2x in 5m, runs 40s each", not: "recovered",
		},
		"soon after its end": {
			batch: batch(at(fires, "1", 8*time.Second, func(a *schema.Notification) {
				a.Recurring = &schema.Recurring{Times: 1, Since: schema.Time{Time: happened}, Reopened: 1}
			})),
			subject: "[supervisor] CRITICAL web1 api:api_00 crashed (exit 3), again after 8s", not: "its end",
		},
	} {
		t.Run(name, func(t *testing.T) {
			events := 0
			for _, n := range c.batch {
				events += len(n.Data.Events)
			}
			m := write(t, c.batch)
			if m.Subject != c.subject || strings.Contains(m.Text, c.not) {
				t.Errorf("got  %s\nwant %s\n%s", m.Subject, c.subject, m.Text)
			}
			if n := strings.Count(m.Text, "2026-11-21 19:00:31.833 UTC"); n < events {
				t.Errorf("%d of %d events are in\n%s", n, events, m.Text)
			}
			for _, n := range c.batch {
				if n.Type == ends && len(n.Data.Events) != 0 {
					t.Error("the batch was changed")
				}
			}
		})
	}
}
