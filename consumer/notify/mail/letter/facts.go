package letter

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/summary"
	"supernats/consumer/wording"
	"supernats/schema"
)

// addFacts adds what a person needs first and the sentence does not say: where to log in,
// since when, how long the process had run, how often it happened, what it does now and
// how to fix it. What is not known is left out.
func (v *view) addFacts(n *notify.Notification, d *Alert) {
	a := n.Data
	if d.Host != "" && d.Address != "" {
		v.addFact("Where", d.Host+" ("+d.Address+")")
	}

	v.addFact("Since", withAge(a.Opened.Time, v.Time))
	if a.Closed != nil {
		v.addFact("Until", withAge(a.Closed.Time, v.Time))
	}

	at := func(t time.Time) string { return stamp(t, v.Time) }
	v.addFact("Acknowledged", wording.Acknowledged(n, at))
	v.addFact("Escalation", strings.TrimPrefix(wording.Escalated(a), "escalation "))

	over := n.Type == schema.TypeAlertResolved
	last := wording.LastEvent(a)
	if last != nil && !over {
		v.addFact("Ran for", strings.TrimPrefix(wording.Ran(last.Ran), "ran "))
	}
	crashes := notify.CrashesLately(n)
	v.addFact("Crashes", crashes)
	if crashes == "" || !strings.Contains(v.Sentence, sinceOpened(a)) { // which has said it
		v.addFact("How often", howOften(n))
	}
	v.addFact("Now", v.stateNow(n))
	if last != nil && !over {
		v.addFact("To fix it", last.Fix)
	}
}

// addWorst adds what the sentence about one alert says: in a digest that sentence stands in
// the list, and once is enough.
func (v *view) addWorst(n *notify.Notification, d *Alert) {
	a := n.Data
	what := cmp.Or(summary.OwnWords(a), "alert "+summary.Short(a.Rule))
	if p, ok := wording.OfAlert(a); ok {
		what = p.One
	}
	why := ""
	if last := wording.LastEvent(a); last != nil {
		why = summary.Reason(last)
	} else if wording.IsSilence(a) {
		why = a.Annotations[notify.AnnotationReason]
	}

	v.addFact("Worst", d.Who)
	v.addFact("What", what)
	v.addFact("Why", why)
}

// sinceOpened is how often it happened since the alert opened, as sentences say it.
func sinceOpened(a *schema.Notification) string {
	return strconv.Itoa(a.Count) + " times since the alert opened"
}

// howOften is how often it happened, "" for what happened once as far as is known, or for
// what lasts.
func howOften(n *notify.Notification) string {
	a := n.Data
	since := ""
	if a.Count > 1 && !wording.IsSilence(a) {
		since = sinceOpened(a)
	}
	if r := a.Recurring; r != nil && r.Times > 1 && r.Times < a.Count {
		until := n.Time.Time
		if a.Closed != nil {
			until = a.Closed.Time
		}
		recent := strconv.Itoa(r.Times) + " times in the last " + wording.Span(until.Sub(r.Since.Time))
		return wording.Join(", ", recent, since)
	}
	return since
}

// stateNow is what a process did when the notification was made, and how long ago that is
// if the mail was not written then; "" if it is not known.
func (v *view) stateNow(n *notify.Notification) string {
	a := n.Data
	if wording.IsSilence(a) && n.Type != schema.TypeAlertResolved && a.WellSince == nil {
		return "nothing is known of its processes"
	}

	s := notify.StateNow(n, func(t time.Time) string { return stamp(t, v.Time) })
	if s != "" && v.Time.Sub(n.Time.Time) >= lateAfter {
		s += " (as of " + ageText(n.Time.Time, v.Time) + ")"
	}
	return s
}
