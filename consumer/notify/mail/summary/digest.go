package summary

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"supernats/consumer/wording"
	"supernats/schema"
)

// topGroups is how many different things the first sentence reports.
const topGroups = 2

// digest is a batch by what happened.
type digest struct {
	// open are the groups that are not over at the end of the batch, closed the others.
	// The worst come first.
	open, closed []*group
	// alerts counts those of all groups, resolved those of closed ones.
	alerts, resolved int
	// events counts those of all alerts, late those that happened long ago, outOfMemory
	// those that say that memory ran out.
	events, late, outOfMemory int
}

func newDigest(batch []*Notification) *digest {
	d := &digest{}
	found := make(map[groupKey]*group)
	for _, in := range incidentsOf(batch) {
		key := in.key()
		g := found[key]
		if g == nil {
			g = newGroup(key, in)
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
		d.countIncident(g, in)
	}

	order := func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.weight, b.weight), -cmp.Compare(a.alerts, b.alerts))
	}
	slices.SortStableFunc(d.open, order)
	slices.SortStableFunc(d.closed, order)
	return d
}

// countIncident adds an incident to its group and to the numbers of the digest.
func (d *digest) countIncident(g *group, in *incident) {
	d.alerts++
	if g.resolved {
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
				d.outOfMemory++
			}
		}
	}
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
			parts = append(parts, g.text(complete))
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
	if d.outOfMemory > 0 {
		parts = append(parts, strconv.Itoa(d.outOfMemory)+" out of memory")
	}
	if d.late > 0 && d.late < d.events {
		parts = append(parts, strconv.Itoa(d.late)+" late")
	}
	if d.resolved > 0 && len(d.open) > 0 {
		parts = append(parts, "and "+strconv.Itoa(d.resolved)+" resolved")
	}
	return Details(strings.Join(parts, ", "))
}

// shortTail is what of the tail stands in every subject.
func (d *digest) shortTail() string {
	if d.resolved > 0 && len(d.open) > 0 {
		return " (" + strconv.Itoa(d.resolved) + " resolved)"
	}
	return ""
}

// incident is what a batch says about one alert.
type incident struct {
	notifications []*Notification
	// last says how it stands, news is the last one with events, or else the last.
	last, news *Notification
}

// incidentsOf are the alerts of a batch, in the order in which they are reported.
func incidentsOf(batch []*Notification) []*incident {
	list := make([]*incident, 0, len(batch))
	found := make(map[string]*incident, len(batch))
	for _, n := range batch {
		in := found[n.Data.Incident]
		if in == nil {
			in = &incident{news: n}
			found[n.Data.Incident] = in
			list = append(list, in)
		}

		in.notifications = append(in.notifications, n)
		in.last = n
		if len(n.Data.Events) > 0 || len(in.news.Data.Events) == 0 {
			in.news = n
		}
	}
	return list
}

// key is the group to which the incident belongs.
func (in *incident) key() groupKey {
	a := in.news.Data
	if in.last.Type == schema.TypeAlertResolved {
		return groupKey{resolved: true, phrase: wording.Phrase{One: ending(a, false), Many: ending(a, true)}}
	}

	if wording.IsAnswer(in.last) {
		k := groupKey{phrase: wording.Phrase{One: answer(in.last, false), Many: answer(in.last, true)}}
		if k.weight = Weight(a.Severity); in.last.Type == schema.TypeAlertAcknowledged {
			k.weight += answeredWeight
		}
		return k
	}

	k := groupKey{weight: Weight(a.Severity)}
	var ok bool
	if k.phrase, ok = wording.OfAlert(a); !ok {
		k.rule = a.Rule
	}
	return k
}

// text says how the incident stands.
func (in *incident) text(b brevity) string {
	if in.last.Type == schema.TypeAlertResolved || wording.IsAnswer(in.last) {
		return sentence(in.last, b)
	}

	p := PartyOf(in.news.Data)
	if s := recurrence(in.news, b); s != "" {
		return withParty(in.news.Data, p, s)
	}
	return withParty(in.news.Data, p, whatHappened(in.news.Data, p.isMany(), max(b, plain)))
}
