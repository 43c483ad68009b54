package alerts

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"supernats/consumer/rules"

	"supernats/schema"
)

// Forget drops a host that is gone for good, and all alerts about it; what was reported
// of it is reported as over. Of a message that the record of the host has seen it does
// nothing: that host has come back since.
func (g *Engine) Forget(m Meta, host string) {
	m = g.begin(m, "")
	h := g.hosts[host]
	if h != nil && h.known.covers(m) {
		return
	}

	g.unwatch(host) // nothing of what follows is a sign of it
	g.forgetAlerts(m, host)
	g.forgetProcesses(m, host)
	g.unwatch(host)
	delete(g.hosts, host)
}

// unwatch ends waiting for a host.
func (g *Engine) unwatch(host string) {
	h := g.hosts[host]
	if h == nil {
		return
	}
	for _, w := range h.watches {
		w.inc = nil
		g.timers.set(&w.timer, time.Time{})
	}
	h.watches = nil
}

// forgetAlerts closes the alerts about a host, those that hide others first, so that
// nothing holds the end of one back.
func (g *Engine) forgetAlerts(m Meta, host string) {
	var about []*incident
	for k, inc := range g.incidents {
		if k.Host == host && !inc.known.covers(m) {
			about = append(about, inc)
		}
	}
	slices.SortFunc(about, func(a, b *incident) int { return cmp.Or(cmp.Compare(a.r.Rank, b.r.Rank), a.key.Compare(b.key)) })
	for _, inc := range about {
		switch {
		case inc.rec.Phase == schema.PhaseFiring:
			inc.ended(schema.EndedForgotten)
			inc.rec.State = ""
			g.close(inc, m.Stored)
		case inc.rec.Phase == schema.PhaseResolved && inc.held: // another one hid its end
			g.end(inc, m.Stored)
		}
	}
	for _, inc := range about {
		switch {
		case g.incidents[inc.key] != inc:
		case inc.rec.Phase == schema.PhaseResolved && !inc.held:
			inc.rec.EndedBy = schema.EndedForgotten // also of one that had closed: nothing continues it
			g.touch(inc, m.Stored)
			g.timers.set(&inc.timer, time.Time{})
			g.part(inc)
		default:
			g.forget(inc)
		}
	}
}

// forgetProcesses says of the processes of a host that there are none any more: to alerts
// about several hosts, and to rules that count processes.
func (g *Engine) forgetProcesses(m Meta, host string) {
	var names []name
	for n := range g.procs {
		if n.host == host {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, name.compare)

	below := map[rules.Key]bool{} // which of the pools were, before
	for _, n := range names {
		p := g.procs[n]
		if p == nil {
			continue
		}
		g.leavePools(p, below)
		for _, mem := range slices.Clone(p.in) {
			g.recover(mem, m, false, true)
		}
		if p.state = ""; g.restored != nil {
			delete(g.restored, n)
		}
		delete(g.procs, n)
	}
	for _, k := range slices.SortedFunc(maps.Keys(below), rules.Key.Compare) {
		g.recount(k, below[k], m)
	}
}

// leavePools takes a process out of what counts it.
func (g *Engine) leavePools(p *proc, below map[rules.Key]bool) {
	if p.state == "" {
		return
	}
	for _, r := range p.rules {
		k := r.Key(p.name.host, p.name.group, "")
		pool := g.pools[k]
		if r.Kind != schema.KindQuorum || pool == nil {
			continue
		}
		if _, ok := below[k]; !ok {
			below[k] = pool.below(r)
		}
		pool.total--
		pool.running -= one(p.state == running)
	}
}

// recount looks at a pool that has lost all processes of a host at once.
func (g *Engine) recount(k rules.Key, before bool, m Meta) {
	r, pool := g.set.Rules[k.Rule], g.pools[k]
	if pool.total == 0 {
		delete(g.pools, k)
	}
	if k.Host != "" {
		return // its alert is closed by now
	}
	c := change{
		r: r, key: k, p: g.proc(name{group: k.Group}), m: m,
		was: before, now: pool.below(r), away: pool.total == 0, well: true,
	}
	c.event = func() *schema.AlertEvent {
		return &schema.AlertEvent{
			ID: path(k.Group) + micros(m.Stored), Time: schema.Time{Time: m.Stored}, Seq: m.Seq,
			Event: schema.TypeBridgePrefix + schema.BridgeForgotten, Group: k.Group,
		}
	}
	g.change(c)
	g.drop(c.p)
}
