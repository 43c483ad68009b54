// Package recur says of something that happens again and again how long to wait until it is
// reported once more, and when it continues an alert that has closed. It keeps nothing: all
// of it stands in the record of the alert.
//
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
package recur

import (
	"time"

	"supernats/consumer/rules"
	"supernats/schema"
)

const (
	recent = 12
	calm   = 3
	seldom = 48
)

// PriorOf is what a new alert must know of the closed one before it. It is nil where nobody
// was notified of that one, or where what it was about is gone: what has its name later was
// configured since, and does not flap.
func PriorOf(rec *schema.Alert) *schema.PriorAlert {
	gone := rec.EndedBy == schema.EndedForgotten || rec.EndedBy == schema.EndedRemoved
	if gone || rec.Phase != schema.PhaseResolved || rec.Notifications == 0 || rec.Closed == nil {
		return nil
	}
	return &schema.PriorAlert{
		Incident: rec.Incident, Opened: rec.Opened, Closed: *rec.Closed, Count: rec.Count, Labels: rec.Labels,
		Notified: rec.Notified, Notifications: rec.Notifications, Updates: rec.Updates,
		Quiet: rec.Quiet, Answers: rec.Answers, Escalation: rec.Escalation,
		Reopened: rec.Reopened, Earlier: rec.Earlier, Hold: rec.Hold,
	}
}

// Continue continues the alert before, that closed a moment ago, in place of the one of a record
// that has just opened. onlyLate says that all there is to be reported came late and is over.
// It reports whether the next notification need not come at once.
func Continue(rec *schema.Alert, rule *rules.Rule, at time.Time, onlyLate func() bool) (canWait bool) {
	p := rec.Prior
	rec.Prior = nil
	if p == nil {
		return false
	}

	gap := at.Sub(p.Closed.Time)
	interval := rule.GroupInterval
	if gap > windowOf(rule, p) {
		if gap <= recent*interval {
			rec.Earlier = p.Earlier + 1
		}
		return false
	}
	adoptPrior(rec, rule, p)
	if onlyLate() { // what is over stays over: its end is reported once more, with what came late
		rec.WellSince = &p.Closed
		return true
	}

	rec.Reopened++
	held := gap + max(rule.ResolveAfter, time.Duration(p.Hold))
	rec.Hold = schema.Duration(min(max(interval, 2*held, time.Duration(p.Hold)), recent*interval))
	rec.Again = rule.SendResolved // whoever was notified of the end learns at once that it did not last
	return !rec.Again
}

// windowOf is how long after its end a match continues an alert.
func windowOf(rule *rules.Rule, p *schema.PriorAlert) time.Duration {
	if p.Earlier+p.Reopened > 0 {
		return recent * rule.GroupInterval
	}
	if rule.Kind == schema.KindSilent {
		return 0 // its alert is about when the host was heard the last time
	}
	return rule.GroupInterval
}

// adoptPrior takes over what the alert before had counted and reported.
func adoptPrior(rec *schema.Alert, rule *rules.Rule, p *schema.PriorAlert) {
	rec.Incident = p.Incident
	rec.Labels = p.Labels
	if rule.Kind != schema.KindSilent {
		rec.Opened = p.Opened
	}
	rec.Count += p.Count
	rec.Reported = p.Count
	rec.Notified = p.Notified
	rec.Notifications = p.Notifications
	rec.Quiet = p.Quiet
	rec.Answers = p.Answers
	rec.Escalation = p.Escalation
	rec.Notify = rule.NotifyAfter(p.Escalation)
	rec.Updates = p.Updates
	rec.Reopened = p.Reopened
	rec.Earlier = p.Earlier
	rec.Hold = p.Hold
}

// UpdateAfter is how long after a notification the next one may come if more has matched.
func UpdateAfter(rec *schema.Alert, rule *rules.Rule) time.Duration {
	interval := rule.GroupInterval
	most := seldom * interval
	if repeat := rule.RepeatInterval; repeat > 0 {
		most = max(interval, min(most, repeat))
	}

	switch rec.Updates {
	case 0:
		return interval
	case 1:
		return min(calm*interval, most)
	}
	return most
}

// QuietAfter is how long nothing must match until what waits is reported.
func QuietAfter(rec *schema.Alert, rule *rules.Rule) time.Duration {
	return rule.GroupInterval << min(rec.Updates, 8)
}

// WasQuiet reports whether nothing had matched for long when an event did.
func WasQuiet(rec *schema.Alert, rule *rules.Rule, ev *schema.AlertEvent) bool {
	return rec.Last != nil && ev.Time.Sub(rec.Last.Time.Time) > recent*rule.GroupInterval
}

// Describe returns what one process did since the notification before, nil unless it did so
// repeatedly, and begins to count for the next one.
func Describe(rec *schema.Alert, isAboutMany bool) (r *schema.Recurring) {
	times := rec.Count - rec.Reported
	if !isAboutMany && rec.Notified != nil && times > 0 && (times > 1 || rec.Reopened > 0) {
		r = &schema.Recurring{
			Times: times, Since: *rec.Notified, Unlisted: rec.Unlisted, Reopened: rec.Reopened,
		}
		if rec.Runs > 0 {
			r.RunMS = time.Duration(rec.Ran).Milliseconds() / int64(rec.Runs)
		}
	}

	rec.Reported = rec.Count
	rec.Unlisted = 0
	rec.Runs = 0
	rec.Ran = 0
	return r
}
