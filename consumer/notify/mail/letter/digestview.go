package letter

import (
	"slices"
	"strconv"
	"strings"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema"
)

// maxSummary is how many lines the list of rules and hosts has.
const maxSummary = 20

// digest fills in what a mail about several notifications shows.
func (v *view) digest(batch []*schema.CloudEvent[*schema.Notification]) {
	var parts []string
	for _, k := range []struct {
		n    int
		kind string
	}{{v.Firing, "firing"}, {v.Updates, "update"}, {v.Resolved, "resolved"}} {
		if k.n > 0 {
			parts = append(parts, strconv.Itoa(k.n)+" "+k.kind)
		}
	}
	v.row("Notifications", strconv.Itoa(len(batch))+": "+strings.Join(parts, ", "))
	v.row("Events", strconv.Itoa(v.Events))
	if v.Resolved < len(batch) {
		v.row("Severity", v.Severity)
	}
	if !sameAlert(batch) {
		v.Lists = append(v.Lists, v.summary(batch))
	}
	v.Lists = append(v.Lists, v.sections(batch)...)
}

// tally counts the notifications of a rule about a host.
type tally struct {
	rule, host                       string
	firing, update, resolved, events int
}

// summary counts by rule and host, the worst first.
func (v *view) summary(batch []*schema.CloudEvent[*schema.Notification]) *list {
	type key struct{ rule, host string }
	found := make(map[key]*tally)
	var tallies []*tally
	for _, i := range byWeight(batch) {
		a := &v.Alerts[i]
		k := key{a.Rule, wording.Cell(a.Host, maxSubjectName)}
		c := found[k]
		if c == nil {
			c = &tally{rule: k.rule, host: k.host}
			found[k] = c
			tallies = append(tallies, c)
		}
		switch a.Kind {
		case "update":
			c.update++
		case "resolved":
			c.resolved++
		default:
			c.firing++
		}
		c.events += len(a.Events)
	}
	shown := tallies
	if len(tallies) > maxSummary {
		rest := &tally{}
		for _, c := range tallies[maxSummary-1:] {
			rest.firing, rest.update, rest.resolved, rest.events = rest.firing+c.firing, rest.update+c.update, rest.resolved+c.resolved, rest.events+c.events
		}
		shown = append(slices.Clone(tallies[:maxSummary-1]), rest)
	}
	l := newList("Summary:", len(shown))
	for i, c := range shown {
		about := wording.Cell(c.rule, maxSubjectName)
		switch {
		case c.rule == "" && i == maxSummary-1:
			about = strconv.Itoa(len(tallies)-maxSummary+1) + " more rules and hosts"
		case c.host != "":
			about += " on " + c.host
		}
		// Numbers first: no name of a rule makes a line that looks like one of events.
		l.count(c.String() + ": " + about)
	}
	return l
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

// sections list every alert with its events: the worst rule first, what is over last.
func (v *view) sections(batch []*schema.CloudEvent[*schema.Notification]) []*list {
	type key struct{ kind, rule, severity string }
	found := make(map[key][]int)
	var order []key
	for _, i := range byWeight(batch) {
		a := &v.Alerts[i]
		k := key{a.Kind, a.Rule, a.Severity}
		if found[k] == nil {
			order = append(order, k)
		}
		found[k] = append(found[k], i)
	}
	sections := make([]*list, 0, len(order))
	for _, k := range order {
		title := "Firing: "
		switch k.kind {
		case "update":
			title = "Update: "
		case "resolved":
			title = "Resolved: "
		}
		sections = append(sections, v.section(batch, found[k], title+k.rule+details(k.severity)+", "+wording.Count(len(found[k]), "alert", "alerts")))
	}
	return sections
}

func (v *view) section(batch []*schema.CloudEvent[*schema.Notification], of []int, title string) *list {
	events := 0
	for _, i := range of {
		events += len(v.Alerts[i].Events)
	}
	l := newList(title, events+len(of))
	notes := make(map[int]string)
	// An alert of which its one event says all needs no words. Those come first.
	worded := make([]int, 0, len(of))
	for _, i := range of {
		a := &v.Alerts[i]
		if notes[i] = a.note(); notes[i] != "" || len(a.Events) != 1 || batch[i].Type != schema.TypeAlertFiring || more(batch[i]) > 0 {
			worded = append(worded, i)
		} else {
			ev := &a.Events[0]
			l.card(ev.who(), ev.what(batch[i].Data, &batch[i].Data.Events[0]), ev.when(v.Time))
		}
	}

	last := ""
	for _, i := range worded {
		a, head, note := &v.Alerts[i], v.Alerts[i].Sentence, notes[i]
		if len(a.Events) == 0 && !a.Opened.IsZero() && notify.LastHeard(batch[i].Data) == "" && batch[i].Type != schema.TypeAlertResolved {
			head += ", since " + when(a.Opened, v.Time)
		}
		l.head(head)
		if note != last {
			// What the rule says about each of them is said once.
			l.note(note)
			last = note
		}
		for j := range a.Events {
			ev, who := &a.Events[j], ""
			if a.Host == "" || a.Process == "" {
				who = ev.who()
			}
			l.event(ev.when(v.Time), who, ev.why(batch[i].Data, &batch[i].Data.Events[j]))
		}
		if unlisted := more(batch[i]) + 1 - len(a.Events); unlisted > 0 && len(a.Events) > 0 {
			l.note(wording.Count(unlisted, "more event is", "more events are") + " not listed")
		}
	}
	return l
}

// note is what the rule's author says, in one line, if the sentence does not
// say it already.
func (a *Alert) note() string {
	s := a.Summary
	if strings.Contains(a.Sentence, s) {
		s = ""
	}
	return wording.Cell(strings.Trim(s+" – "+strings.Join(a.Description, " "), " –"), maxField)
}
