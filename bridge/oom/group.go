package oom

import (
	"strings"
	"time"
	"unicode/utf8"

	"supernats/schema"
)

// group is a cgroup with processes that are followed, or one above such. Watch.mu guards it.
type group struct {
	h         *hierarchy
	name, dir string
	parent    *group
	// refs counts processes and groups below.
	refs int
	// machine is set for the root of v2, which has no counters: what the machine has
	// killed without what its cgroups have.
	machine bool

	// kills is how many of its own processes, not of those below, were killed for want
	// of memory by the last reading, if known is set.
	kills uint64
	known bool
	// reached is how often an allocation failed at this group's limit (v2), and
	// reachedAt when that was last seen to rise.
	reached   uint64
	reachedAt time.Time
	// limit and peak are the last values that were seen: systemd removes a cgroup as
	// soon as it is empty. 0 is without a limit, and unknown.
	limit, peak uint64

	// all and below are what the machine and the cgroups below the root of v2 had
	// counted by then.
	all   uint64
	below map[string]uint64

	// raises are those of kills without a known victim; unclear is when processes
	// were killed by SIGKILL that may or may not have died of one of them.
	raises  []*raise
	unclear []time.Time
}

// raise is when a counter was seen to be higher than before, and of how many of the
// processes that were killed then it is not known yet which they are.
type raise struct {
	at   time.Time
	left int
}

// recent is how long before a death the counter may have risen: a process that has
// much memory, or waits for a disk, takes a while to die.
const recent = 2 * time.Second

// unassigned returns how many of the processes that were killed lately are not known yet.
func (g *group) unassigned(now time.Time) (n int) {
	for _, r := range g.raises {
		if now.Sub(r.at) <= recent {
			n += r.left
		}
	}
	return n
}

// claim assigns one of them to a process, nil if there is none.
func (g *group) claim(now time.Time) *raise {
	for _, r := range g.raises {
		if r.left > 0 && now.Sub(r.at) <= recent {
			r.left--
			return r
		}
	}
	return nil
}

// forgetOld drops what is too old to matter.
func (g *group) forgetOld(now time.Time) {
	for len(g.raises) > 0 && (now.Sub(g.raises[0].at) > recent || g.raises[0].left == 0) {
		g.raises = g.raises[1:]
	}
	for len(g.unclear) > 0 && now.Sub(g.unclear[0]) > recent {
		g.unclear = g.unclear[1:]
	}
}

// reachedLimit reports whether an allocation has failed lately at this group's limit. In v1,
// which does not count that, its peak is there, but for what the kernel sets aside.
func (g *group) reachedLimit(now time.Time) bool {
	if g.h.v2 {
		return !g.reachedAt.IsZero() && now.Sub(g.reachedAt) <= recent
	}
	return g.limit > 0 && g.peak >= g.limit-g.limit/64
}

// report is a group in the words of the contract. Before Linux 5.19 v2 has no peak; that
// of a group whose limit was reached is its limit.
func (g *group) report() *schema.OOM {
	out := &schema.OOM{Cgroup: cleanName(g.name), Limit: g.limit, Peak: g.peak}
	if out.Peak == 0 && !g.reachedAt.IsZero() {
		out.Peak = g.limit
	}
	return out
}

// maxName bounds the name of a cgroup in an event, in bytes; the end of it says most.
const maxName = 512

func cleanName(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	if len(name) <= maxName {
		return name
	}
	name = name[len(name)-maxName:]
	for !utf8.RuneStart(name[0]) {
		name = name[1:]
	}
	return "…" + name
}
