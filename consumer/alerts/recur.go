package alerts

import (
	"slices"
	"time"

	"supernats/schema"
)

// A process that crashes, runs for a while and crashes again is one alert and not
// many: a match soon after the end of an alert opens that one again.
//
//	firing --well for hold--> resolved --match within window--> firing again
//
// window is group_interval at first, and recent times that for a process whose alerts
// followed each other before. hold is resolve_after at first; each time that an end did
// not last it becomes twice as long as the process held, group_interval at least and
// recent times that at most. So the end of a flapping process is reported when it has
// really held, and the ends that did not are few: each is twice as far from the last.
//
// How often an open alert is reported is bounded too. Once a process has been reported,
// its further matches wait for the first time group_interval, then calm times that, then
// seldom times that, repeat_interval at most: with the default settings (5 m, 15 m, 4 h) a
// program that crashes every 40 s for a day makes ten notifications. If it stops matching,
// what waits is reported sooner: after group_interval, which doubles with each time. A
// process that joins an alert of several begins with group_interval again.
const (
	recent = 12
	calm   = 3
	seldom = 48
	// maxFlapping is how many untold events of one process are listed; what is between
	// the first and the last of them is counted.
	maxFlapping = 4 * maxListed
	// maxUntold is how many untold events all alerts may have until none waits for longer
	// than group_interval: 50 MB.
	maxUntold = 100_000
)

// prior is what a new alert must know of the closed one before it, nil where nobody
// was told of that, or where what it was about is gone: what has its name later was
// configured since, and does not flap.
func prior(rec *schema.Alert) *schema.PriorAlert {
	if rec.EndedBy == schema.EndedForgotten || rec.EndedBy == schema.EndedRemoved || rec.Phase != schema.PhaseResolved || rec.Notifications == 0 || rec.Closed == nil {
		return nil
	}
	return &schema.PriorAlert{
		Incident: rec.Incident, Opened: rec.Opened, Closed: *rec.Closed, Count: rec.Count, Labels: rec.Labels,
		Notified: rec.Notified, Notifications: rec.Notifications, Updates: rec.Updates,
		Reopened: rec.Reopened, Earlier: rec.Earlier, Hold: rec.Hold,
	}
}

// resume continues the alert that closed a moment ago in place of the one that has
// just opened.
func (g *Engine) resume(inc *incident, at time.Time) {
	rec := &inc.rec
	p := rec.Prior
	rec.Prior = nil
	if p == nil {
		return
	}
	gap, interval := at.Sub(p.Closed.Time), inc.r.GroupInterval
	window := interval
	if p.Earlier+p.Reopened > 0 {
		window *= recent
	}
	if inc.r.Kind == schema.KindSilent && p.Earlier+p.Reopened == 0 {
		window = 0 // when a host was heard the last time is what its alert is about
	}
	if gap > window {
		if gap <= recent*interval {
			rec.Earlier = p.Earlier + 1
		}
		return
	}

	rec.Incident, rec.Labels = p.Incident, p.Labels
	if inc.r.Kind != schema.KindSilent {
		rec.Opened = p.Opened
	}
	rec.Count, rec.Reported = rec.Count+p.Count, p.Count
	rec.Notified, rec.Notifications, rec.Updates = p.Notified, p.Notifications, p.Updates
	rec.Reopened, rec.Earlier, rec.Hold = p.Reopened, p.Earlier, p.Hold
	if inc.onlyLate() { // what is over stays over: its end is reported once more, with what came late
		rec.WellSince, inc.due = &p.Closed, time.Time{}
		return
	}
	rec.Reopened++
	held := gap + max(inc.r.ResolveAfter, time.Duration(p.Hold))
	rec.Hold = schema.Duration(min(max(interval, 2*held, time.Duration(p.Hold)), recent*interval))
	if inc.r.SendResolved {
		rec.Again = true // whoever was told that it is over learns at once that it is not
	} else {
		inc.due = time.Time{}
	}
}

// onlyLate reports whether all that is to be told came late and its process has
// recovered by now.
func (inc *incident) onlyLate() bool {
	if inc.many() || inc.ill > 0 || len(inc.unsent.events) == 0 {
		return false
	}
	return !slices.ContainsFunc(inc.unsent.events, func(e schema.AlertEvent) bool { return !e.Late })
}

// lateNews notes since when the process has been well of which a late event tells.
func (g *Engine) lateNews(inc *incident, at time.Time) {
	rec := &inc.rec
	switch late := inc.onlyLate(); {
	case rec.Phase == schema.PhasePending && late && len(inc.members) > 0:
		rec.WellSince = timeOf(inc.members[0].p.seen.at)
	case rec.Phase == schema.PhaseFiring && !late && rec.WellSince != nil:
		// It was quiet about what is over, and now it is not over any more.
		if rec.WellSince = nil; rec.Notifications > 0 && inc.r.SendResolved {
			rec.Again, inc.due = true, at.Add(inc.r.GroupWait)
		}
	}
}

// wait is how long after a notification the next one may come if more has matched.
func (inc *incident) wait() time.Duration {
	interval := inc.r.GroupInterval
	most := seldom * interval
	if repeat := inc.r.RepeatInterval; repeat > 0 {
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

// quiet reports whether nothing has matched for long when an event does.
func (inc *incident) quiet(ev *schema.AlertEvent) bool {
	return inc.rec.Last != nil && ev.Time.Sub(inc.rec.Last.Time.Time) > recent*inc.r.GroupInterval
}

// quietAfter is how long nothing must match until what waits is reported.
func (inc *incident) quietAfter() time.Duration {
	return inc.r.GroupInterval << min(inc.rec.Updates, 8)
}

// ran notes that a process ran until it matched.
func (inc *incident) ran(mem *member, until time.Time) {
	if began := mem.began; !began.IsZero() && until.After(began) {
		inc.rec.Runs++
		inc.rec.Ran += schema.Duration(until.Sub(began))
	}
	mem.began = time.Time{}
}

// account adds to a notification what one process did since the one before.
func (inc *incident) account(a *schema.Notification) {
	rec := &inc.rec
	times := rec.Count - rec.Reported
	if !inc.many() && rec.Notified != nil && times > 0 && (times > 1 || rec.Reopened > 0) {
		a.Recurring = &schema.Recurring{Times: times, Since: *rec.Notified, Unlisted: rec.Unlisted, Reopened: rec.Reopened}
		if rec.Runs > 0 {
			a.Recurring.RunMS = time.Duration(rec.Ran).Milliseconds() / int64(rec.Runs)
		}
	}
	rec.Reported, rec.Unlisted, rec.Runs, rec.Ran = rec.Count, 0, 0, 0
}

// fold drops an event from the middle of a long list, which stays counted.
func (g *Engine) fold(inc *incident) {
	g.keep(inc, func(u *unsent) { u.remove(len(u.events) / 2) })
	inc.rec.Unlisted++
}

// tooMuch reports whether there is no room for more that waits: then an alert is reported
// every group_interval, as long as that is so.
func (g *Engine) tooMuch(inc *incident, at time.Time) bool {
	return g.untold > maxUntold && inc.rec.Notified != nil && !inc.rec.Notified.Add(inc.r.GroupInterval).After(at)
}
