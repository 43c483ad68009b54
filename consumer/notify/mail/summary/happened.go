package summary

import (
	"strconv"
	"strings"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Reason is why a process died, how much was lost or what is wrong, "" if that is not
// known.
func Reason(ev *schema.AlertEvent) string { return complete.reason(ev) }

// reason is Reason in as few words as are left.
func (b brevity) reason(ev *schema.AlertEvent) string {
	switch {
	case ev.Lost > 0:
		lost := "at least " + wording.Count(ev.Lost, "event was", "events were") + " lost"
		return wording.Join(": ", lost, wording.LossCause(ev.Cause))
	case ev.Event == wording.EventTrouble:
		return wording.Join(": ", ev.Cause, ev.Text)
	case b >= terse:
		return wording.ShortReason(ev.Exit)
	}
	return wording.Reason(ev.Exit)
}

// WithRan puts how long that life of the process lasted before the reason of its end:
// "ran 2 d 4 h, SIGKILL".
func WithRan(ev *schema.AlertEvent, reason string) string {
	if ev == nil {
		return reason
	}
	return wording.Join(", ", wording.Ran(ev.Ran), reason)
}

// OwnWords is the annotation by which the rule's author puts an alert into words, if
// there is one.
func OwnWords(a *schema.Notification) string { return a.Annotations[notify.AnnotationSummary] }

// More is how many events there are besides the one that the alert is reported by.
func More(n *Notification) int {
	events := len(n.Data.Events)
	if n.Type == schema.TypeAlertFiring && n.Data.Recurring == nil {
		// Nothing was reported before, so what is not listed is new too.
		events = max(events, n.Data.Count)
	}
	return max(events-1, 0)
}

// outOfMemory is the reason of what the kernel killed for want of memory.
var outOfMemory = wording.ShortReason(&schema.Exit{Signal: "SIGKILL", OOM: &schema.OOM{}})

// whatHappened says it after the names of those it happened to.
func whatHappened(a *schema.Notification, many bool, b brevity) string {
	p, ok := wording.OfAlert(a)
	rule := Short(a.Rule)
	if !ok {
		if s := OwnWords(a); s != "" {
			return s
		}
		ev := wording.LastEvent(a)
		if ev == nil || ev.Event == "" {
			return "alert " + rule
		}
		return "alert " + rule + " by " + ev.Event
	}

	words, why := b.phrase(p, many), commonReason(a, many, b)
	switch lost := lostEvents(a); {
	case lost > 0:
		verb, _, _ := strings.Cut(words, " ") // has or have
		words, why = verb+" lost at least "+wording.Count(lost, "event", "events"), commonLossCause(a)
	case b == complete && !many:
		words += asideOf(a, p)
		why = WithRan(wording.LastEvent(a), why)
	case b == tersest && p == wording.ExitedUnexpectedly && why == outOfMemory:
		return "ran out of memory"
	}

	if p.Evident {
		return words + Details(why)
	}
	return words + Details(why, "rule "+rule)
}

// asideOf is what a mail about one adds; of a silent host why it is, where known.
func asideOf(a *schema.Notification, p wording.Phrase) string {
	if why := a.Annotations[notify.AnnotationReason]; p == wording.Silent && why != "" {
		return ", " + why
	}
	return p.Aside
}

// commonReason is the reason of what happened last; of many only one that all share.
func commonReason(a *schema.Notification, many bool, b brevity) string {
	ev := wording.LastEvent(a)
	if ev == nil {
		return ""
	}

	s := Reason(ev)
	for i := range a.Events {
		if many && Reason(&a.Events[i]) != s {
			return ""
		}
	}
	return b.reason(ev)
}

// lostEvents is how many events an alert says are lost.
func lostEvents(a *schema.Notification) (n uint64) {
	for i := range a.Events {
		n += a.Events[i].Lost
	}
	return n
}

// commonLossCause is why events are lost, if all of them are for one cause.
func commonLossCause(a *schema.Notification) string {
	cause := wording.LastEvent(a).Cause
	for i := range a.Events {
		if a.Events[i].Cause != cause {
			return ""
		}
	}
	return wording.LossCause(cause)
}

// recurrence says that one process has done the same again and again, "" if it has not or
// if the rule's author has put it into words.
func recurrence(n *Notification, b brevity) string {
	s := notify.Recurrence(n)
	if s == "" || OwnWords(n.Data) != "" {
		return ""
	}

	why := commonReason(n.Data, false, b)
	if len(n.Data.Events) > 1 && why != "" {
		why = "the last time " + why
	}
	return s + Details(why)
}

// onceMore says it of an update whose events are all of one kind, "" of others.
func onceMore(a *schema.Notification) string {
	p, ok := wording.OfAlert(a)
	if !ok || !p.Countable || len(a.Events) == 0 {
		return ""
	}
	for i := range a.Events {
		if q, ok := wording.OfEvent(a.Rule, &a.Events[i]); !ok || q != p {
			return ""
		}
	}

	why, rule := commonReason(a, false, complete), ""
	if !p.Evident {
		rule = "rule " + Short(a.Rule)
	}
	s := p.One
	if n := len(a.Events); n > 1 {
		s += " " + strconv.Itoa(n) + " more times"
		if why != "" {
			why = "the last time " + why
		}
	} else {
		s += " once more"
		why = WithRan(wording.LastEvent(a), why)
	}

	s += Details(why, rule)
	if a.Count > len(a.Events) {
		s += ", " + strconv.Itoa(a.Count) + " times since the alert opened"
	}
	return s
}
