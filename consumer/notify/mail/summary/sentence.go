package summary

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Sentence says what happened to whom, without a full stop.
func Sentence(n *Notification) string { return sentence(n, complete) }

// sentence is Sentence in as few words as are left.
func sentence(n *Notification, b brevity) string {
	a := n.Data
	p := PartyOf(a)
	said, more := newsOf(n, p.isMany(), b), More(n)

	switch again := onceMore(a); {
	case wording.IsAnswer(n):
		return strings.TrimSpace(cmp.Or(p.String(), "alert "+Short(a.Rule)) + " " + said)
	case n.Type == schema.TypeAlertResolved:
		who := cmp.Or(p.String(), "alert "+Short(a.Rule))
		return who + " " + said + notify.RecurredBefore(a)
	case recurrence(n, b) != "":
		said += ", " + strconv.Itoa(a.Count) + " times since the alert opened"
	case n.Type == schema.TypeAlertUpdate && again != "":
		said = again
	case notify.LastHeard(a) != "":
		said += ", " + notify.LastHeard(a)
	case more > 0 && p.isMany():
		said += p.moreEvents(more)
	case more == 1:
		said += ", and there is 1 more event"
	case more > 1:
		said += ", and there are " + strconv.Itoa(more) + " more events"
	}
	return withParty(a, p, said)
}

// withParty puts whom it happened to before what happened. Where that is in the words of
// the rule's author, or in none, a colon parts them.
func withParty(a *schema.Notification, p Party, said string) string {
	who := p.String()
	if _, ok := wording.OfAlert(a); !ok && who != "" {
		who += ":"
	}
	return strings.TrimSpace(who + " " + said)
}

// answer says that somebody takes care of an alert, or no longer does: "is acknowledged by
// ann: rolling back".
func answer(n *Notification, many bool) string {
	verb := "is "
	if many {
		verb = "are "
	}
	return verb + wording.AnswerText(n, func(t time.Time) string { return t.Format("2006-01-02 15:04 UTC") })
}

// newsOf is what a notification says about its alert, without saying who that is.
func newsOf(n *Notification, many bool, b brevity) string {
	a := n.Data
	switch {
	case wording.IsAnswer(n):
		return answer(n, many)
	case n.Type == schema.TypeAlertResolved:
		return ended(n, many, b)
	case recurrence(n, b) != "":
		return wording.Join(", ", recurrence(n, b), notify.RecoveredSince(a))
	case n.Type == schema.TypeAlertUpdate && len(a.Events) == 0:
		return whatHappened(a, many, max(b, plain)) + Details("still "+history(a, n.Time.Time))
	}

	s := whatHappened(a, many, b)
	if r := a.Recurring; r != nil && r.Reopened > 0 && n.Type == schema.TypeAlertFiring {
		span := wording.Span(n.Time.Sub(r.Since.Time))
		if b == complete {
			s += ", again " + span + " after its recovery was reported"
		} else {
			s += ", again after " + briefly.Replace(span)
		}
	}
	return wording.Join(", ", s, notify.RecoveredSince(a))
}
