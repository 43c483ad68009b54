package alerts

import (
	"supernats/schema"

	"supernats/consumer/rules"
)

// What hosts can make an engine hold is bounded: whoever may publish invents as many
// names as it likes. Beyond the bounds nothing is dropped but told together.

const (
	// maxOpen is how many alerts of one host there are at a time, those that have closed
	// within keepClosed too; maxIncidents is how many of all hosts. What matches beyond
	// is told in one alert for each host and rule, whose group and process are crowd.
	maxOpen      = 10_000
	maxIncidents = 200_000
	// crowd is a name that supervisord allows no program.
	crowd = "*"
	// defaultRoom is how large the record of an alert may become by default: what NATS
	// takes in a message, with some to spare.
	defaultRoom = 1<<20 - 8<<10
	// seqSize and eventSize are what an event that is not told yet takes in a record: its
	// sequence, or the description of a state. memberSize is what a member takes
	// besides its names.
	seqSize, eventSize, memberSize = 21, 2 << 10, 90
)

// Room sets how large the record of an alert may become in bytes, which is what the
// server takes in a message: smaller records list less, and people are notified sooner.
// It is to be called before Restore.
func (g *Engine) Room(bytes int) { g.room = max(bytes, 4<<10) }

// belongs returns the key of the alert that a match of a process belongs to: its own
// unless there are too many, or were when it became a member of the other one. p is nil
// for a process that nothing is known of.
func (g *Engine) belongs(r *rules.Rule, k rules.Key, p *proc) rules.Key {
	if g.incidents[k] != nil {
		return k
	}
	all := crowdOf(r, k)
	if p != nil {
		for _, mem := range p.in {
			if mem.inc.key == all {
				return all
			}
		}
	}
	if len(g.incidents) < maxIncidents && g.perHost[k.Host] < maxOpen {
		return k
	}
	return all
}

func crowdOf(r *rules.Rule, k rules.Key) rules.Key { return r.Key(k.Host, crowd, crowd) }

// uncrowded is the name of a group or a process as people see it: an alert about the crowd is
// one about the host.
func uncrowded(name string) string {
	if name == crowd {
		return ""
	}
	return name
}

// many reports whether an alert may be about more than one process.
func (inc *incident) many() bool {
	return inc.r.Many() || inc.key.Group == crowd || inc.key.Process == crowd
}

// listed is how many events one notification of an alert has at most, and how many are
// kept of one that is held back.
func (g *Engine) listed(inc *incident) int { return min(maxListed, g.fits(inc)) }
func (g *Engine) keeps(inc *incident) int  { return min(maxHeld, g.fits(inc)) }

// fits is how many events have room in the record of an alert: a quarter of it is for
// them.
func (g *Engine) fits(inc *incident) int {
	each := seqSize
	if inc.r.Kind == schema.KindState || inc.r.Kind == schema.KindQuorum || inc.r.Kind == schema.KindTrouble {
		each = eventSize
	}
	return max(1, g.room/4/each)
}

// sizeOf is what a process takes as a member of an alert.
func (inc *incident) sizeOf(p *proc) int {
	return memberSize + len(unlike(p.name.host, inc.key.Host)) + len(unlike(p.name.group, inc.key.Group)) + len(unlike(p.name.process, inc.key.Process))
}

// hasRoom reports whether there is room for one more member: most of a record is theirs.
func (g *Engine) hasRoom(inc *incident, p *proc) bool {
	return len(inc.members) < maxMembers && inc.size+inc.sizeOf(p) <= g.room*7/10
}

// outsider tells of a process that came into the state of a rule and for which there is
// no room among the members of the alert: at once, since nobody would know when it has
// been so for long enough.
func (g *Engine) outsider(inc *incident, c change) {
	if c.was {
		return // it was told
	}
	at := later(c.m.Stored, g.clock)
	g.add(inc, c.p, c.event(), Meta{Seq: c.m.Seq, Stored: at}, false)
	g.matched(inc, at)
	g.schedule(inc)
}
