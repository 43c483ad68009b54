package incident

import (
	"slices"
	"time"

	"supernats/consumer/alerts/member"
	"supernats/consumer/alerts/recur"
	"supernats/schema"
)

// continuePrior continues the alert that closed a moment ago in place of the one that has
// just opened.
func (inc *Incident) continuePrior(at time.Time) {
	if recur.Continue(&inc.rec, inc.rule, at, inc.onlyLate) {
		inc.due = time.Time{}
	}
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

// countRun notes that a process ran until it matched.
func (inc *Incident) countRun(mem *member.Member, until time.Time) {
	if began := mem.Began; !began.IsZero() && until.After(began) {
		inc.rec.Runs++
		inc.rec.Ran += schema.Duration(until.Sub(began))
	}
	mem.Began = time.Time{}
}
