package alerts

import (
	"time"

	"supernats/schema"
)

// maxMembers bounds the processes that keep an alert open.
const maxMembers = 10_000

// member is a process that an alert is about.
type member struct {
	inc *incident
	p   *proc
	i   int // in inc.members
	// since is when it came into the state of the rule, while `for` runs; state
	// what will be told of it.
	since time.Time
	state *schema.AlertEvent
	// well is since when it has been well; seq the last message that matched.
	well time.Time
	seq  uint64
	// began is since when it has run, by its host's time, until it matches again.
	began time.Time
}

func (m *member) setWell(t time.Time) {
	m.inc.ill += one(t.IsZero()) - one(m.well.IsZero())
	m.well = t
}

func (m *member) setSince(t time.Time, state *schema.AlertEvent) {
	m.inc.ripening += one(!t.IsZero()) - one(!m.since.IsZero())
	m.since, m.state = t, state
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// join returns the membership of a process, nil if there are too many.
func (g *Engine) join(inc *incident, p *proc) *member {
	mem, _ := g.membership(inc, p)
	return mem
}

// membership is join, and says whether the process was a member before.
func (g *Engine) membership(inc *incident, p *proc) (mem *member, before bool) {
	for _, mem := range p.in {
		if mem.inc == inc {
			return mem, true
		}
	}
	if !g.hasRoom(inc, p) {
		g.drop(p)
		return nil, false
	}
	mem = &member{inc: inc, p: p, i: len(inc.members)}
	inc.ill++
	inc.size += inc.sizeOf(p)
	inc.members = append(inc.members, mem)
	p.in = append(p.in, mem)
	return mem, false
}

// leave ends a membership.
func (g *Engine) leave(mem *member) {
	mem.setSince(time.Time{}, nil)
	mem.inc.ill -= one(mem.well.IsZero())
	mem.inc.size -= mem.inc.sizeOf(mem.p)
	all, last := mem.inc.members, len(mem.inc.members)-1
	all[mem.i] = all[last]
	all[mem.i].i = mem.i
	all[last] = nil
	mem.inc.members = all[:last]
	in := mem.p.in
	for i := range in {
		if in[i] == mem {
			in[i] = in[len(in)-1]
			in[len(in)-1] = nil
			mem.p.in = in[:len(in)-1]
			break
		}
	}
	g.drop(mem.p)
}
