package alerts

import (
	"slices"

	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/incident"
	"supernats/consumer/alerts/member"
	"supernats/consumer/rules"
	"supernats/schema"
)

// processes follows the states of the processes: for rules over states and quorums, and
// for the members of incidents that events have opened.
type processes struct {
	set      *rules.Set
	book     *incident.Book
	restored *restored
	pools    map[rules.Key]*pool
}

// status is what a process was before a message.
type status struct {
	state    string
	expected bool
}

func statusOf(p *member.Process) status { return status{p.State, p.Expected} }

// applyRecord takes the record of a process after a message changed it.
func (ps *processes) applyRecord(m Meta, s *schema.ProcessRecord) {
	if s.Group != "" && !ps.set.AdmitsGroup(s.Group) {
		return
	}
	roster := &ps.book.Register.Roster
	n := member.Name{Host: s.Host, Group: s.Group, Process: s.Process}
	p := roster.Lookup(n)
	switch {
	case p == nil && s.Gone != nil:
		return
	case p == nil:
		p = roster.Process(n)
	}
	p.Noted(m.Seq, s)

	known := ps.restored.knows(m)
	if isUnchanged(p, s) {
		if !known {
			ps.followMembers(p, s, m)
		}
		return
	}

	was := statusOf(p)
	about := p.Rules
	ps.restored.update(p.Name, s)
	ps.learnState(p, s, clock.Mark{Seq: m.Seq, At: m.Stored})
	if !known {
		ps.followMembers(p, s, m)
	}

	if p.State != "" {
		about = p.Rules
	}
	for _, r := range about {
		ps.checkRule(r, p, was, s, m, known)
	}
	roster.Release(p)
}

func wasExpected(s *schema.ProcessRecord) bool { return s.Expected != nil && *s.Expected }

// isUnchanged reports whether a record says the same of a process as the one before.
func isUnchanged(p *member.Process, s *schema.ProcessRecord) bool {
	return s.Gone == nil && p.State == s.State && (s.State != schema.StateExited || p.Expected == wasExpected(s))
}

// learnState notes the state of a process.
func (ps *processes) learnState(p *member.Process, s *schema.ProcessRecord, at clock.Mark) {
	if p.State == "" {
		p.Rules = nil
		for _, r := range ps.set.States {
			if r.Selects(s.Host, s.Group, s.Process) {
				p.Rules = append(p.Rules, r)
			}
		}
	}

	p.State = s.State
	p.Expected = wasExpected(s)
	p.Seen = at
	p.Snapshot = s.Snapshot != nil
	if s.Gone != nil {
		p.State = ""
	}
}

// followMembers brings the incidents that events have opened up to the state of a process.
func (ps *processes) followMembers(p *member.Process, s *schema.ProcessRecord, m Meta) {
	in := p.Memberships()
	for i := len(in) - 1; i >= 0; i-- { // from the end, since one may end
		mem := in[i]
		inc := incident.Of(mem)
		if inc.Knows(m) || inc.Rule().Kind != schema.KindEvent {
			continue
		}

		ps.book.Show(mem, s, m)
		away := p.State == "" || p.IsStopped()
		if mem.Seq == m.Seq { // the event that matched is the one that changed the state
			ps.book.Recover(mem, m, away || p.IsWell(), false)
			continue
		}
		ps.book.Recover(mem, m, p.IsWell(), away)
	}
}

// checkRule brings a rule over states up to the new state of a process. known says that
// the incidents have seen the message, and only the counting is to be done.
func (ps *processes) checkRule(
	r *rules.Rule, p *member.Process, was status, s *schema.ProcessRecord, m Meta, known bool,
) {
	if r.Kind == schema.KindQuorum {
		ps.checkQuorum(r, p, was, s, m, known)
		return
	}
	if known {
		return
	}

	ps.book.Update(incident.Condition{
		Rule: r, Key: r.Key(s.Host, s.Group, s.Process), Process: p, Meta: m,
		Was:   was.state != "" && r.InState(was.state, &was.expected),
		Now:   p.State != "" && r.InState(p.State, &p.Expected),
		Away:  p.State == "" || p.IsStopped(),
		Well:  p.IsWell() || r.HasState(schema.StateRunning) || r.OnlyUnknown(),
		Floor: ps.restored.catchingUp,
		Event: func() *schema.AlertEvent { return stateOf(s, m) },
	})
}

// forget drops the processes of a host that is gone for good: from incidents about several
// hosts, and from what counts them.
func (ps *processes) forget(host string, m Meta) {
	roster := &ps.book.Register.Roster
	below := map[rules.Key]bool{} // which of the pools were, before
	for _, n := range roster.OnHost(host) {
		p := roster.Lookup(n)
		if p == nil {
			continue
		}
		ps.leavePools(p, below)
		for _, mem := range slices.Clone(p.Memberships()) {
			ps.book.Recover(mem, m, false, true)
		}
		ps.restored.remove(n)
		roster.Forget(p)
	}
	ps.recount(below, m)
}
