package notify

import (
	"strconv"
	"time"

	"supernats/consumer/wording"
	"supernats/schema"
)

// Recurrence says what one process has done since the last notification, after its
// name: "crashed 22 times in 15 minutes, runs 40 s each". It is "" where it did nothing
// again and again.
func Recurrence(n *Notification) string {
	r := n.Data.Recurring
	if r == nil || r.Times < 2 {
		return ""
	}

	until, verb := n.Time.Time, "runs"
	if n.Data.Closed != nil {
		until, verb = n.Data.Closed.Time, "ran"
	}
	s := recurringVerb(n.Data) + " " + strconv.Itoa(r.Times) + " times in " + wording.Span(until.Sub(r.Since.Time))
	if run := time.Duration(r.RunMS) * time.Millisecond; run > 0 {
		s += ", " + verb + " " + wording.Brief(run) + " each"
	}
	return s
}

// RecurredBefore says, after the end of an alert, what its process did between the last
// notification and its recovery.
func RecurredBefore(a *schema.Notification) string {
	r := a.Recurring
	if r == nil || r.Times < 2 {
		return ""
	}

	s := ", " + strconv.Itoa(r.Times) + " of them since the last report"
	if run := time.Duration(r.RunMS) * time.Millisecond; run > 0 {
		s += ", after " + wording.Brief(run) + " each"
	}
	return s
}

// matched is the verb where events do not say what the process did.
const matched = "matched"

// recurringVerb is what the process did, if all listed events agree.
func recurringVerb(a *schema.Notification) string {
	verb := ""
	for i := range a.Events {
		v := eventVerb(&a.Events[i])
		if verb != "" && v != verb {
			return matched
		}
		verb = v
	}

	if verb == "" || verb == matched {
		return matched + " rule " + wording.Clip(a.Rule, wording.MaxName)
	}
	return verb
}

// eventVerb is an event as a verb.
func eventVerb(ev *schema.AlertEvent) string {
	switch {
	case ev.Event == schema.ProcessStateExited && ev.Expected != nil && *ev.Expected:
		return "exited"
	case ev.Event == schema.ProcessStateExited, ev.Event == schema.ProcessStateBackoff:
		return "crashed"
	case ev.Event == schema.ProcessStateFatal:
		return "became FATAL"
	case ev.Lost > 0:
		return "lost events"
	}
	return matched
}

// RecoveredSince marks what is reported after its end: "late, closed since 2026-11-21
// 19:00:31 UTC", "" where that is not so.
func RecoveredSince(a *schema.Notification) string {
	if a.WellSince == nil {
		return ""
	}
	return "late, closed since " + a.WellSince.UTC().Format(momentFormat)
}

// LastHeard is when a silent host was heard the last time, "" of other alerts: theirs
// opened because something happened.
func LastHeard(a *schema.Notification) string {
	if !wording.IsSilence(a) || a.Opened.IsZero() {
		return ""
	}
	return "last heard " + a.Opened.UTC().Format(momentFormat)
}

// Ending says why an alert ended and what the state of its process is now: "it was
// stopped; its state is STOPPED".
func Ending(a *schema.Notification) string {
	reportsAgain := wording.IsSilence(a) && a.Ended == schema.EndedRecovered

	// The annotation says of a silent host why it fired, not why it ended.
	why := wording.Clip(a.Annotations[AnnotationReason], wording.MaxText)
	switch {
	case reportsAgain:
		why = "it is reporting again"
	case a.Ended == schema.EndedForgotten:
		why = "the host was forgotten"
	case why == "" && a.Ended == schema.EndedRecovered:
		why = "it has recovered"
	}

	if a.State != "" {
		why = wording.Join("; ", why, "its state is "+wording.Clip(a.State, wording.MaxName))
	}
	return why
}
