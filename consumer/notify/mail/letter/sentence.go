package letter

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema"
)

// severities are in the order of their weight; another word stands behind the
// first, since somebody found it worth one.
var severities = map[string]int{"critical": 0, "error": 2, "warning": 3, "info": 4}

func weight(severity string) int {
	if w, ok := severities[strings.ToLower(severity)]; ok {
		return w
	}
	return 1
}

// worst is the severity of the worst alert that is not over, or else of any.
func worst(batch []*schema.CloudEvent[*schema.Notification]) string {
	return batch[byWeight(batch)[0]].Data.Severity
}

// byWeight are the indices of a batch, the worst first: what is over comes last.
func byWeight(batch []*schema.CloudEvent[*schema.Notification]) []int {
	order, weights := make([]int, len(batch)), make([]int, len(batch))
	for i, n := range batch {
		order[i], weights[i] = i, weight(n.Data.Severity)
		if n.Type == schema.TypeAlertResolved {
			weights[i] += 100
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(weights[a], weights[b]) })
	return order
}

// sameAlert reports whether all of a batch is about one alert.
func sameAlert(batch []*schema.CloudEvent[*schema.Notification]) bool {
	return !slices.ContainsFunc(batch, func(n *schema.CloudEvent[*schema.Notification]) bool {
		return n.Data.Incident != batch[0].Data.Incident
	})
}

// late is a word in the subject if there are events and all of them are late.
func late(batch []*schema.CloudEvent[*schema.Notification]) string {
	word := ""
	for _, n := range batch {
		for i := range n.Data.Events {
			if word = "LATE"; !n.Data.Events[i].Late {
				return ""
			}
		}
	}
	return word
}

// words are the subject of the mail, one visible line, and the first sentence of
// its text.
func words(batch []*schema.CloudEvent[*schema.Notification]) (subject, first string) {
	if len(batch) == 1 {
		return subjectOne(batch[0]), sentence(batch[0]) + "."
	}
	d := newDigest(batch)
	return subjectMany(batch, d), wording.Clip(d.text(), maxSentence) + d.tail() + "."
}

// sentence says what happened to whom, without a full stop.
func sentence(n *schema.CloudEvent[*schema.Notification]) string {
	a := n.Data
	p := partyOf(a)
	said, k := told(n, p.many(), true), more(n)
	switch s := again(a); {
	case n.Type == schema.TypeAlertResolved:
		said += notify.RecurredBefore(n.Data)
		return cmp.Or(p.String(), "alert "+wording.Cell(a.Rule, maxSubjectName)) + " " + said
	case recurs(n) != "":
		said += ", " + strconv.Itoa(a.Count) + " times since the alert opened"
	case n.Type == schema.TypeAlertUpdate && s != "":
		said = s
	case notify.LastHeard(a) != "":
		said += ", " + notify.LastHeard(a)
	case k > 0 && p.many():
		said += p.besides(k)
	case k == 1:
		said += ", and there is 1 more event"
	case k > 1:
		said += ", and there are " + strconv.Itoa(k) + " more events"
	}
	return say(a, p, said)
}

// say puts whom it happened to before what happened. Where that is in the words
// of the rule's author, or in none, a colon parts them.
func say(a *schema.Notification, p party, said string) string {
	who := p.String()
	if _, ok := wording.OfAlert(a); !ok && who != "" {
		who += ":"
	}
	return strings.TrimSpace(who + " " + said)
}
