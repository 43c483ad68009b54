package summary

import (
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema"
)

// ending says how an alert ended, for one or for many, without the state.
func ending(a *schema.Notification, many bool) string {
	p, _ := wording.OfAlert(a)
	why := a.Annotations[notify.AnnotationReason]

	one, other, aside := "has recovered", "have recovered", ""
	switch {
	case a.Ended == schema.EndedForgotten && a.Group == "":
		one, other = "was forgotten", "were forgotten"
	case a.Ended == schema.EndedForgotten:
		one, other, aside = "no longer needs attention", "no longer need attention", "the host was forgotten"
	case a.Ended == schema.EndedRule && p == wording.Silent:
		one, other, aside = "is no longer watched", "are no longer watched", "its rule was removed"
	case why != "" && p != wording.Silent:
		one, other, aside = "no longer needs attention", "no longer need attention", why
	case p == wording.Silent:
		one, other = "is reporting again", "are reporting again"
	case p == wording.Lossy:
		one, other = "no longer loses events", "no longer lose events"
	case p == wording.Trouble:
		one, other = "is out of trouble", "are out of trouble"
	case p == wording.Unknown:
		one, other = "is known again", "are known again"
	case p == wording.ExitedAsExpected:
		// Nothing was wrong with it.
		one, other = "is quiet again", "are quiet again"
	}

	if many {
		one = other
	}
	return one + Details(aside)
}

// ended says how an alert ended, and how long it was open.
func ended(n *Notification, many bool, b brevity) string {
	a := n.Data
	s := ending(a, many)
	if a.State != "" && b == complete {
		s += ", its state is " + Short(a.State)
	}

	open := OpenFor(a, n.Time.Time)
	if b >= terse && open != "" {
		s = wording.Join(", ", s+" after "+open, eventsOf(a))
	} else {
		s = wording.Join(": ", s, history(a, n.Time.Time))
	}
	if _, ok := wording.OfAlert(a); !ok {
		s += Details("rule " + Short(a.Rule))
	}
	return s
}

// history says how long an alert is or was open and how many events it had.
func history(a *schema.Notification, until time.Time) string {
	open := OpenFor(a, until)
	if open != "" {
		open = "open for " + open
	}
	return wording.Join(", ", open, eventsOf(a))
}

// eventsOf counts the events of an alert, "" of one that has none by its nature.
func eventsOf(a *schema.Notification) string {
	if p, _ := wording.OfAlert(a); a.Count == 0 || p == wording.Silent {
		return ""
	}
	return wording.Count(a.Count, "event", "events")
}

// OpenFor is how long an alert was open at a time, "" if that is not known.
func OpenFor(a *schema.Notification, until time.Time) string {
	if a.Closed != nil {
		until = a.Closed.Time
	}
	if a.Opened.IsZero() || until.Before(a.Opened.Time) {
		return ""
	}
	return wording.Rounded(until.Sub(a.Opened.Time))
}
