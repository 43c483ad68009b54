package letter

import (
	"strconv"
	"strings"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema"
)

// reason says why a process died, how much was lost or what is wrong, "" if that is
// not known.
func reason(ev *schema.AlertEvent) string {
	switch {
	case ev.Lost > 0:
		s := "at least " + wording.Count(ev.Lost, "event was", "events were") + " lost"
		if why := wording.LossCause(ev.Cause); why != "" {
			s += ": " + why
		}
		return s
	case ev.Event == wording.EventTrouble:
		return strings.TrimSuffix(wording.Clip(ev.Cause, maxSubjectName)+": "+wording.Clip(ev.Text, maxField), ": ")
	}
	return wording.Clip(wording.Reason(ev.Exit), maxField)
}

// details are put behind what happened: why, and by which rule if that is not
// plain already.
func details(parts ...string) string {
	var list []string
	for _, p := range parts {
		if p != "" {
			list = append(list, p)
		}
	}
	if list == nil {
		return ""
	}
	return " (" + strings.Join(list, "; ") + ")"
}

// summaryOf is the annotation that puts an alert into words, if there is one.
func summaryOf(a *schema.Notification) string {
	return wording.Cell(a.Annotations["summary"], maxField)
}

// what says what happened, behind the names of those it happened to.
func what(a *schema.Notification, many, aside bool) string {
	p, ok := wording.OfAlert(a)
	rule := wording.Cell(a.Rule, maxSubjectName)
	if !ok {
		if s := summaryOf(a); s != "" {
			return s
		}
		ev := wording.LastEvent(a)
		if ev == nil || ev.Event == "" {
			return "alert " + rule
		}
		return "alert " + rule + " by " + wording.Cell(ev.Event, maxSubjectName)
	}
	words, why := p.One, why(a, many)
	if many {
		words = p.Plural()
	}
	if lost := lost(a); lost > 0 {
		words, why = strings.Fields(words)[0]+" lost at least "+wording.Count(lost, "event", "events"), lossCause(a)
	} else if aside && !many {
		words += asideOf(a, p)
		why = withRan(wording.LastEvent(a), why)
	}
	if p.Evident {
		return words + details(why)
	}
	return words + details(why, "rule "+rule)
}

// asideOf is what a mail about one adds; of a silent host why it is, where known.
func asideOf(a *schema.Notification, p wording.Phrase) string {
	if why := wording.Cell(a.Annotations[notify.AnnotationReason], maxField); p == wording.Silent && why != "" {
		return ", " + why
	}
	return p.Aside
}

// why is the reason of what happened last; of several processes only one that
// is that of all.
func why(a *schema.Notification, many bool) string {
	ev := wording.LastEvent(a)
	if ev == nil {
		return ""
	}
	s := reason(ev)
	for i := range a.Events {
		if many && reason(&a.Events[i]) != s {
			return ""
		}
	}
	return s
}

// withRan puts how long that life of the process lasted before the reason of its end:
// "ran 2 d 4 h, SIGKILL".
func withRan(ev *schema.AlertEvent, reason string) string {
	if ev == nil {
		return reason
	}
	return wording.Join(", ", wording.Ran(ev.Ran), reason)
}

// lost is how many events an alert says are lost.
func lost(a *schema.Notification) (n uint64) {
	for i := range a.Events {
		n += a.Events[i].Lost
	}
	return n
}

// lossCause is why events are lost, if all of them are for one cause.
func lossCause(a *schema.Notification) string {
	cause := wording.LastEvent(a).Cause
	for i := range a.Events {
		if a.Events[i].Cause != cause {
			return ""
		}
	}
	return wording.LossCause(cause)
}

// more is how many events there are besides the headline.
func more(n *schema.CloudEvent[*schema.Notification]) int {
	count := len(n.Data.Events)
	if n.Type == schema.TypeAlertFiring && n.Data.Recurring == nil {
		// Nothing was told before, so what is not listed is new too.
		count = max(count, n.Data.Count)
	}
	return max(count-1, 0)
}

// wellAgain says how an alert ended, for one or for many, without the state.
func wellAgain(a *schema.Notification, many bool) string {
	verb := func(one, other string) string {
		if many {
			return other
		}
		return one
	}
	p, _ := wording.OfAlert(a)
	why := wording.Cell(a.Annotations[notify.AnnotationReason], maxField)
	switch {
	case a.Ended == schema.EndedForgotten && a.Group == "":
		return verb("was forgotten", "were forgotten")
	case a.Ended == schema.EndedForgotten:
		return verb("needs no more attention", "need no more attention") + " (the host was forgotten)"
	case a.Ended == schema.EndedRule && p == wording.Silent:
		return verb("is not watched any more", "are not watched any more") + " (its rule was removed)"
	case why != "" && p != wording.Silent:
		return verb("needs no more attention", "need no more attention") + " (" + why + ")"
	case p == wording.Silent:
		return verb("is reporting again", "are reporting again")
	case p == wording.Lossy:
		return verb("loses no more events", "lose no more events")
	case p == wording.Trouble:
		return verb("is out of trouble", "are out of trouble")
	case p == wording.Unknown:
		return verb("is known again", "are known again")
	case p == wording.ExitedAsExpected:
		// Nothing was wrong with it.
		return verb("is quiet again", "are quiet again")
	}
	return verb("has recovered", "have recovered")
}

// history says how long an alert is or was open and how many events it had.
func history(a *schema.Notification, until time.Time) string {
	var parts []string
	if d := openFor(a, until); d != "" {
		parts = append(parts, "open for "+d)
	}
	if p, _ := wording.OfAlert(a); a.Count > 0 && p != wording.Silent {
		parts = append(parts, wording.Count(a.Count, "event", "events"))
	}
	return strings.Join(parts, ", ")
}

// told is what a notification says about its alert, without saying who that is. Without
// an aside it is shorter.
func told(n *schema.CloudEvent[*schema.Notification], many, aside bool) string {
	a := n.Data
	switch {
	case n.Type == schema.TypeAlertResolved:
		s := wellAgain(a, many)
		if state := wording.Cell(a.State, maxSubjectName); state != "" && aside {
			s += ", its state is " + state
		}
		if h := history(a, n.Time.Time); h != "" {
			s += ": " + h
		}
		if _, ok := wording.OfAlert(a); !ok {
			s += details("rule " + wording.Cell(a.Rule, maxSubjectName))
		}
		return s
	case recurs(n) != "":
		return recurs(n) + lateTail(a)
	case n.Type == schema.TypeAlertUpdate && len(a.Events) == 0:
		return what(a, many, false) + details("still "+history(a, n.Time.Time))
	}
	s := what(a, many, aside)
	if r := a.Recurring; r != nil && r.Reopened > 0 && n.Type == schema.TypeAlertFiring {
		span := wording.Span(n.Time.Sub(r.Since.Time))
		if aside {
			s += ", again " + span + " after its recovery was reported"
		} else {
			s += ", again after " + briefly.Replace(span)
		}
	}
	return s + lateTail(a)
}

// lateTail marks what is over by now.
func lateTail(a *schema.Notification) string {
	if s := notify.RecoveredSince(a); s != "" {
		return ", " + s
	}
	return ""
}

// recurs says that one process has done the same again and again, "" if it has not or
// if the rule's author has put it into words.
func recurs(n *schema.CloudEvent[*schema.Notification]) string {
	s := notify.Recurrence(n)
	if s == "" || summaryOf(n.Data) != "" {
		return ""
	}
	w := why(n.Data, false)
	if len(n.Data.Events) > 1 && w != "" {
		w = "the last time " + w
	}
	return s + details(w)
}

// again is told of an update whose events are all of one kind, "" for others.
func again(a *schema.Notification) string {
	p, ok := wording.OfAlert(a)
	if !ok || !p.Countable || len(a.Events) == 0 {
		return ""
	}
	for i := range a.Events {
		if q, ok := wording.OfEvent(a.Rule, &a.Events[i]); !ok || q != p {
			return ""
		}
	}
	why, rule := why(a, false), ""
	if !p.Evident {
		rule = "rule " + wording.Cell(a.Rule, maxSubjectName)
	}
	s := " once more"
	if n := len(a.Events); n > 1 {
		s = " " + strconv.Itoa(n) + " more times"
		if why != "" {
			why = "the last time " + why
		}
	} else {
		why = withRan(wording.LastEvent(a), why)
	}
	s = p.One + s + details(why, rule)
	if a.Count > len(a.Events) {
		s += ", " + strconv.Itoa(a.Count) + " times since the alert opened"
	}
	return s
}
