package mail

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"supernats/consumer/notify"
	"supernats/schema"
)

// maxSummary is how many lines the table of rules and hosts has.
const maxSummary = 20

// digest fills in what a mail about several notifications shows.
func (v *view) digest(batch []*schema.CloudEvent[*schema.Alert]) {
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
		v.Tables = append(v.Tables, v.summary())
	}
	v.Tables = append(v.Tables, v.sections(batch)...)
}

// tally counts the notifications of a rule about a host.
type tally struct {
	rule, host                       string
	firing, update, resolved, events int
}

// summary counts by rule and host.
func (v *view) summary() *table {
	type key struct{ rule, host string }
	found := make(map[key]*tally)
	var list []*tally
	for i := range v.Alerts {
		a := &v.Alerts[i]
		k := key{a.Rule, cmp.Or(cell(a.Host, maxSubjectName), "(several)")}
		c := found[k]
		if c == nil {
			c = &tally{rule: k.rule, host: k.host}
			found[k] = c
			list = append(list, c)
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
	slices.SortStableFunc(list, func(a, b *tally) int {
		return cmp.Or(cmp.Compare(a.rule, b.rule), -cmp.Compare(a.firing+a.update, b.firing+b.update), cmp.Compare(a.host, b.host))
	})
	if len(list) > maxSummary {
		rest := &tally{rule: "(" + strconv.Itoa(len(list)-maxSummary+1) + " more lines)"}
		for _, c := range list[maxSummary-1:] {
			rest.firing, rest.update, rest.resolved, rest.events = rest.firing+c.firing, rest.update+c.update, rest.resolved+c.resolved, rest.events+c.events
		}
		list = append(list[:maxSummary-1], rest)
	}
	t := newTable("Summary:", len(list))
	// Numbers first: no name of a rule makes a line that looks like one of events.
	t.Header, t.numeric = []string{"Firing", "Update", "Resolved", "Events", "Rule", "Host"}, 4
	t.widths = []int{6, 6, 8, 6, 4, 4}
	for _, c := range list {
		t.row([]string{
			strconv.Itoa(c.firing), strconv.Itoa(c.update), strconv.Itoa(c.resolved), strconv.Itoa(c.events),
			cell(c.rule, maxSubjectName), c.host,
		})
	}
	return t
}

// sections list every alert with its events: by kind, the worst rule first.
func (v *view) sections(batch []*schema.CloudEvent[*schema.Alert]) []*table {
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
	kinds := map[string]int{"firing": 0, "update": 1, "resolved": 2}
	slices.SortStableFunc(order, func(a, b key) int { return cmp.Compare(kinds[a.kind], kinds[b.kind]) })
	tables := make([]*table, 0, len(order))
	for _, k := range order {
		title := "Firing: "
		switch k.kind {
		case "update":
			title = "Update: "
		case "resolved":
			title = "Resolved: "
		}
		tables = append(tables, v.section(batch, found[k], title+k.rule+details(k.severity)+", "+count(len(found[k]), "alert", "alerts")))
	}
	return tables
}

func (v *view) section(batch []*schema.CloudEvent[*schema.Alert], list []int, title string) *table {
	events := 0
	for _, i := range list {
		events += len(v.Alerts[i].Events)
	}
	t := newTable(title, events+len(list))
	cells := make([]string, 0, 5*events)
	add := func(a *Alert) {
		for j := range a.Events {
			ev := &a.Events[j]
			from := len(cells)
			cells = append(cells, ev.Time, ev.Host, ev.Name, ev.Event, ev.why())
			t.row(cells[from:len(cells):len(cells)])
		}
	}
	notes := make(map[int]string)
	// An alert of which its one event says all needs no words. Those come first.
	worded := make([]int, 0, len(list))
	for _, i := range list {
		a := &v.Alerts[i]
		if notes[i] = a.note(); notes[i] != "" || len(a.Events) != 1 || batch[i].Type != schema.TypeAlertFiring || more(batch[i]) > 0 {
			worded = append(worded, i)
		} else {
			add(a)
		}
	}
	last := ""
	for _, i := range worded {
		a, head, note := &v.Alerts[i], v.Alerts[i].Sentence, notes[i]
		if len(a.Events) == 0 && !a.Opened.IsZero() && notify.LastHeard(batch[i].Data) == "" && batch[i].Type != schema.TypeAlertResolved {
			head += ", since " + a.Opened.Format(timeFormat)
		}
		t.words(head, "")
		if note != last {
			// What the rule says about each of them is said once.
			t.words("", note)
			last = note
		}
		add(a)
		if unlisted := more(batch[i]) + 1 - len(a.Events); unlisted > 0 && len(a.Events) > 0 {
			t.words("", count(unlisted, "more event is", "more events are")+" not listed")
		}
	}
	return t.compact()
}

// note is what the rule's author says, in one line, if the sentence does not
// say it already.
func (a *Alert) note() string {
	s := a.Summary
	if strings.Contains(a.Sentence, s) {
		s = ""
	}
	return cell(strings.Trim(s+" – "+strings.Join(a.Description, " "), " –"), maxField)
}
