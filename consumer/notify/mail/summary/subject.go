package summary

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema"
)

const (
	// MaxWidth is how many columns a subject of ours takes: a list of mails shows no more,
	// and RFC 5322 asks for lines of 78.
	MaxWidth = 78

	subjectPrefix = "[supervisor]"
	// maxNamed is how many processes a subject names.
	maxNamed = 3
	// maxSeverity is how many characters of a severity stand in a subject.
	maxSeverity = 12
	// minSaid is how many columns are left to what happened, however long the names are.
	minSaid = 20
	// minWho is how many are left to the names.
	minWho = 24
)

// HeaderValue keeps a name that looks like an encoded word ("=?utf-8?q?…?=") from being
// decoded by the reader's program, and runs of spaces from being folded into an empty
// line, which some programs take for the end of the header.
func HeaderValue(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "=?", "= ?")), " ")
}

// subjectHead is what a subject begins with: how bad it is, or that it is over.
func subjectHead(batch []*Notification, over bool, more ...string) string {
	status := "RESOLVED"
	if !over {
		status = strings.ToUpper(wording.Cell(Worst(batch), maxSeverity))
	}
	return HeaderValue(wording.Join(" ", append([]string{subjectPrefix, status}, more...)...))
}

// subjectOfOne is the subject of a mail about one notification: the longest wording that
// fits. What is cut off where none does are the names, and never how many more events
// there are.
func subjectOfOne(n *Notification) string {
	a, over := n.Data, n.Type == schema.TypeAlertResolved
	kind := ""
	switch n.Type {
	case schema.TypeAlertUpdate:
		kind = "UPDATE"
	case schema.TypeAlertUnacknowledged:
		kind = "UNACKNOWLEDGED"
	}
	batch := []*Notification{n}
	head := subjectHead(batch, over, kind, lateWord(batch))
	if n.Type == schema.TypeAlertAcknowledged { // no filter for what is critical is to wake anybody
		head = HeaderValue(subjectPrefix + " ACKNOWLEDGED")
	}

	p := PartyOf(a)
	whos, said := p.subjects(), subjectTexts(n, p.isMany())
	who := &whos[len(whos)-1]
	if over {
		*who = cmp.Or(*who, "alert "+Short(a.Rule))
	}
	if said[0] == OwnWords(a) && !over {
		for i := range whos {
			whos[i] = strings.TrimPrefix(whos[i]+":", ":")
		}
	}

	// As it goes into the header, which may be a little longer.
	for i := range whos {
		whos[i] = HeaderValue(whos[i])
	}
	for i := range said {
		said[i] = HeaderValue(said[i])
	}
	tails := subjectTails(n, p)
	for _, who := range whos {
		for _, text := range said {
			for _, tail := range tails {
				if s := wording.Join(" ", head, who, text) + tail; displaywidth.String(s) <= MaxWidth {
					return s
				}
			}
		}
	}
	return cutSubject(head, *who, said[len(said)-1], tails[len(tails)-1])
}

// subjectTexts are what a notification says about its alert, the longest first.
func subjectTexts(n *Notification, many bool) []string {
	if recurrence(n, complete) != "" {
		return []string{newsOf(n, many, complete), briefly.Replace(notify.Recurrence(n))}
	}
	var texts []string
	for b := complete; b <= tersest; b++ {
		texts = append(texts, newsOf(n, many, b))
	}
	return texts
}

// subjectTails are how many more events there are, the longest first, where nothing else
// says so.
func subjectTails(n *Notification, p Party) []string {
	over := n.Type == schema.TypeAlertResolved
	switch more := More(n); {
	case over || recurrence(n, complete) != "" || more == 0:
		return []string{""}
	case p.isMany():
		return []string{p.moreEvents(more)}
	default:
		return []string{" (and " + strconv.Itoa(more) + " more)", " (" + strconv.Itoa(more) + " more)"}
	}
}

// cutSubject cuts the names first, and then what happened.
func cutSubject(head, who, said, tail string) string {
	room := MaxWidth - displaywidth.String(head) - displaywidth.String(tail) - 1
	if who != "" {
		who = cutMiddle(who, max(room-min(displaywidth.String(said), minSaid)-1, minWho))
		room -= displaywidth.String(who) + 1
	}
	return wording.Join(" ", head, who, cutEnd(said, room)) + tail
}

// subjectOfMany is the subject of a digest. It names as many processes as fit, the worst
// first, and then says what else there is as long as there is room.
func subjectOfMany(batch []*Notification, d *digest) string {
	list, over := d.open, false
	if len(list) == 0 {
		list, over = d.closed, true
	}
	head := subjectHead(batch, over, lateWord(batch))
	rests := restsOf(list)

	// As many names as possible count more than how many alerts are over.
	for _, wordings := range list[0].wordings() {
		for _, tails := range [][]string{{d.tail(), d.shortTail()}, {""}} {
			for _, named := range wordings {
				for _, rest := range rests {
					for _, tail := range tails {
						s := head + " " + HeaderValue(named) + rest + tail
						if displaywidth.String(s) <= MaxWidth {
							return s
						}
					}
				}
			}
		}
	}

	tail := rests[len(rests)-1] + d.shortTail()
	room := MaxWidth - displaywidth.String(head) - displaywidth.String(tail) - 1
	return head + " " + cutEnd(HeaderValue(list[0].text(terse)), room) + tail
}

// restsOf say what follows the worst group, from the longest to the shortest.
func restsOf(list []*group) []string {
	if len(list) == 1 {
		return []string{""}
	}

	alerts := 0
	for _, g := range list[1:] {
		alerts += g.alerts
	}
	text := ", " + list[1].text(complete)
	if more := alerts - list[1].alerts; more > 0 {
		text += ", and " + wording.Count(more, "other alert", "other alerts")
	}
	return []string{
		HeaderValue(text),
		" and " + wording.Count(alerts, "other alert", "other alerts"),
		", +" + wording.Count(alerts, "alert", "alerts"),
	}
}
