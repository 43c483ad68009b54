package incident

import (
	"slices"
	"time"

	"supernats/consumer/alerts/member"
	"supernats/schema"
)

// A process that crashes, runs for a while and crashes again is one alert and not many: a
// match soon after the end of an alert opens that one again.
//
//	firing ──well for hold──▶ resolved ──match within window──▶ firing again
//
// window is group_interval at first, and recent times that for a process whose alerts
// followed each other before. hold is resolve_after at first. Each time that an end did
// not last, it becomes twice as long as the process held: group_interval at least, recent
// times that at most. So the end of a flapping process is reported when it has really
// held, and the ends that did not are few: each is twice as far from the one before.
//
// How often an open alert is reported is bounded too. Once a process has been reported,
// its further matches wait for the first time group_interval, then calm times that, then
// seldom times that, repeat_interval at most. With the default settings (5 m, 15 m, 4 h) a
// program that crashes every 40 s for a day makes ten notifications. If it stops matching,
// what waits is reported sooner: after group_interval, which doubles with each time. A
// process that joins an alert of several begins with group_interval again.
const (
	recent = 12
	calm   = 3
	seldom = 48
	// maxFlapping is how many events of one process wait to be listed. What is between the
	// first and the last of them is only counted.
	maxFlapping = 4 * maxListed
)

// priorOf is what a new alert must know of the closed one before it. It is nil where nobody
// was notified of that one, or where what it was about is gone: what has its name later was
// configured since, and does not flap.
func priorOf(rec *schema.Alert) *schema.PriorAlert {
	gone := rec.EndedBy == schema.EndedForgotten || rec.EndedBy == schema.EndedRemoved
	if gone || rec.Phase != schema.PhaseResolved || rec.Notifications == 0 || rec.Closed == nil {
		return nil
	}
	return &schema.PriorAlert{
		Incident: rec.Incident, Opened: rec.Opened, Closed: *rec.Closed, Count: rec.Count, Labels: rec.Labels,
		Notified: rec.Notified, Notifications: rec.Notifications, Updates: rec.Updates,
		Reopened: rec.Reopened, Earlier: rec.Earlier, Hold: rec.Hold,
	}
}

// continuePrior continues the alert that closed a moment ago in place of the one that has
// just opened.
func (inc *Incident) continuePrior(at time.Time) {
	rec := &inc.rec
	p := rec.Prior
	rec.Prior = nil
	if p == nil {
		return
	}

	gap := at.Sub(p.Closed.Time)
	interval := inc.rule.GroupInterval
	if gap > windowOf(inc, p) {
		if gap <= recent*interval {
			rec.Earlier = p.Earlier + 1
		}
		return
	}
	inc.adoptPrior(p)
	if inc.onlyLate() { // what is over stays over: its end is reported once more, with what came late
		rec.WellSince = &p.Closed
		inc.due = time.Time{}
		return
	}

	rec.Reopened++
	held := gap + max(inc.rule.ResolveAfter, time.Duration(p.Hold))
	rec.Hold = schema.Duration(min(max(interval, 2*held, time.Duration(p.Hold)), recent*interval))
	if inc.rule.SendResolved {
		rec.Again = true // whoever was notified of the end learns at once that it did not last
	} else {
		inc.due = time.Time{}
	}
}

// windowOf is how long after its end a match continues an alert.
func windowOf(inc *Incident, p *schema.PriorAlert) time.Duration {
	if p.Earlier+p.Reopened > 0 {
		return recent * inc.rule.GroupInterval
	}
	if inc.rule.Kind == schema.KindSilent {
		return 0 // its alert is about when the host was heard the last time
	}
	return inc.rule.GroupInterval
}

// adoptPrior takes over what the alert before had counted and reported.
func (inc *Incident) adoptPrior(p *schema.PriorAlert) {
	rec := &inc.rec
	rec.Incident = p.Incident
	rec.Labels = p.Labels
	if inc.rule.Kind != schema.KindSilent {
		rec.Opened = p.Opened
	}
	rec.Count += p.Count
	rec.Reported = p.Count
	rec.Notified = p.Notified
	rec.Notifications = p.Notifications
	rec.Updates = p.Updates
	rec.Reopened = p.Reopened
	rec.Earlier = p.Earlier
	rec.Hold = p.Hold
}

// onlyLate reports whether all that is to be reported came late, and its process has
// recovered by now.
func (inc *Incident) onlyLate() bool {
	if inc.isAboutMany() || inc.members.Ill() > 0 || len(inc.unsent.Events) == 0 {
		return false
	}
	return !slices.ContainsFunc(inc.unsent.Events, func(e schema.AlertEvent) bool { return !e.Late })
}

// noteLate notes since when the process has been well that a late event is about.
func (inc *Incident) noteLate(at time.Time) {
	rec := &inc.rec
	late := inc.onlyLate()
	switch {
	case rec.Phase == schema.PhasePending && late && inc.members.Len() > 0:
		rec.WellSince = timeOf(inc.members.All()[0].Process.Seen.At)
	case rec.Phase == schema.PhaseFiring && !late && rec.WellSince != nil:
		// It was quiet about what is over, and now it is not over any more.
		rec.WellSince = nil
		if rec.Notifications > 0 && inc.rule.SendResolved {
			rec.Again = true
			inc.due = at.Add(inc.rule.GroupWait)
		}
	}
}

// updateAfter is how long after a notification the next one may come if more has matched.
func (inc *Incident) updateAfter() time.Duration {
	interval := inc.rule.GroupInterval
	most := seldom * interval
	if repeat := inc.rule.RepeatInterval; repeat > 0 {
		most = max(interval, min(most, repeat))
	}

	switch inc.rec.Updates {
	case 0:
		return interval
	case 1:
		return min(calm*interval, most)
	}
	return most
}

// quietAfter is how long nothing must match until what waits is reported.
func (inc *Incident) quietAfter() time.Duration {
	return inc.rule.GroupInterval << min(inc.rec.Updates, 8)
}

// wasQuiet reports whether nothing had matched for long when an event did.
func (inc *Incident) wasQuiet(ev *schema.AlertEvent) bool {
	return inc.rec.Last != nil && ev.Time.Sub(inc.rec.Last.Time.Time) > recent*inc.rule.GroupInterval
}

// countRun notes that a process ran until it matched.
func (inc *Incident) countRun(mem *member.Member, until time.Time) {
	if began := mem.Began; !began.IsZero() && until.After(began) {
		inc.rec.Runs++
		inc.rec.Ran += schema.Duration(until.Sub(began))
	}
	mem.Began = time.Time{}
}

// describeRecurrence adds to a notification what one process did since the one before.
func (inc *Incident) describeRecurrence(n *schema.Notification) {
	rec := &inc.rec
	times := rec.Count - rec.Reported
	if !inc.isAboutMany() && rec.Notified != nil && times > 0 && (times > 1 || rec.Reopened > 0) {
		n.Recurring = &schema.Recurring{
			Times: times, Since: *rec.Notified, Unlisted: rec.Unlisted, Reopened: rec.Reopened,
		}
		if rec.Runs > 0 {
			n.Recurring.RunMS = time.Duration(rec.Ran).Milliseconds() / int64(rec.Runs)
		}
	}

	rec.Reported = rec.Count
	rec.Unlisted = 0
	rec.Runs = 0
	rec.Ran = 0
}
