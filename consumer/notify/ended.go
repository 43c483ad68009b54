package notify

import (
	"strconv"
	"time"

	"supernats/schema"
)

// Recurrence says what one process did since the last notification, behind its name:
// "crashed 22 times in 15 minutes, runs 40 s each". It is empty where it did nothing
// again and again.
func Recurrence(n *schema.CloudEvent[*schema.Notification]) string {
	r := n.Data.Recurring
	if r == nil || r.Times < 2 {
		return ""
	}
	until, verb := n.Time.Time, "runs"
	if n.Data.Closed != nil {
		until, verb = n.Data.Closed.Time, "ran"
	}
	s := recurringVerb(n.Data) + " " + strconv.Itoa(r.Times) + " times in " + Span(until.Sub(r.Since.Time))
	if run := time.Duration(r.RunMS) * time.Millisecond; run > 0 {
		s += ", " + verb + " " + shortSpan(run) + " each"
	}
	return s
}

// RecurredBefore says, behind the end of an alert, what its process did since the last
// notification and before it recovered.
func RecurredBefore(a *schema.Notification) string {
	r := a.Recurring
	if r == nil || r.Times < 2 {
		return ""
	}
	s := ", " + strconv.Itoa(r.Times) + " of them since the last report"
	if run := time.Duration(r.RunMS) * time.Millisecond; run > 0 {
		s += ", after " + shortSpan(run) + " each"
	}
	return s
}

// recurringVerb is what it did, if all that is listed says the same.
func recurringVerb(a *schema.Notification) string {
	verb := ""
	for i := range a.Events {
		v := "matched"
		switch ev := &a.Events[i]; {
		case ev.Event == schema.ProcessStateExited && ev.Expected != nil && *ev.Expected:
			v = "exited"
		case ev.Event == schema.ProcessStateExited, ev.Event == schema.ProcessStateBackoff:
			v = "crashed"
		case ev.Event == schema.ProcessStateFatal:
			v = "became FATAL"
		case ev.Lost > 0:
			v = "lost events"
		}
		if verb != "" && v != verb {
			return "matched"
		}
		verb = v
	}
	if verb == "" || verb == "matched" {
		return "matched rule " + Clip(a.Rule, maxName)
	}
	return verb
}

// WellSince marks what is told after its end: "late, closed since 2026-11-21 19:00:31
// UTC", empty where that is not so.
func WellSince(a *schema.Notification) string {
	if a.WellSince == nil {
		return ""
	}
	return "late, closed since " + a.WellSince.UTC().Format(clock)
}

// clock is how a moment stands in a sentence.
const clock = "2006-01-02 15:04:05 UTC"

// LastHeard says when a silent host was heard the last time, "" of other alerts: theirs
// opened by something that happened.
func LastHeard(a *schema.Notification) string {
	if !IsSilence(a) || a.Opened.IsZero() {
		return ""
	}
	return "last heard " + a.Opened.UTC().Format(clock)
}

// endings say why an alert ended, where the annotation does not.
var endings = map[string]string{
	schema.EndedRecovered: "it has recovered",
	schema.EndedForgotten: "the host was forgotten",
}

// Ending says why an alert ended and what the state of its process is now: "it was
// stopped; its state is STOPPED".
func Ending(a *schema.Notification) string {
	why := Clip(a.Annotations[AnnotationReason], maxText)
	if why == "" || a.Ended == schema.EndedForgotten || IsSilence(a) && a.Ended == schema.EndedRecovered {
		why = endings[a.Ended] // the annotation says why it fired
	}
	if IsSilence(a) && a.Ended == schema.EndedRecovered {
		why = "it is reporting again"
	}
	if a.State != "" {
		if why != "" {
			why += "; "
		}
		why += "its state is " + Clip(a.State, maxName)
	}
	return why
}

// Span is a length of time in the largest units that say enough: "15 minutes", "4 hours".
func Span(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= 2*u.unit || d >= u.unit && d%u.unit == 0 {
			return plural(int64(d.Round(u.unit)/u.unit), u.name)
		}
	}
	return plural(int64(d.Round(time.Second)/time.Second), "second")
}

func plural(n int64, unit string) string {
	if n != 1 {
		unit += "s"
	}
	return strconv.FormatInt(n, 10) + " " + unit
}

// shortSpan is one of a process's life: "40 s", "3 min", "0.3 s".
func shortSpan(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return strconv.FormatFloat(max(d.Seconds(), 0.1), 'f', 1, 64) + " s"
	case d < 2*time.Minute:
		return strconv.FormatInt(int64(d.Round(time.Second)/time.Second), 10) + " s"
	case d < 2*time.Hour:
		return strconv.FormatInt(int64(d.Round(time.Minute)/time.Minute), 10) + " min"
	}
	return strconv.FormatInt(int64(d.Round(time.Hour)/time.Hour), 10) + " h"
}
