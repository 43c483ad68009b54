package oom

import (
	"os"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"supernats/schema"
)

// group is one cgroup with processes that are followed, or one above such. Watch.mu
// guards it.
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

	// raises are those of kills that nobody has died of yet; unclear is when processes
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

// open returns how many of the processes killed lately are not known yet.
func (g *group) open(now time.Time) (n int) {
	for _, r := range g.raises {
		if now.Sub(r.at) <= recent {
			n += r.left
		}
	}
	return n
}

// claim assigns one of them to a process.
func (g *group) claim(now time.Time) *raise {
	for _, r := range g.raises {
		if r.left > 0 && now.Sub(r.at) <= recent {
			r.left--
			return r
		}
	}
	return nil
}

// forget drops what is too old to matter.
func (g *group) forget(now time.Time) {
	for len(g.raises) > 0 && (now.Sub(g.raises[0].at) > recent || g.raises[0].left == 0) {
		g.raises = g.raises[1:]
	}
	for len(g.unclear) > 0 && now.Sub(g.unclear[0]) > recent {
		g.unclear = g.unclear[1:]
	}
}

// sample reads the counters of a group and of those above it.
func (w *Watch) sample(g *group) {
	now := time.Now()
	for ; g != nil; g = g.parent {
		if g.machine {
			w.sampleMachine(g, now)
		} else {
			w.sampleGroup(g, now)
		}
		g.forget(now)
	}
}

func (w *Watch) sampleGroup(g *group, now time.Time) {
	kills, reached, ok := w.counters(g)
	if !ok {
		return // it is gone; what was seen last is kept
	}

	rose := g.known && kills > g.kills
	if rose {
		g.raises = append(g.raises, &raise{at: now, left: int(min(kills-g.kills, maxProcesses))})
	}
	if g.known && reached > g.reached {
		g.reachedAt = now
	}
	if rose || !g.known || g.reachedAt.Equal(now) {
		w.sizes(g)
	}
	g.kills, g.reached, g.known = kills, reached, true
}

// counters reads oom_kill of a group alone, and how often its limit was reached.
//
// In v2 memory.events.local is there from Linux 5.2 on; before that memory.events did
// not count what is below either. In v1 oom_kill never does.
func (w *Watch) counters(g *group) (kills, reached uint64, ok bool) {
	files := []string{"memory.oom_control"}
	if g.h.v2 {
		files = []string{"memory.events.local", "memory.events"}
	}
	for _, file := range files {
		text, err := w.tree.read(path.Join(g.dir, file), w.buf)
		if err != nil {
			continue
		}
		kills, ok = counter(text, "oom_kill")
		reached, _ = counter(text, "oom")
		return kills, reached, ok
	}
	return 0, 0, false
}

// sizes reads limit and peak.
func (w *Watch) sizes(g *group) {
	if text, err := w.tree.read(path.Join(g.dir, g.h.limitFile()), w.buf); err == nil {
		// v2 says "max" without one, v1 the highest number of pages.
		if g.limit, _ = number(text); g.limit >= 1<<62 {
			g.limit = 0
		}
	}
	if text, err := w.tree.read(path.Join(g.dir, g.h.peakFile()), w.buf); err == nil {
		g.peak, _ = number(text)
	}
}

// sampleMachine counts what was killed in the root of v2. A cgroup below that has
// vanished takes its count along: then nothing is known of this interval.
func (w *Watch) sampleMachine(g *group, now time.Time) {
	all, ok := w.tree.kills(w.buf)
	if !ok || g.known && all == g.all {
		return
	}
	below, inside := map[string]uint64{}, uint64(0)
	entries, err := os.ReadDir(path.Join(string(w.tree), g.dir))
	if err != nil || len(entries) > maxGroups {
		return
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		text, err := w.tree.read(path.Join(g.dir, entry.Name(), "memory.events"), w.buf)
		if err != nil {
			continue
		}
		n, _ := counter(text, "oom_kill")
		below[entry.Name()] = n
		inside += n
	}

	known := g.known
	for name := range g.below {
		if _, ok := below[name]; !ok {
			known = false
		}
	}
	own := all - min(all, inside)
	if known && own > g.kills {
		g.raises = append(g.raises, &raise{at: now, left: int(min(own-g.kills, maxProcesses))})
	}
	g.kills, g.all, g.below, g.known = own, all, below, true
}

// ranOut says where memory ran out when a process of this group was killed.
//
// v2 says at which group's limit an allocation failed. v1 does not: there it is the
// nearest one that has reached its limit. If no group that is seen here has, it was the
// machine, or a group that is out of sight in a container.
func (w *Watch) ranOut(g *group, now time.Time) *schema.OOM {
	for at := g; at != nil; at = at.parent {
		if at.machine {
			break
		}
		if at.h.v2 && !at.reachedAt.IsZero() && now.Sub(at.reachedAt) <= recent ||
			!at.h.v2 && at.limit > 0 && at.peak >= at.limit-at.limit/64 {
			return at.report()
		}
	}
	if g.h.whole {
		return w.machine()
	}
	out := g.report()
	out.Limit = 0 // it was not this one
	return out
}

// report is a group in the words of the contract. Before Linux 5.19 v2 has no peak; that
// of a group whose limit was reached is its limit.
func (g *group) report() *schema.OOM {
	out := &schema.OOM{Cgroup: clean(g.name), Limit: g.limit, Peak: g.peak}
	if out.Peak == 0 && !g.reachedAt.IsZero() {
		out.Peak = g.limit
	}
	return out
}

// machine is what is said when the whole machine was out of memory.
func (w *Watch) machine() *schema.OOM {
	return &schema.OOM{Cgroup: "/", Limit: w.tree.total()}
}

// maxName bounds the name of a cgroup in an event; the end of it says most.
const maxName = 512

func clean(name string) string {
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
