package alerts

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"supernats/consumer/rules"

	"supernats/schema"
)

type name struct{ host, group, process string }

func (n name) compare(o name) int {
	return cmp.Or(cmp.Compare(n.host, o.host), cmp.Compare(n.group, o.group), cmp.Compare(n.process, o.process))
}

// proc is a process, or what stands for one in an alert about a host or a group.
type proc struct {
	name name
	// state is empty until it is known; expected is of the last exit.
	state    string
	expected bool
	seen     mark // the message that told it
	// told is the last message that the record has seen, serial the last event of
	// its boot.
	told, serial uint64
	boot         string
	// shown says that a snapshot told the state, and no event has since.
	shown bool
	rules []*rules.Rule // over states, that select it
	in    []*member
}

// proc returns what is known of a process.
func (g *Engine) proc(n name) *proc {
	p := g.procs[n]
	if p == nil {
		n = name{strings.Clone(n.host), strings.Clone(n.group), strings.Clone(n.process)}
		p = &proc{name: n}
		g.procs[n] = p
	}
	return p
}

// drop forgets a process of which nothing is known and that is in no alert.
func (g *Engine) drop(p *proc) {
	if p.state == "" && len(p.in) == 0 {
		delete(g.procs, p.name)
	}
}

// pool is what a quorum counts.
type pool struct{ running, total int }

func (p *pool) below(r *rules.Rule) bool { return p.total > 0 && p.running < r.Quorum }

const (
	running = "RUNNING"
	exited  = "EXITED"
)

// wellAfter reports whether a process is well although an event of it matched. The
// record of a process may know better than the event: from a snapshot that was
// taken later, or from a later event that overtook this one.
func (p *proc) wellAfter(e *schema.Event, m Meta) bool {
	if p.state != "" && (p.told == m.Seq || p.boot == e.Boot && p.serial > e.Serial) {
		return p.isWell() || isStopped(p.state)
	}
	switch e.Event {
	case schema.ProcessStateRunning, schema.ProcessStateStopping, schema.ProcessStateStopped:
		return true
	case schema.ProcessStateExited:
		return e.Expected != nil && *e.Expected
	}
	if schema.Is(e.Event, "PROCESS_STATE") {
		return false
	}
	return e.Process == "" || p.state == "" || isStopped(p.state) || p.isWell()
}

func isStopped(state string) bool { return state == "STOPPING" || state == "STOPPED" }

// isWell: it runs, or did and ended as it should.
func (p *proc) isWell() bool { return p.state == running || p.state == exited && p.expected }

// Process takes the record of a process after a message changed it: an event, or
// a snapshot. With Gone set, its host does not have it any more.
func (g *Engine) Process(m Meta, s *schema.ProcessRecord) {
	m = g.begin(m, s.Host)
	if s.Group != "" && !g.set.AdmitsGroup(s.Group) {
		return
	}
	n := name{s.Host, s.Group, s.Process}
	p := g.procs[n]
	expected := s.Expected != nil && *s.Expected
	switch {
	case p == nil && s.Gone != nil:
		return
	case p == nil:
		p = g.proc(n)
	}
	p.note(m.Seq, s)
	if s.Gone == nil && p.state == s.State && (s.State != exited || p.expected == expected) {
		if !g.floor.covers(m) {
			g.follow(p, s, m)
		}
		return
	}
	was := *p
	if g.restored != nil {
		g.restored[p.name] = *s
	}
	g.learn(p, s, expected, mark{m.Seq, m.Stored})
	known := g.floor.covers(m)
	if !known {
		g.follow(p, s, m)
	}
	for _, r := range was.rulesOf(p) {
		g.condition(r, &was, p, s, m, known)
	}
	g.drop(p)
}

// note remembers which message and event a record has seen.
func (p *proc) note(seq uint64, s *schema.ProcessRecord) {
	p.told, p.serial = seq, s.Serial
	if p.boot != s.Boot {
		p.boot = strings.Clone(s.Boot)
	}
}

// rulesOf returns the rules over states that look at a change.
func (p *proc) rulesOf(now *proc) []*rules.Rule {
	if now.state != "" {
		return now.rules
	}
	return p.rules
}

// learn notes the state of a process.
func (g *Engine) learn(p *proc, s *schema.ProcessRecord, expected bool, at mark) {
	if p.state == "" {
		p.rules = nil
		for _, r := range g.set.States {
			if r.Selects(s.Host, s.Group, s.Process) {
				p.rules = append(p.rules, r)
			}
		}
	}
	p.state, p.expected, p.seen, p.shown = s.State, expected, at, s.Snapshot != nil
	if s.Gone != nil {
		p.state = ""
	}
}

// follow tells the alerts of events about the new state of a process.
func (g *Engine) follow(p *proc, s *schema.ProcessRecord, m Meta) {
	for i := len(p.in) - 1; i >= 0; i-- {
		mem := p.in[i]
		inc := mem.inc
		if inc.known.covers(m) || inc.r.Kind != schema.KindEvent {
			continue
		}
		g.shows(mem, s, m)
		away := p.state == "" || isStopped(p.state)
		if mem.seq == m.Seq { // the event that matched is the one that told the state
			g.recover(mem, m, away || p.isWell(), false)
			continue
		}
		g.recover(mem, m, p.isWell(), away)
	}
}

// recover notes whether a member is well, or needs not be any more.
func (g *Engine) recover(mem *member, m Meta, well, away bool) {
	inc := mem.inc
	switch {
	case away:
		inc.ended(g.whyAway(mem.p))
		g.leave(mem)
	case well == !mem.well.IsZero():
		return
	case well:
		inc.ended(whyWell(mem.p))
		mem.setWell(m.Stored)
	default:
		mem.setWell(time.Time{})
		inc.lasts()
	}
	g.touch(inc, m.Stored)
	if inc.rec.Phase == schema.PhaseFiring && len(inc.members) == 0 {
		g.close(inc, m.Stored)
		return
	}
	if inc.rec.Phase == schema.PhasePending && len(inc.members) == 0 && inc.r.Kind != schema.KindEvent {
		g.forget(inc)
		return
	}
	g.schedule(inc)
}

// condition brings a rule over states up to the new state of a process. known
// says that the alerts have seen the message, and only the counting is to be done.
func (g *Engine) condition(r *rules.Rule, was, now *proc, s *schema.ProcessRecord, m Meta, known bool) {
	if r.Kind == schema.KindQuorum {
		g.quorum(r, was, now, s, m, known)
		return
	}
	if known {
		return
	}
	c := change{
		r: r, key: r.Key(s.Host, s.Group, s.Process), p: now, m: m,
		was: was.state != "" && r.InState(was.state, &was.expected), now: now.state != "" && r.InState(now.state, &now.expected),
		away: now.state == "" || isStopped(now.state), well: now.isWell() || r.HasState(running) || r.OnlyUnknown(),
	}
	c.event = func() *schema.AlertEvent { return stateEvent(s, m) }
	g.change(c)
}

// quorum counts the processes of a group.
func (g *Engine) quorum(r *rules.Rule, was, now *proc, s *schema.ProcessRecord, m Meta, known bool) {
	k := r.Key(s.Host, s.Group, "")
	p := g.pools[k]
	if p == nil {
		p = &pool{}
		g.pools[k] = p
	}
	before := p.below(r)
	p.total += one(now.state != "") - one(was.state != "")
	p.running += one(now.state == running) - one(was.state == running)
	if p.total == 0 {
		delete(g.pools, k)
	}
	if known {
		return
	}
	c := change{
		r: r, key: k, p: g.proc(name{host: k.Host, group: k.Group}), m: m,
		was: before, now: p.below(r), away: p.total == 0, well: true,
	}
	c.event = func() *schema.AlertEvent {
		ev := stateEvent(s, m)
		ev.ID = path(k.Host, k.Group) + micros(m.Stored)
		return ev
	}
	g.change(c)
	g.drop(c.p)
}

// change is one of what a rule over states is about.
type change struct {
	r        *rules.Rule
	key      rules.Key
	p        *proc
	m        Meta
	was, now bool // in the state
	// If it is not now: well, or away and so of no interest any more.
	well, away bool
	event      func() *schema.AlertEvent
}

func (g *Engine) change(c change) {
	c.key = g.belongs(c.r, c.key, c.p)
	inc := g.incidents[c.key]
	if inc != nil && inc.known.covers(c.m) && (!g.catching || inc.known.seq > g.floor.seq) {
		return
	}
	var mem *member
	for _, in := range c.p.in {
		if in.inc == inc {
			mem = in
		}
	}
	if mem != nil && c.r.Kind == schema.KindState {
		inc.shows(c.p)
	}
	switch {
	case c.now && (mem == nil || !c.was):
		inc = g.incident(c.r, c.key)
		g.reopen(inc)
		if mem = g.join(inc, c.p); mem == nil {
			g.outsider(inc, c)
			return
		}
		ev := c.event()
		mem.setSince(c.m.Stored, ev)
		mem.setWell(time.Time{})
		if c.r.Kind == schema.KindState {
			inc.shows(c.p)
		}
		if inc.rec.Phase == schema.PhasePending && len(inc.members) == 1 {
			inc.rec.Incident, inc.rec.Opened = c.r.Name+"/"+ev.ID, ev.Time
		}
		g.touch(inc, c.m.Stored)
		if c.r.For == 0 {
			g.ripen(inc, later(c.m.Stored, g.clock))
		}
		g.schedule(inc)
	case c.now:
		if ev := c.event(); !mem.since.IsZero() && ev.Event != mem.state.Event { // from one of its states to another
			ev.ID = mem.state.ID
			mem.state = ev
			g.touch(inc, c.m.Stored)
		}
	case mem == nil:
	case mem.seq == 0: // it was in the state, but not for long enough
		g.recover(mem, c.m, false, true)
	default:
		if !mem.since.IsZero() {
			mem.setSince(time.Time{}, nil)
			g.touch(inc, c.m.Stored)
		}
		g.recover(mem, c.m, c.well, c.away)
	}
}

// ripe returns when the next member has been in its state for long enough.
func (inc *incident) ripe() (at time.Time) {
	if inc.ripening == 0 {
		return at
	}
	for _, mem := range inc.members {
		if mem.since.IsZero() {
			continue
		}
		if t := mem.since.Add(inc.r.For); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at
}

// ripen matches the members that have been in their state for long enough.
func (g *Engine) ripen(inc *incident, at time.Time) {
	if inc.ripening == 0 {
		return
	}
	var due []*member
	for _, mem := range inc.members {
		if !mem.since.IsZero() && !mem.since.Add(inc.r.For).After(at) {
			due = append(due, mem)
		}
	}
	if len(due) == 0 {
		return
	}
	slices.SortFunc(due, func(a, b *member) int { return strings.Compare(a.state.ID, b.state.ID) })
	for _, mem := range due {
		g.add(inc, mem.p, mem.state, Meta{Seq: mem.state.Seq, Stored: at}, false)
	}
	g.matched(inc, at)
}

// path joins names that are part of an id.
func path(names ...string) string {
	s := ""
	for _, n := range names {
		if n != "" {
			s += n + "/"
		}
	}
	return s
}

// stateEvent describes a state as alerts list it.
func stateEvent(s *schema.ProcessRecord, m Meta) *schema.AlertEvent {
	ev := &schema.AlertEvent{
		ID: path(s.Host, s.Group, s.Process) + micros(m.Stored), Time: s.Since, Seq: m.Seq, Event: "PROCESS_STATE_" + s.State,
		Host: s.Host, Group: s.Group, Process: s.Process, PID: s.PID, Late: isLate(m, s.Since),
	}
	if s.State == exited || s.State == "FATAL" || s.State == "BACKOFF" {
		ev.Exit, ev.Ran, ev.Last = s.Exit, s.Ran, s.Last
		if s.State == exited {
			ev.Expected = s.Expected
		}
	}
	return ev
}
