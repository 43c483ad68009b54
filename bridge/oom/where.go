package oom

import (
	"time"

	"supernats/schema"
)

// namedPlace says where memory ran out for a victim that the log names.
func (c *cgroups) namedPlace(g *group, v victim, now time.Time) *schema.OOM {
	if v.machine {
		return c.machine()
	}
	if v.cgroup != "" {
		if at := c.byName(v.cgroup); at != nil && c.initial {
			c.sizes(at)
			return at.report()
		}
		return &schema.OOM{Cgroup: cleanName(v.cgroup)}
	}

	if g == nil {
		return &schema.OOM{Cgroup: "/"}
	}
	return c.countedPlace(g, now)
}

// byName returns a group to read the sizes of, or nil.
func (c *cgroups) byName(name string) *group {
	for i := range c.mounts {
		h := &c.mounts[i]
		dir, ok := h.dir(name)
		if !ok {
			continue
		}
		if g := c.groups[dir]; g != nil {
			return g
		}
		if g := (&group{h: h, name: name, dir: dir}); c.tree.exists(dir + "/" + h.limitFile()) {
			return g
		}
	}
	return nil
}

// countedPlace says where memory ran out when a process of a group was killed.
//
// v2 says at which group's limit an allocation failed. v1 does not: there it is the
// nearest one that has reached its limit. If no group that is seen here has, it was the
// machine, or a group that is out of sight in a container.
func (c *cgroups) countedPlace(g *group, now time.Time) *schema.OOM {
	for at := g; at != nil; at = at.parent {
		if at.machine {
			break
		}
		if at.reachedLimit(now) {
			return at.report()
		}
	}

	if g.h.whole {
		return c.machine()
	}
	out := g.report()
	out.Limit = 0 // it was not this one
	return out
}

// machine is what is said when the whole machine was out of memory.
func (c *cgroups) machine() *schema.OOM {
	return &schema.OOM{Cgroup: "/", Limit: c.tree.total()}
}
