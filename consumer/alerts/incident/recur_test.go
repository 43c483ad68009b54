package incident

import (
	"testing"
	"time"

	"supernats/consumer/alerts/journal"
	"supernats/consumer/alerts/member"
	"supernats/consumer/rules"
	"supernats/schema"
)

var t0 = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)

const minute, hour = time.Minute, time.Hour

// firing returns an incident of a rule with the default times.
func firing() *Incident {
	r := &rules.Rule{
		Name: "exit", Kind: schema.KindEvent, GroupInterval: 5 * minute, RepeatInterval: 4 * hour,
		ResolveAfter: 30 * time.Second, SendResolved: true,
	}
	return &Incident{rule: r, rec: schema.Alert{Phase: schema.PhaseFiring}}
}

// A match soon after the end continues the alert, and the next end must hold for longer.
func TestContinuePrior(t *testing.T) {
	for _, c := range []struct {
		name      string
		kind      string
		after     time.Duration // the end of the alert before
		prior     schema.PriorAlert
		continues bool
		hold      time.Duration
		earlier   int
	}{
		{name: "soon after", after: minute, continues: true, hold: 5 * minute},
		{name: "a little later", after: 4 * minute, continues: true, hold: 9 * minute},
		{name: "too late, and remembered", after: 6 * minute, earlier: 1},
		{name: "much too late", after: 61 * minute},
		{
			name: "not the first time", after: 40 * minute, prior: schema.PriorAlert{Earlier: 1},
			continues: true, hold: hour, earlier: 1,
		},
		{
			name: "it never becomes shorter", after: minute, continues: true, hold: 20 * minute,
			prior: schema.PriorAlert{Reopened: 3, Hold: schema.Duration(9 * minute)},
		},
		{name: "a silent host", kind: schema.KindSilent, after: minute, earlier: 1},
		{
			name: "a host that is silent again and again", kind: schema.KindSilent, after: minute,
			prior: schema.PriorAlert{Earlier: 1}, continues: true, hold: 5 * minute, earlier: 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			inc := firing()
			if c.kind != "" {
				inc.rule.Kind = c.kind
			}
			prior := c.prior
			prior.Incident, prior.Count, prior.Notifications = "exit/1", 7, 2
			prior.Opened, prior.Closed = schema.Time{Time: t0.Add(-hour)}, schema.Time{Time: t0}
			inc.rec.Incident, inc.rec.Count, inc.rec.Prior = "exit/2", 1, &prior

			inc.continuePrior(t0.Add(c.after))

			rec := &inc.rec
			if continues := rec.Incident == "exit/1"; continues != c.continues || rec.Prior != nil {
				t.Fatalf("continues: %t, %+v", continues, rec)
			}
			if time.Duration(rec.Hold) != c.hold || rec.Earlier != c.earlier || rec.Again != c.continues {
				t.Errorf("hold %v, earlier %d, again %t", rec.Hold, rec.Earlier, rec.Again)
			}
			if c.continues && (rec.Count != 8 || rec.Reported != 7 || rec.Reopened != c.prior.Reopened+1) {
				t.Errorf("count %d, reported %d, reopened %d", rec.Count, rec.Reported, rec.Reopened)
			}
		})
	}
}

func TestNextTimer(t *testing.T) {
	at := func(d time.Duration) time.Time { return t0.Add(d) }
	closed := &schema.Time{Time: t0}
	for _, c := range []struct {
		name string
		edit func(*Incident)
		want time.Time
	}{
		{name: "nothing is due", edit: func(inc *Incident) { inc.members.Add(inc, newProcess("a")) }},
		{
			name: "a notification", want: at(minute),
			edit: func(inc *Incident) { inc.members.Add(inc, newProcess("a")); inc.due = at(minute) },
		},
		{
			name: "one that is held back", want: at(2 * minute),
			edit: func(inc *Incident) {
				inc.members.Add(inc, newProcess("a"))
				inc.due, inc.held, inc.retry = at(minute), true, at(2*minute)
			},
		},
		{
			name: "its end", want: at(30 * time.Second),
			edit: func(inc *Incident) { inc.members.Add(inc, newProcess("a")).SetWell(t0); inc.due = at(minute) },
		},
		{
			name: "the end of what reopened", want: at(9 * minute),
			edit: func(inc *Incident) {
				inc.members.Add(inc, newProcess("a")).SetWell(t0)
				inc.rec.Hold = schema.Duration(9 * minute)
			},
		},
		{
			name: "not before now", want: at(-minute),
			edit: func(inc *Incident) { inc.members.Add(inc, newProcess("a")); inc.due = at(-hour) },
		},
		{
			name: "it is forgotten", want: at(hour),
			edit: func(inc *Incident) { inc.rec.Phase, inc.rec.Closed, inc.rec.Count = schema.PhaseResolved, closed, 1 },
		},
		{
			name: "nothing to be seen is forgotten at once", want: t0,
			edit: func(inc *Incident) { inc.rec.Phase, inc.rec.Closed = schema.PhaseResolved, closed },
		},
		{
			name: "its end is not stored",
			edit: func(inc *Incident) {
				inc.rec.Phase, inc.rec.Closed = schema.PhaseResolved, closed
				new(journal.Journal[*Incident]).AwaitStored(inc)
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			inc := firing()
			c.edit(inc)
			if got := inc.nextTimer(at(-minute)); !got.Equal(c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func newProcess(name string) *member.Process {
	return &member.Process{Name: member.Name{Host: "web1", Group: "api", Process: name}}
}
