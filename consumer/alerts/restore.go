package alerts

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/incident"
	"supernats/consumer/alerts/member"
	"supernats/consumer/rules"
	"supernats/schema"
)

// restored is what the records of another engine say, from which this one continues. They
// were stored one after the other, so messages may come again that some of them have seen.
//
//   - floor is the last message that any record of a process or a host has seen. Up to it
//     only their states are followed: the incidents have seen it too, since they are stored
//     first.
//   - states are those of the processes until all of them are of one time, after floor;
//     then the rules over states are checked once, since they may not be those of the
//     engine that was, and states is nil.
type restored struct {
	floor  clock.Mark
	states map[member.Name]schema.ProcessRecord
	// from is when the last message was stored that does not come again.
	from time.Time
	// catchingUp is &floor while the rules are checked.
	catchingUp *clock.Mark
}

// knows reports whether a message is one up to the floor.
func (r *restored) knows(m Meta) bool { return r.floor.Covers(m) }

// isPending reports whether the rules are still to be checked.
func (r *restored) isPending() bool { return r.states != nil }

// isPassed reports whether no message up to the floor comes any more, after the last one
// that was read.
func (r *restored) isPassed(last clock.Mark) bool {
	return last.Seq >= r.floor.Seq || !r.floor.At.After(r.from)
}

// update takes the record of a process after a message.
func (r *restored) update(n member.Name, s *schema.ProcessRecord) {
	if r.isPending() {
		r.states[n] = *s
	}
}

func (r *restored) remove(n member.Name) {
	if r.isPending() {
		delete(r.states, n)
	}
}

// Saved is what the buckets hold of an engine that was.
type Saved struct {
	Alerts []*schema.Alert
	// Event describes the message with a sequence by EventOf or LossOf, as it is in the
	// stream, or returns nil if it is not there any more.
	Event  func(seq uint64) *schema.AlertEvent
	States []schema.ProcessRecord
	Hosts  []schema.HostRecord
	// Clock is when the last message was stored that will not come again.
	Clock time.Time
}

// Restore continues where another engine was when its records were stored. It is to be
// called first, and messages may come that some of the records have seen. An alert that the
// rules do not make any more is reported to have ended.
func (g *Engine) Restore(s Saved) {
	from := schema.Instant(s.Clock)
	g.book.Clock.Start(from)
	g.last = from
	g.restored.from = from
	g.restored.states = map[member.Name]schema.ProcessRecord{}

	for i := range s.States {
		g.processes.restore(&s.States[i])
	}
	for i := range s.Hosts {
		seen := g.hosts.restore(&s.Hosts[i])
		g.last = clock.Later(g.last, seen)
	}

	// After the processes and hosts that they are about, and always in the same order.
	alerts := slices.Clone(s.Alerts)
	slices.SortFunc(alerts, func(a, b *schema.Alert) int {
		return cmp.Compare(incident.RecordKey(a), incident.RecordKey(b))
	})
	for _, rec := range alerts {
		inc := g.book.Restore(rec, s.Event)
		if inc != nil && inc.Rule().Kind == schema.KindSilent {
			g.hosts.restoreSilence(inc)
		}
	}
}

// restore takes the record of a process.
func (ps *processes) restore(s *schema.ProcessRecord) {
	at := clock.Mark{Seq: s.Seq, At: schema.Instant(s.Updated.Time)}
	ps.restored.floor.Raise(at.Seq, at.At)
	if s.Gone != nil || s.Group != "" && !ps.set.AdmitsGroup(s.Group) {
		return
	}

	p := ps.book.Register.Roster.Process(member.Name{Host: s.Host, Group: s.Group, Process: s.Process})
	ps.restored.states[p.Name] = *s
	p.Noted(s.Seq, s)
	ps.learnState(p, s, at)
	for _, r := range p.Rules {
		if r.Kind == schema.KindQuorum {
			ps.checkQuorum(r, p, status{}, s, Meta{}, true)
		}
	}
}

// catchUp ends Restore when the states of all processes are those of one time, after the
// last message that any record has seen: the rules over states are checked against them.
func (g *Engine) catchUp() {
	states := g.restored.states
	g.restored.states = nil
	g.restored.catchingUp = &g.restored.floor
	defer func() { g.restored.catchingUp = nil }()

	g.hosts.catchUp()
	g.processes.catchUp(states)
}

// catchUp checks the rules over states and quorums.
func (ps *processes) catchUp(states map[member.Name]schema.ProcessRecord) {
	check := func(r *rules.Rule, p *member.Process) {
		s := states[p.Name]
		ps.checkRule(r, p, statusOf(p), &s, Meta{Seq: p.Seen.Seq, Stored: p.Seen.At}, false)
	}

	// Of a group that has too few, the last process that went down says since when.
	last := map[rules.Key]*member.Process{}
	for _, n := range slices.SortedFunc(maps.Keys(states), member.Name.Compare) {
		p := ps.book.Register.Roster.Lookup(n)
		if p == nil || p.State == "" {
			continue
		}
		for _, r := range p.Rules {
			if r.Kind == schema.KindState {
				check(r, p)
				continue
			}
			k := r.Key(n.Host, n.Group, "")
			if !p.IsRunning() && ps.pools[k].isBelow(r) && (last[k] == nil || last[k].Seen.At.Before(p.Seen.At)) {
				last[k] = p
			}
		}
	}

	for _, k := range slices.SortedFunc(maps.Keys(last), rules.Key.Compare) {
		if ps.book.Register.Lookup(k) == nil {
			check(ps.set.Rules[k.Rule], last[k])
		}
	}
}
