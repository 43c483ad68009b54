package letter

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"supernats/consumer/wording"
	"supernats/schema"
)

// topGroups is how many different things the first sentence tells of.
const topGroups = 2

// digest is a batch by what happened, for its subject and first sentence.
type digest struct {
	// open are told by how they stand at the end of the batch, closed are those
	// that are over by then. The worst come first.
	open, closed []*group
	alerts       int
	resolved     int
	events, late int
	// hungry is how many of the events say that memory ran out.
	hungry int
}

// incident is what a batch says about one alert.
type incident struct {
	notifications []*schema.CloudEvent[*schema.Notification]
	// last says how it stands, news is the last one with events, or else the last.
	last, news *schema.CloudEvent[*schema.Notification]
}

// groupKey is what alerts of one group have in common.
type groupKey struct {
	weight int
	phrase wording.Phrase
	// rule is set where only the rule says what happened.
	rule     string
	resolved bool
}

// group is one thing that happened to several.
type group struct {
	groupKey
	alerts    int
	processes map[origin]bool
	hosts     map[string]bool
	// names are those of the processes, each once, in the order of the alerts.
	// Short ones leave out a group that the process is named after.
	names, shortNames []string
	named             map[string]bool
	// vague is set if an alert names no process: it is about a group.
	vague bool
	// only is the incident if there is one.
	only *incident
}

func newDigest(batch []*schema.CloudEvent[*schema.Notification]) *digest {
	d := &digest{}
	found := make(map[groupKey]*group)
	for _, in := range incidents(batch) {
		key := in.key()
		g := found[key]
		if g == nil {
			g = &group{groupKey: key, processes: map[origin]bool{}, named: map[string]bool{}, hosts: map[string]bool{}, only: in}
			found[key] = g
			if key.resolved {
				d.closed = append(d.closed, g)
			} else {
				d.open = append(d.open, g)
			}
		} else {
			g.only = nil
		}
		g.alerts++
		d.alerts++
		if key.resolved {
			d.resolved++
		}
		for _, n := range in.notifications {
			g.add(n.Data)
			d.events += len(n.Data.Events)
			for i := range n.Data.Events {
				ev := &n.Data.Events[i]
				if ev.Late {
					d.late++
				}
				if ev.Exit != nil && ev.Exit.OOM != nil {
					d.hungry++
				}
			}
		}
	}
	order := func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.weight, b.weight), -cmp.Compare(a.alerts, b.alerts))
	}
	slices.SortStableFunc(d.open, order)
	slices.SortStableFunc(d.closed, order)
	return d
}

// incidents are the alerts of a batch, in the order in which they are told.
func incidents(batch []*schema.CloudEvent[*schema.Notification]) []*incident {
	list := make([]*incident, 0, len(batch))
	found := make(map[string]*incident, len(batch))
	for _, n := range batch {
		in := found[n.Data.Incident]
		if in == nil {
			in = &incident{news: n}
			found[n.Data.Incident] = in
			list = append(list, in)
		}
		in.notifications, in.last = append(in.notifications, n), n
		if len(n.Data.Events) > 0 || len(in.news.Data.Events) == 0 {
			in.news = n
		}
	}
	return list
}

func (in *incident) key() groupKey {
	a := in.news.Data
	if in.last.Type == schema.TypeAlertResolved {
		return groupKey{resolved: true, phrase: wording.Phrase{One: wellAgain(a, false), Many: wellAgain(a, true)}}
	}
	k := groupKey{weight: weight(a.Severity)}
	var ok bool
	if k.phrase, ok = wording.OfAlert(a); !ok {
		k.rule = a.Rule
	}
	return k
}

// text says of one incident how it stands.
func (in *incident) text() string {
	if in.last.Type == schema.TypeAlertResolved {
		return sentence(in.last)
	}
	p := partyOf(in.news.Data)
	if s := recurs(in.news); s != "" {
		return say(in.news.Data, p, s)
	}
	return say(in.news.Data, p, what(in.news.Data, p.many(), false))
}

func (g *group) add(a *schema.Notification) {
	if a.Host != "" {
		g.hosts[a.Host] = true
	}
	if a.Process != "" {
		g.process(origin{a.Host, a.Group, a.Process})
	}
	named := a.Process != "" || a.Group == ""
	for i := range a.Events {
		o := originOf(a, &a.Events[i])
		if o.host != "" {
			g.hosts[o.host] = true
		}
		if o.process != "" {
			g.process(o)
			named = true
		}
	}
	g.vague = g.vague || !named
}

func (g *group) process(o origin) {
	if g.processes[o] {
		return
	}
	g.processes[o] = true
	name := wording.ProcessName(wording.Cell(o.group, maxSubjectName), wording.Cell(o.process, maxSubjectName))
	if !g.named[name] {
		g.named[name] = true
		g.names = append(g.names, name)
		if group, process, ok := strings.Cut(name, ":"); ok && strings.HasPrefix(process, group) {
			name = process // as supervisor itself names what numprocs makes
		}
		g.shortNames = append(g.shortNames, name)
	}
}

// text is "200 processes on 3 hosts exited unexpectedly".
func (g *group) text() string {
	if g.only != nil {
		return g.only.text()
	}
	hosts := wording.Count(len(g.hosts), "host", "hosts")
	if len(g.hosts) == 1 {
		for h := range g.hosts {
			hosts = wording.Cell(h, maxSubjectName)
		}
	}
	on := ""
	if len(g.hosts) > 0 {
		on = " on " + hosts
	}
	alerts := wording.Count(g.alerts, "alert", "alerts")
	switch {
	case g.phrase == wording.Phrase{}:
		return alerts + " of rule " + wording.Cell(g.rule, maxSubjectName) + on
	case g.vague && g.resolved:
		return alerts + on + " are over"
	case g.vague, len(g.processes)+len(g.hosts) == 0:
		return alerts + on + ": " + g.phrase.One
	case len(g.processes) == 0 && len(g.hosts) == 1:
		return hosts + " " + g.phrase.One
	case len(g.processes) == 0:
		return hosts + " " + g.phrase.Plural()
	case len(g.processes) == 1:
		for o := range g.processes {
			return wording.ProcessName(wording.Cell(o.group, maxSubjectName), wording.Cell(o.process, maxSubjectName)) + on + " " + g.phrase.One
		}
	}
	return strconv.Itoa(len(g.processes)) + " processes" + on + " " + g.phrase.Plural()
}

// text is that of the worst groups.
func (d *digest) text() string {
	list := d.open
	if len(list) == 0 {
		list = d.closed
	}
	var parts []string
	rest := 0
	for i, g := range list {
		if i < topGroups {
			parts = append(parts, g.text())
		} else {
			rest += g.alerts
		}
	}
	if rest > 0 {
		parts = append(parts, "and "+wording.Count(rest, "other alert", "other alerts"))
	}
	return strings.Join(parts, ", ")
}

// tail is what else there is to say.
func (d *digest) tail() string {
	var parts []string
	if d.events > d.alerts && d.resolved < d.alerts {
		parts = append(parts, wording.Count(d.events, "event", "events"))
	}
	if d.hungry > 0 {
		parts = append(parts, strconv.Itoa(d.hungry)+" out of memory")
	}
	if d.late > 0 && d.late < d.events {
		parts = append(parts, strconv.Itoa(d.late)+" late")
	}
	if d.resolved > 0 && len(d.open) > 0 {
		parts = append(parts, "and "+strconv.Itoa(d.resolved)+" resolved")
	}
	if parts == nil {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// shortTail is what of the tail stands in every subject.
func (d *digest) shortTail() string {
	if d.resolved > 0 && len(d.open) > 0 {
		return " (" + strconv.Itoa(d.resolved) + " resolved)"
	}
	return ""
}
