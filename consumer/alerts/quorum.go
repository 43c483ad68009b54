package alerts

import (
	"maps"
	"slices"

	"supernats/consumer/alerts/incident"
	"supernats/consumer/alerts/member"
	"supernats/consumer/rules"
	"supernats/schema"
)

// pool is what a quorum counts: the processes of a group that are RUNNING, and all.
type pool struct{ running, total int }

func (p *pool) isBelow(r *rules.Rule) bool { return p.total > 0 && p.running < r.Quorum }

// move counts a process that was something before.
func (p *pool) move(was, now string) {
	p.total += count(now != "") - count(was != "")
	p.running += count(now == schema.StateRunning) - count(was == schema.StateRunning)
}

// count is 1 for true.
func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// checkQuorum counts the processes of a group. known says that the incidents have seen the
// message, and only the counting is to be done.
func (ps *processes) checkQuorum(
	r *rules.Rule, p *member.Process, was status, s *schema.ProcessRecord, m Meta, known bool,
) {
	k := r.Key(s.Host, s.Group, "")
	counted := ps.pools[k]
	if counted == nil {
		counted = &pool{}
		ps.pools[k] = counted
	}
	before := counted.isBelow(r)
	counted.move(was.state, p.State)
	if counted.total == 0 {
		delete(ps.pools, k)
	}
	if known {
		return
	}

	ps.updateQuorum(k, counted, before, m, func() *schema.AlertEvent {
		ev := stateOf(s, m)
		// One process table can take a group below and above its quorum repeatedly.
		ev.ID = idOf(m, k.Host, k.Group, s.Process)
		return ev
	})
}

// updateQuorum brings the incident of a group up to what was counted. The group stands
// where other rules have a process.
func (ps *processes) updateQuorum(k rules.Key, counted *pool, before bool, m Meta, event func() *schema.AlertEvent) {
	r := ps.set.Rules[k.Rule]
	roster := &ps.book.Register.Roster
	group := roster.Process(member.Name{Host: k.Host, Group: k.Group})
	ps.book.Update(incident.Condition{
		Rule: r, Key: k, Process: group, Meta: m,
		Was: before, Now: counted.isBelow(r), Away: counted.total == 0, Well: true,
		Floor: ps.restored.catchingUp, Event: event,
	})
	roster.Release(group)
}

// leavePools takes a process out of what counts it, and notes which of the pools had too
// few before.
func (ps *processes) leavePools(p *member.Process, below map[rules.Key]bool) {
	if p.State == "" {
		return
	}
	for _, r := range p.Rules {
		k := r.Key(p.Name.Host, p.Name.Group, "")
		counted := ps.pools[k]
		if r.Kind != schema.KindQuorum || counted == nil {
			continue
		}
		if _, ok := below[k]; !ok {
			below[k] = counted.isBelow(r)
		}
		counted.move(p.State, "")
	}
}

// recount looks at the pools that have lost all processes of a host at once.
func (ps *processes) recount(below map[rules.Key]bool, m Meta) {
	for _, k := range slices.SortedFunc(maps.Keys(below), rules.Key.Compare) {
		counted := ps.pools[k]
		if counted.total == 0 {
			delete(ps.pools, k)
		}
		if k.Host != "" {
			continue // its incident is closed by now
		}
		ps.updateQuorum(k, counted, below[k], m, func() *schema.AlertEvent {
			return &schema.AlertEvent{
				ID: idOf(m, k.Group), Time: schema.Time{Time: m.Stored}, Seq: m.Seq,
				Event: schema.TypeBridgePrefix + schema.BridgeForgotten, Group: k.Group,
			}
		})
	}
}
