package oom

import (
	"os"
	"path"
	"strconv"
	"time"
)

// cgroups are those of the processes that are followed, and those above them, with their
// counters. Watch.mu guards them.
type cgroups struct {
	tree   tree
	mounts []hierarchy
	// initial is set if cgroups are named here as in the kernel's log.
	initial bool

	buf    []byte            // for files that are read
	groups map[string]*group // by directory
	// full is set by find if there are too many groups.
	full bool
}

func newCgroups(t tree) cgroups {
	c := cgroups{
		tree: t, initial: t.inside("cgroup", initialCgroups),
		buf: make([]byte, 0, bufSize), groups: map[string]*group{},
	}
	if text, err := t.read("proc/self/mountinfo", nil); err == nil {
		c.mounts = hierarchies(text, c.initial)
	}
	return c
}

// maxDepth bounds how far up cgroups are followed.
const maxDepth = 64

// find returns the group of a process, of which the caller holds one reference, or nil
// where nothing can be known of it; there is false if there is no such process.
func (c *cgroups) find(pid int) (g *group, there bool) {
	c.full = false
	text, err := c.tree.read("proc/"+strconv.Itoa(pid)+"/cgroup", c.buf)
	if err != nil {
		return nil, false
	}
	name, v2, ok := memoryOf(text)
	if !ok {
		return nil, true
	}

	for i := range c.mounts {
		h := &c.mounts[i]
		if h.v2 != v2 {
			continue
		}
		if _, ok := h.dir(name); ok {
			return c.open(h, name, maxDepth, true), true
		}
	}
	return nil, true
}

// open returns the group with a name, or the nearest one above it that has memory
// counters: only that one is charged. The root of v2 has none, and is of use to those
// that run in it only.
func (c *cgroups) open(h *hierarchy, name string, depth int, runs bool) *group {
	for ; ; name, depth = path.Dir(name), depth-1 {
		dir, ok := h.dir(name)
		if !ok || depth <= 0 {
			return nil
		}
		if g := c.groups[dir]; g != nil {
			g.refs++
			return g
		}

		counts := c.tree.exists(path.Join(dir, h.limitFile()))
		if name != h.root && !counts {
			continue
		}
		c.full = c.full || len(c.groups) >= maxGroups
		if c.full || !counts && !(runs && h.v2 && h.whole && !h.local) {
			return nil
		}

		g := &group{h: h, name: name, dir: dir, refs: 1, machine: !counts}
		if name != h.root {
			g.parent = c.open(h, path.Dir(name), depth-1, false)
		}
		c.groups[dir] = g
		c.sample(g)
		return g
	}
}

// release gives a reference back.
func (c *cgroups) release(g *group) {
	for ; g != nil; g = g.parent {
		if g.refs--; g.refs > 0 {
			return
		}
		delete(c.groups, g.dir)
	}
}

// sample reads the counters of a group and of those above it.
func (c *cgroups) sample(g *group) {
	now := time.Now()
	for ; g != nil; g = g.parent {
		if g.machine {
			c.sampleMachine(g, now)
		} else {
			c.sampleGroup(g, now)
		}
		g.forgetOld(now)
	}
}

func (c *cgroups) sampleGroup(g *group, now time.Time) {
	kills, reached, ok := c.counters(g)
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
		c.sizes(g)
	}
	g.kills, g.reached, g.known = kills, reached, true
}

// counters reads oom_kill of a group alone, and how often its limit was reached.
//
// In v2 memory.events.local is there from Linux 5.2 on; before that memory.events did
// not count what is below either. In v1 oom_kill never does.
func (c *cgroups) counters(g *group) (kills, reached uint64, ok bool) {
	files := []string{"memory.oom_control"}
	if g.h.v2 {
		files = []string{"memory.events.local", "memory.events"}
	}
	for _, file := range files {
		text, err := c.tree.read(path.Join(g.dir, file), c.buf)
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
func (c *cgroups) sizes(g *group) {
	if text, err := c.tree.read(path.Join(g.dir, g.h.limitFile()), c.buf); err == nil {
		// v2 says "max" without one, v1 the highest number of pages.
		if g.limit, _ = number(text); g.limit >= 1<<62 {
			g.limit = 0
		}
	}
	if text, err := c.tree.read(path.Join(g.dir, g.h.peakFile()), c.buf); err == nil {
		g.peak, _ = number(text)
	}
}

// sampleMachine counts what was killed in the root of v2. A cgroup below that has
// vanished takes its count along: then nothing is known of this interval.
func (c *cgroups) sampleMachine(g *group, now time.Time) {
	all, ok := c.tree.kills(c.buf)
	if !ok || g.known && all == g.all {
		return
	}
	below, inside, ok := c.killsBelow(g)
	if !ok {
		return
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

// killsBelow returns how many processes the cgroups below a group have killed, by their
// names and together.
func (c *cgroups) killsBelow(g *group) (below map[string]uint64, sum uint64, ok bool) {
	entries, err := os.ReadDir(path.Join(string(c.tree), g.dir))
	if err != nil || len(entries) > maxGroups {
		return nil, 0, false
	}

	below = map[string]uint64{}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		text, err := c.tree.read(path.Join(g.dir, entry.Name(), "memory.events"), c.buf)
		if err != nil {
			continue
		}
		n, _ := counter(text, "oom_kill")
		below[entry.Name()] = n
		sum += n
	}
	return below, sum, true
}
