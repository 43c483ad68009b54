package letter

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema"
)

const (
	subjectPrefix = "[supervisor]"
	// maxSubjectWidth is how many columns a subject of ours takes: a list of mails shows
	// no more, and RFC 5322 asks for lines of 78.
	maxSubjectWidth = 78
	// maxNamed is how many processes the subject of a digest names.
	maxNamed = 3
	// maxSeverity is how many characters of a severity stand in a subject.
	maxSeverity = 12
	// minSaid is how many columns are left to what happened, however long the names are.
	minSaid = 20
	// minWho is how many are left to the names.
	minWho = 24
)

// subjectHead is what a subject begins with: how bad it is, or that it is over.
func subjectHead(batch []*schema.CloudEvent[*schema.Notification], over bool, more ...string) string {
	words := []string{subjectPrefix}
	if over {
		words = append(words, "RESOLVED")
	} else {
		words = append(words, strings.ToUpper(wording.Cell(worst(batch), maxSeverity)))
	}
	return HeaderValue(joinWords(append(words, more...)...))
}

// subjectOne is the subject of a mail about one notification.
func subjectOne(n *schema.CloudEvent[*schema.Notification]) string {
	a, over := n.Data, n.Type == schema.TypeAlertResolved
	kind := ""
	if n.Type == schema.TypeAlertUpdate {
		kind = "UPDATE"
	}
	head := subjectHead([]*schema.CloudEvent[*schema.Notification]{n}, over, kind, late([]*schema.CloudEvent[*schema.Notification]{n}))

	p, tail := partyOf(a), ""
	whos, said, short := p.subjects(), told(n, p.many(), true), told(n, p.many(), false)
	if s := notify.Recurrence(n); s != "" && recurs(n) != "" {
		short = briefly.Replace(s)
	}
	who := &whos[len(whos)-1]
	switch k := more(n); {
	case !over && recurs(n) != "": // which says how many
	case over:
		*who = cmp.Or(*who, "alert "+wording.Cell(a.Rule, maxSubjectName))
	case k > 0 && p.many():
		tail = p.besides(k)
	case k > 0:
		tail = " (and " + strconv.Itoa(k) + " more)"
	}
	if said == summaryOf(a) && !over {
		for i := range whos {
			whos[i] = strings.TrimPrefix(whos[i]+":", ":")
		}
	}

	// As it goes into the header, which may be a little longer.
	for i := range whos {
		whos[i] = HeaderValue(whos[i])
	}
	said, short = HeaderValue(said), HeaderValue(short)
	for _, who := range whos {
		for _, text := range []string{said, short, crashed.Replace(short), terse(short), tersest(short)} {
			for _, t := range []string{tail, terse(tail)} {
				if s := joinWords(head, who, text) + t; displaywidth.String(s) <= maxSubjectWidth {
					return s
				}
			}
		}
	}
	// What is cut off last are the names, and never how many there are more.
	tail, short = terse(tail), tersest(short)
	room := maxSubjectWidth - displaywidth.String(head) - displaywidth.String(tail) - 1
	if *who != "" {
		*who = cutMiddle(*who, max(room-min(displaywidth.String(short), minSaid)-1, minWho))
		room -= displaywidth.String(*who) + 1
	}
	return joinWords(head, *who, cutEnd(short, room)) + tail
}

// briefly shortens how often something happened: "crashed 22x in 15m, runs 40s each".
var briefly = strings.NewReplacer(
	" times", "x", " seconds", "s", " second", "s", " minutes", "m", " minute", "m", " hours", "h", " hour", "h",
	" days", "d", " day", "d", " s each", "s each", " m each", "m each", " h each", "h each",
)

// crashed says the same with fewer letters.
var crashed = strings.NewReplacer("exit code ", "exit ", " (and ", " (", ": open for ", " after ", "exited unexpectedly", "crashed")

// memoryAmount is what schema.OOM says of amounts.
var memoryAmount = regexp.MustCompile(`(out of memory) at (?:a limit of )?[0-9.]+(?: (?:[KMGTPE]i)?B)?(?: of [0-9.]+ (?:[KMGTPE]i)?B)?`)

// terse is crashed, and leaves out at how much memory ran out.
func terse(s string) string { return memoryAmount.ReplaceAllString(crashed.Replace(s), "$1") }

// tersest is terse, and leaves out the signal by which the kernel ends what it has no
// memory for.
func tersest(s string) string {
	return strings.Replace(terse(s), "crashed (SIGKILL, out of memory)", "ran out of memory", 1)
}

// subjectMany is the subject of a digest. It names as many processes as fit, the worst
// first, and then says what else there is as long as there is room.
func subjectMany(batch []*schema.CloudEvent[*schema.Notification], d *digest) string {
	over := len(d.open) == 0
	list := d.open
	if over {
		list = d.closed
	}
	head := subjectHead(batch, over, late(batch))
	rest := 0
	for _, g := range list[1:] {
		rest += g.alerts
	}

	// What stands behind the worst, from the longest to the shortest.
	var behind []string
	if len(list) > 1 {
		text := ", " + list[1].text()
		if more := rest - list[1].alerts; more > 0 {
			text += ", and " + wording.Count(more, "other alert", "other alerts")
		}
		behind = append(behind, HeaderValue(text), " and "+wording.Count(rest, "other alert", "other alerts"), ", +"+wording.Count(rest, "alert", "alerts"))
	} else {
		behind = append(behind, "")
	}
	// As many names as possible count more than how many are over.
	for _, wordings := range list[0].wordings() {
		for _, tails := range [][]string{{d.tail(), d.shortTail()}, {""}} {
			for _, named := range wordings {
				for _, b := range behind {
					for _, tail := range tails {
						if s := head + " " + HeaderValue(named) + b + tail; displaywidth.String(s) <= maxSubjectWidth {
							return s
						}
					}
				}
			}
		}
	}

	tail := behind[len(behind)-1] + d.shortTail()
	return head + " " + cutEnd(HeaderValue(terse(list[0].text())), maxSubjectWidth-displaywidth.String(head)-displaywidth.String(tail)-1) + tail
}

// wordings say what happened to a group, with the names of three processes, of two, of
// one, and of none, each in several ways.
func (g *group) wordings() [][]string {
	var all [][]string
	if names := g.names; len(names) > 0 && !g.vague && g.phrase != (wording.Phrase{}) && g.only == nil {
		words := g.phrase.Plural()
		if len(g.processes) == 1 {
			words = g.phrase.One
		}
		host, on := "", ""
		switch {
		case len(g.hosts) == 1:
			for h := range g.hosts {
				host = wording.Cell(h, maxSubjectName) + " "
			}
		case len(g.hosts) > 1:
			on = " on " + strconv.Itoa(len(g.hosts)) + " hosts"
		}
		for n := min(maxNamed, len(names)); n > 0; n-- {
			var list []string
			for _, named := range [][]string{names, g.shortNames} {
				text, tersely := host+strings.Join(named[:n], ", "), host+strings.Join(named[:n], ", ")
				others := len(g.processes) - n
				if n == len(names) {
					others = 0 // those of the same names on other hosts
				}
				if others > 0 {
					text += " and " + wording.Count(others, "other", "others")
					tersely += " +" + strconv.Itoa(others)
				}
				list = append(list, text+" "+words+on)
				hostsMatter := n == len(names) && len(g.processes) > len(names)
				if !hostsMatter {
					list = append(list, text+" "+words, text+" "+terse(words))
				}
				list = append(list, tersely+" "+terse(words)+on)
				if !hostsMatter {
					list = append(list, tersely+" "+terse(words))
				}
			}
			all = append(all, list)
		}
	}
	return append(all, []string{g.text(), terse(g.text())})
}

// joinWords leaves out what is empty.
func joinWords(list ...string) string {
	var words []string
	for _, w := range list {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

// cutMark stands for what is cut off. It is ASCII, so that a subject need not be encoded
// for its sake and can be found with grep.
const cutMark = "..."

// cutEnd makes a text fit into so many columns. It cuts between words where that costs
// little: half a number would be another one.
func cutEnd(s string, width int) string {
	cut := displaywidth.TruncateString(s, max(width, len(cutMark)), cutMark)
	head, ok := strings.CutSuffix(cut, cutMark)
	if !ok || cut == s {
		return cut
	}
	if i := strings.LastIndexByte(head, ' '); i > len(head)/2 && s[len(head)] != ' ' {
		head = head[:i]
	}
	return strings.TrimRight(head, " ,;:(") + cutMark
}

// cutMiddle makes a name fit: its end says as much as its beginning.
func cutMiddle(s string, width int) string {
	if displaywidth.String(s) <= width {
		return s
	}
	head := displaywidth.TruncateString(s, max(width/2, 1), "")
	rest := s[len(head):]
	for rest != "" && displaywidth.String(head)+len(cutMark)+displaywidth.String(rest) > width {
		signs := displaywidth.StringGraphemes(rest)
		signs.Next()
		rest = rest[len(signs.Value()):]
	}
	return head + cutMark + rest
}
