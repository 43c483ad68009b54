package letter

import (
	"strconv"
	"strings"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/summary"
	"supernats/consumer/wording"
	"supernats/schema"
)

// maxSummary is how many lines the list of rules and hosts has.
const maxSummary = 20

// showMany fills in what a mail about several notifications shows.
func (v *view) showMany(batch []*notify.Notification) {
	if v.Resolved < len(batch) {
		worst := summary.ByWeight(batch)[0]
		v.addWorst(batch[worst], &v.Alerts[worst])
		v.addFacts(batch[worst], &v.Alerts[worst])
	}

	if !summary.IsOneIncident(batch) {
		v.Lists = append(v.Lists, v.summary(batch))
	}
	v.Lists = append(v.Lists, v.sections(batch)...)

	kinds := tally{firing: v.Firing, update: v.Updates, resolved: v.Resolved}
	v.addRow("Notifications", strconv.Itoa(len(batch))+": "+kinds.String())
	v.addRow("Events", strconv.Itoa(v.Events))
	if v.Resolved < len(batch) {
		v.addRow("Severity", v.Severity)
	}
}

// tally counts the notifications of a rule about a host.
type tally struct {
	rule, host                       string
	firing, update, resolved, events int
}

// add adds an alert.
func (c *tally) add(a *Alert) {
	switch a.Kind {
	case kindUpdate:
		c.update++
	case kindResolved:
		c.resolved++
	default:
		c.firing++
	}
	c.events += len(a.Events)
}

// merge adds another tally.
func (c *tally) merge(other *tally) {
	c.firing += other.firing
	c.update += other.update
	c.resolved += other.resolved
	c.events += other.events
}

// String counts what there is: "2 firing, 1 resolved, 3 events".
func (c *tally) String() string {
	var parts []string
	for _, k := range []struct {
		n    int
		kind string
	}{{c.firing, "firing"}, {c.update, "update"}, {c.resolved, "resolved"}} {
		if k.n > 0 {
			parts = append(parts, strconv.Itoa(k.n)+" "+k.kind)
		}
	}
	if c.events > 0 {
		parts = append(parts, wording.Count(c.events, "event", "events"))
	}
	return strings.Join(parts, ", ")
}

// summary counts by rule and host, the worst first.
func (v *view) summary(batch []*notify.Notification) *list {
	type key struct{ rule, host string }
	found := make(map[key]*tally)
	var tallies []*tally
	for _, i := range summary.ByWeight(batch) {
		a := &v.Alerts[i]
		k := key{a.Rule, summary.Short(a.Host)}
		c := found[k]
		if c == nil {
			c = &tally{rule: k.rule, host: k.host}
			found[k] = c
			tallies = append(tallies, c)
		}
		c.add(a)
	}

	var rest *tally
	shown := tallies
	if len(tallies) > maxSummary {
		rest = &tally{}
		shown = tallies[:maxSummary-1]
		for _, c := range tallies[maxSummary-1:] {
			rest.merge(c)
		}
	}

	// Numbers first: no name of a rule makes a line that looks like one of events.
	l := newList("Summary:", len(shown)+1)
	for _, c := range shown {
		l.addCount(c.String() + ": " + wording.Join(" on ", summary.Short(c.rule), c.host))
	}
	if rest != nil {
		l.addCount(rest.String() + ": " + strconv.Itoa(len(tallies)-len(shown)) + " more rules and hosts")
	}
	return l
}

// sectionKey is what the alerts of a section have in common.
type sectionKey struct{ kind, rule, severity string }

// title is that of a section of alerts; it begins with a word of ours.
func (k sectionKey) title(alerts int) string {
	word := "Firing: "
	switch k.kind {
	case kindUpdate:
		word = "Update: "
	case kindResolved:
		word = "Resolved: "
	}
	return word + k.rule + summary.Details(k.severity) + ", " + wording.Count(alerts, "alert", "alerts")
}

// sections list every alert with its events: the worst rule first, what is over last.
func (v *view) sections(batch []*notify.Notification) []*list {
	found := make(map[sectionKey][]int)
	var order []sectionKey
	for _, i := range summary.ByWeight(batch) {
		a := &v.Alerts[i]
		k := sectionKey{a.Kind, a.Rule, a.Severity}
		if found[k] == nil {
			order = append(order, k)
		}
		found[k] = append(found[k], i)
	}

	sections := make([]*list, 0, len(order))
	for _, k := range order {
		sections = append(sections, v.section(batch, found[k], k.title(len(found[k]))))
	}
	return sections
}

// section lists the alerts with the indexes of. Those come first of which the one event
// says all.
func (v *view) section(batch []*notify.Notification, of []int, title string) *list {
	events := 0
	for _, i := range of {
		events += len(v.Alerts[i].Events)
	}
	l := newList(title, events+len(of))

	notes := make(map[int]string)
	worded := make([]int, 0, len(of))
	for _, i := range of {
		a := &v.Alerts[i]
		notes[i] = a.authorNote()
		if notes[i] != "" || !isOneEvent(batch[i]) {
			worded = append(worded, i)
			continue
		}
		ev := &a.Events[0]
		l.addCard(ev.owner(), ev.fullText(batch[i].Data, &batch[i].Data.Events[0]), ev.timeText(v.Time))
		v.addLinks(l, a)
	}

	last := ""
	for _, i := range worded {
		note := notes[i]
		if note == last {
			note = "" // what the rule says about each of them is said once
		} else {
			last = note
		}
		v.addAlert(l, batch[i], &v.Alerts[i], note)
	}
	return l
}

// addLinks links the incident of a card, from where the rest can be reached, and the runbook;
// all about one incident has them above.
func (v *view) addLinks(l *list, a *Alert) {
	if len(v.Links.List()) == 0 {
		l.addLink("Incident", a.Links.Incident)
		l.addLink("Runbook", a.Links.Runbook)
	}
}

// isOneEvent reports whether the one event of a notification says all.
func isOneEvent(n *notify.Notification) bool {
	return len(n.Data.Events) == 1 && n.Type == schema.TypeAlertFiring && summary.More(n) == 0
}

// addAlert adds the card of an alert: a sentence, a note and its events.
func (v *view) addAlert(l *list, n *notify.Notification, a *Alert, note string) {
	head := a.Sentence
	if len(a.Events) == 0 && !a.Opened.IsZero() && notify.LastHeard(n.Data) == "" &&
		n.Type != schema.TypeAlertResolved {
		head += ", since " + withAge(a.Opened, v.Time)
	}
	l.addHead(head)
	l.addNote(note)

	for j := range a.Events {
		ev, who := &a.Events[j], ""
		if a.Host == "" || a.Process == "" {
			who = ev.owner()
		}
		l.addEvent(ev.timeText(v.Time), who, ev.shortText(n.Data, &n.Data.Events[j]))
	}
	if unlisted := summary.More(n) + 1 - len(a.Events); unlisted > 0 && len(a.Events) > 0 {
		l.addNote(wording.Count(unlisted, "more event is", "more events are") + " not listed")
	}
	v.addLinks(l, a)
}

// authorNote is what the rule's author says, in one line, if the sentence does not say it
// already.
func (a *Alert) authorNote() string {
	s := a.Summary
	if strings.Contains(a.Sentence, s) {
		s = ""
	}
	return wording.Cell(strings.Trim(s+" – "+strings.Join(a.Description, " "), " –"), maxField)
}
