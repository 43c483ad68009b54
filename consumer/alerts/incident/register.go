package incident

import (
	"iter"
	"maps"

	"supernats/consumer/alerts/member"
	"supernats/consumer/rules"
	"supernats/schema"
)

// Register says which incidents there are and which processes keep them open, and bounds
// both.
type Register struct {
	Roster member.Roster

	set       *rules.Set
	incidents map[rules.Key]*Incident
	perHost   map[string]int // how many incidents there are of each host
	limits    limits
}

func newRegister(set *rules.Set) Register {
	return Register{
		Roster: member.NewRoster(),
		set:    set, incidents: map[rules.Key]*Incident{}, perHost: map[string]int{},
		limits: limits{record: defaultRecord},
	}
}

// Limit sets how large the record of an incident may become in bytes, which is what the
// server takes in a message: smaller records list less, and people are notified sooner. It
// is to be called before Restore.
func (r *Register) Limit(bytes int) { r.limits.record = max(bytes, 4<<10) }

// Lookup returns the incident of a key, nil if there is none.
func (r *Register) Lookup(k rules.Key) *Incident { return r.incidents[k] }

// Named returns the incident of an id, nil if there is none. The names are those of its
// notifications.
func (r *Register) Named(id string, rule *rules.Rule, host, group, process string) *Incident {
	for _, k := range []rules.Key{
		{Rule: rule.Index, Host: host, Group: group, Process: process},
		rule.CrowdKey(host), // whose names are not in a notification
	} {
		if inc := r.incidents[k]; inc != nil && inc.rec.Incident == id {
			return inc
		}
	}
	return nil
}

// All returns the incidents, in no order.
func (r *Register) All() iter.Seq[*Incident] { return maps.Values(r.incidents) }

// OnHost returns the incidents about a host alone, in no order.
func (r *Register) OnHost(host string) (all []*Incident) {
	for k, inc := range r.incidents {
		if k.Host == host {
			all = append(all, inc)
		}
	}
	return all
}

// KeyOf returns the key of the incident that a match of a process belongs to: its own,
// unless there are too many or were when it became a member of the other one. p is nil for
// a process of which nothing is known.
func (r *Register) KeyOf(rule *rules.Rule, k rules.Key, p *member.Process) rules.Key {
	if r.incidents[k] != nil {
		return k
	}
	all := rule.CrowdKey(k.Host)
	if p != nil {
		for _, mem := range p.Memberships() {
			if Of(mem).key == all {
				return all
			}
		}
	}
	if len(r.incidents) < maxIncidents && r.perHost[k.Host] < maxOpen {
		return k
	}
	return all
}

func (r *Register) put(inc *Incident) {
	r.incidents[inc.key] = inc
	r.perHost[inc.key.Host]++
}

func (r *Register) remove(inc *Incident) {
	delete(r.incidents, inc.key)
	r.perHost[inc.key.Host]--
	if r.perHost[inc.key.Host] == 0 {
		delete(r.perHost, inc.key.Host)
	}
}

// join returns the membership of a process, nil if there are too many, and whether it was
// a member before.
func (r *Register) join(inc *Incident, p *member.Process) (mem *member.Member, before bool) {
	if mem := p.In(inc); mem != nil {
		return mem, true
	}
	if !r.limits.haveRoom(inc, p) {
		r.Roster.Release(p)
		return nil, false
	}
	return inc.members.Add(inc, p), false
}

func (r *Register) leave(mem *member.Member) {
	Of(mem).members.Remove(mem)
	r.Roster.Release(mem.Process)
}

func (r *Register) leaveAll(inc *Incident) {
	for inc.members.Len() > 0 {
		r.leave(inc.members.All()[0])
	}
}

// incidentOf returns the incident that a record is of, without what it holds; nil if the
// rules have no such any more.
func (r *Register) incidentOf(rec *schema.Alert) *Incident {
	rule := r.set.Rule(rec.Rule)
	if rule == nil || rule.Kind != rec.Kind || rule.ByHost() && rec.Host == "" {
		return nil
	}
	k := rule.Key(rec.Host, rec.Group, rec.Process)
	own := rules.Key{Rule: rule.Index, Host: rec.Host, Group: rec.Group, Process: rec.Process}
	if k != own || r.incidents[k] != nil {
		return nil
	}
	return &Incident{rule: rule, key: k}
}
