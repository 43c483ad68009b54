package alerts

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"supernats/consumer/rules"

	"supernats/schema"
)

// Change is a record that is to be stored under a key of the bucket of alerts;
// nil deletes it.
type Change struct {
	Key    string
	Record *schema.Alert
}

// Changed returns the records that have changed since the last call, in the order
// in which they are to be stored: those of rules that are inhibited come before
// those of the rules that inhibit them. If only the first ones of them are
// stored, the messages that come again still make the same notifications. All of
// them are to be stored before the records of processes and hosts are.
func (g *Engine) Changed() []Change {
	type ranked struct {
		rank int
		key  rules.Key
		Change
	}
	var all []ranked
	for _, k := range g.deleted {
		if inc := g.incidents[k]; inc == nil {
			all = append(all, ranked{g.set.Rules[k.Rule].Rank, k, Change{Key: g.recordKey(k)}})
		}
	}
	for _, inc := range g.changed {
		inc.dirty = false
		if g.incidents[inc.key] != inc {
			continue
		}
		all = append(all, ranked{inc.r.Rank, inc.key, Change{g.recordKey(inc.key), inc.record(g.lost)}})
		inc.stored = true
	}
	g.flushed = mark{g.seq, g.read}
	g.letGo()
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(-cmp.Compare(a.rank, b.rank), a.key.Compare(b.key))
	})
	changes := make([]Change, 0, len(all)+len(g.orphans))
	for _, r := range all {
		changes = append(changes, r.Change)
	}
	for _, k := range g.orphans {
		if !slices.ContainsFunc(changes, func(c Change) bool { return c.Key == k }) {
			changes = append(changes, Change{Key: k})
		}
	}
	g.changed, g.deleted, g.orphans = nil, nil, nil
	return changes
}

// letGo looks again at the closed alerts that wait for their end to be stored.
func (g *Engine) letGo() {
	g.parting = slices.DeleteFunc(g.parting, func(inc *incident) bool {
		if inc.parting && !g.isDone(inc) {
			return false
		}
		if inc.parting {
			inc.parting = false
			g.timers.set(&inc.timer, g.clock)
		}
		return true
	})
}

func (g *Engine) recordKey(k rules.Key) string {
	return schema.AlertKey(g.set.Rules[k.Rule].Name, k.Host, k.Group, k.Process)
}

// record writes down all that there is to know about an incident. Events up to the
// sequence lost are not in the stream any more.
func (inc *incident) record(lost uint64) *schema.Alert {
	rec := inc.rec
	rec.Due, rec.HeldUntil = timeOf(inc.due), timeOf(inc.retry)
	rec.Unsent, rec.UnsentStates, rec.Members, rec.Matched = nil, nil, nil, nil
	if inc.r.Kind == schema.KindState || inc.r.Kind == schema.KindQuorum || inc.r.Kind == schema.KindTrouble {
		rec.UnsentStates = slices.Clone(inc.unsent.events)
	} else {
		for i := range inc.unsent.events {
			if ev := inc.unsent.events[i]; ev.Seq <= lost {
				ev.Log = nil // a record has to fit into a message
				rec.UnsentStates = append(rec.UnsentStates, ev)
				continue
			}
			rec.Unsent = append(rec.Unsent, inc.unsent.events[i].Seq)
		}
		rec.UnsentStates = rec.UnsentStates[max(0, len(rec.UnsentStates)-maxListed):] // no more than these are listed
	}
	for _, t := range inc.matched {
		rec.Matched = append(rec.Matched, schema.Time{Time: t})
	}
	for _, mem := range inc.members {
		n := mem.p.name
		rec.Members = append(rec.Members, schema.AlertMember{
			Host: unlike(n.host, rec.Host), Group: unlike(n.group, rec.Group), Process: unlike(n.process, rec.Process),
			Since: timeOf(mem.since), State: mem.state, Well: timeOf(mem.well), Matched: mem.seq, Began: timeOf(mem.began),
		})
	}
	return &rec
}

func timeOf(t time.Time) *schema.Time {
	if t.IsZero() {
		return nil
	}
	return &schema.Time{Time: t}
}

func unlike(s, same string) string {
	if s == same {
		return ""
	}
	return s
}

// Saved is what the buckets hold of an engine that was.
type Saved struct {
	Alerts []*schema.Alert
	// Event describes the message with a sequence by EventOf or LossOf, as it is in
	// the stream, or returns nil if it is not there any more.
	Event  func(seq uint64) *schema.AlertEvent
	States []schema.ProcessRecord
	Hosts  []schema.HostRecord
	// Clock is when the last message was stored that will not come again.
	Clock time.Time
}

// Restore goes on where another engine was when its records were stored. It is to
// be called first, and messages may come that some of the records have seen. An
// alert that the rules do not make any more is told to have resolved.
func (g *Engine) Restore(s Saved) {
	g.clock = instant(s.Clock)
	g.last, g.resumed = g.clock, g.clock
	g.restored = map[name]schema.ProcessRecord{}
	for i := range s.States {
		g.restoreProcess(&s.States[i])
	}
	for i := range s.Hosts {
		h := &s.Hosts[i]
		at := instant(h.LastSeen.Time)
		g.floor.raise(h.Seq, at)
		g.last = later(g.last, at)
		seen := at
		if least, several := mostSilent(h); several {
			seen = least
		}
		restored := g.host(h.Host, seen)
		restored.known = mark{h.Seq, at}
		if h.Stopping != nil {
			restored.stopping = instant(h.Stopping.Time)
		}
		restored.why, restored.stops, restored.goodbye = whySilent(h), h.Stopping != nil, h.SaidGoodbye()
		restored.learn(h)
		g.follows(restored, h)
	}
	alerts := slices.Clone(s.Alerts)
	slices.SortFunc(alerts, func(a, b *schema.Alert) int { return cmp.Compare(recordKey(a), recordKey(b)) })
	for _, rec := range alerts {
		if inc := g.incidentOf(rec); inc != nil {
			g.restore(inc, rec, s.Event)
		} else {
			g.orphan(rec)
		}
	}
}

func recordKey(rec *schema.Alert) string {
	return schema.AlertKey(rec.Rule, rec.Host, rec.Group, rec.Process)
}

func (g *Engine) restoreProcess(s *schema.ProcessRecord) {
	at := mark{s.Seq, instant(s.Updated.Time)}
	g.floor.raise(at.seq, at.at)
	if s.Gone != nil || s.Group != "" && !g.set.AdmitsGroup(s.Group) {
		return
	}
	p := g.proc(name{s.Host, s.Group, s.Process})
	g.restored[p.name] = *s
	p.note(s.Seq, s)
	g.learn(p, s, s.Expected != nil && *s.Expected, at)
	for _, r := range p.rules {
		if r.Kind == schema.KindQuorum {
			g.quorum(r, &proc{}, p, s, Meta{}, true)
		}
	}
}

// incidentOf returns the incident that a record is of, nil if the rules have no
// such any more.
func (g *Engine) incidentOf(rec *schema.Alert) *incident {
	i := slices.IndexFunc(g.set.Rules, func(r *rules.Rule) bool { return r.Name == rec.Rule })
	if i < 0 {
		return nil
	}
	r := g.set.Rules[i]
	k := r.Key(rec.Host, rec.Group, rec.Process)
	if r.Kind != rec.Kind || k != (rules.Key{Rule: i, Host: rec.Host, Group: rec.Group, Process: rec.Process}) || r.ByHost() && rec.Host == "" || g.incidents[k] != nil {
		return nil
	}
	return &incident{r: r, key: k}
}

func (g *Engine) restore(inc *incident, rec *schema.Alert, event func(uint64) *schema.AlertEvent) {
	g.put(inc)
	inc.rec, inc.stored = *rec, true
	inc.rec.Severity, inc.rec.Notify = inc.r.Severity, inc.r.Notify
	inc.known = mark{rec.Seq, rec.Clock.Time}
	for _, seq := range rec.Unsent {
		if event == nil {
			break
		}
		if ev := event(seq); ev != nil {
			g.relist(inc, *ev)
		}
	}
	for _, ev := range rec.UnsentStates {
		if inc.r.Kind == schema.KindEvent && event != nil { // who has read it may know its log
			if whole := event(ev.Seq); whole != nil {
				ev = *whole
			}
		}
		g.relist(inc, ev)
	}
	for _, t := range rec.Matched {
		inc.matched = append(inc.matched, t.Time)
	}
	for _, m := range rec.Members {
		mem := g.join(inc, g.proc(name{cmp.Or(m.Host, rec.Host), cmp.Or(m.Group, rec.Group), cmp.Or(m.Process, rec.Process)}))
		if mem == nil {
			break
		}
		if mem.seq = m.Matched; m.Since != nil {
			mem.setSince(m.Since.Time, m.State)
		}
		if m.Well != nil {
			mem.setWell(m.Well.Time)
		}
		if m.Began != nil {
			mem.began = m.Began.Time
		}
	}
	if rec.Due != nil {
		inc.due = rec.Due.Time
	}
	if rec.HeldUntil != nil {
		g.hold(inc, block{mutedBy: rec.MutedBy, inhibitedBy: rec.InhibitedBy, until: rec.HeldUntil.Time}, rec.Clock.Time)
	}
	if rec.Phase == schema.PhaseFiring && rec.HeardSince == nil {
		g.fires(inc, 1)
	}
	if inc.r.Kind == schema.KindSilent {
		g.restoreSilence(inc)
	}
	g.schedule(inc)
}

// relist adds an event to what is to be told, again.
func (g *Engine) relist(inc *incident, ev schema.AlertEvent) {
	if !inc.many() {
		ev.Host, ev.Group, ev.Process = "", "", ""
	}
	g.keep(inc, func(u *unsent) { u.add(ev, maxLogs-g.logs) })
}

// restoreSilence connects an alert with the host that it is about.
func (g *Engine) restoreSilence(inc *incident) {
	if inc.rec.EndedBy == schema.EndedForgotten {
		return // there is no such host any more, or another one
	}
	seen := inc.rec.Opened.Time
	switch {
	case inc.rec.HeardSince != nil:
		seen = inc.rec.HeardSince.Time
	case inc.rec.Closed != nil: // by a message, which the record of the host may not have seen
		seen = inc.rec.Closed.Time
	}
	h := g.host(inc.key.Host, seen)
	h.seen = later(h.seen, seen)
	if inc.rec.Phase == schema.PhaseResolved {
		return
	}
	w := h.watch(inc.r)
	if w == nil { // the rule does not mean this host any more
		w = &watch{r: inc.r, h: h, timer: timer{index: -1, fire: func(time.Time) {}}}
		h.watches = append(h.watches, w)
	}
	w.inc = inc
	if inc.rec.Graced != nil {
		h.graced = later(h.graced, inc.rec.Graced.Time)
	}
	switch {
	case inc.rec.HeardSince != nil:
		g.timers.set(&w.timer, later(g.silentAt(w), g.clock))
	case inc.rec.Phase == schema.PhaseFiring:
		g.timers.set(&w.timer, time.Time{})
	}
}

// orphan ends an alert of a rule that is not there any more.
func (g *Engine) orphan(rec *schema.Alert) {
	g.orphans = append(g.orphans, recordKey(rec))
	if rec.Phase != schema.PhaseFiring || rec.Notifications == 0 {
		return
	}
	last := *rec
	last.Closed = &schema.Time{Time: later(g.clock, rec.Clock.Time)}
	last.Notifications++
	last.Annotations = explain(maps.Clone(last.Annotations), endings[schema.EndedRule])
	n := note(&last, schema.TypeAlertResolved, nil, last.Closed.Time)
	n.Alert.Ended = schema.EndedRule
	g.notes = append(g.notes, n)
}

// catchUp ends Restore when the states of all processes are those of one time,
// after the last message that any record has seen: the rules over states are held
// against them, since they may not be those of the engine that was.
func (g *Engine) catchUp() {
	states := g.restored
	g.restored, g.catching = nil, true
	defer func() { g.catching = false }()
	check := func(r *rules.Rule, p *proc) {
		s := states[p.name]
		g.condition(r, p, p, &s, Meta{Seq: p.seen.seq, Stored: p.seen.at}, false)
	}
	g.catchUpTroubles()
	// Of a group that has too few, the last process that went down tells since when.
	last := map[rules.Key]*proc{}
	for _, n := range slices.SortedFunc(maps.Keys(states), name.compare) {
		p := g.procs[n]
		if p == nil || p.state == "" {
			continue
		}
		for _, r := range p.rules {
			if r.Kind == schema.KindState {
				check(r, p)
				continue
			}
			k := r.Key(n.host, n.group, "")
			if p.state != running && g.pools[k].below(r) && (last[k] == nil || last[k].seen.at.Before(p.seen.at)) {
				last[k] = p
			}
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(last), rules.Key.Compare) {
		if g.incidents[k] == nil {
			check(g.set.Rules[k.Rule], last[k])
		}
	}
}

// catchUpTroubles holds the rules over troubles against those that hosts have.
func (g *Engine) catchUpTroubles() {
	for _, host := range slices.Sorted(maps.Keys(g.hosts)) {
		h := g.hosts[host]
		for _, r := range g.set.Troubles {
			if !r.OnHost(h.name) {
				continue
			}
			m := Meta{Seq: h.known.seq, Stored: h.known.at}
			for _, t := range h.troubles {
				if r.HasCause(t.Cause) {
					g.trouble(r, h, t, true, true, m)
				}
			}
			inc := g.incidents[r.Key(h.name, "", "")]
			if inc == nil {
				continue
			}
			for _, mem := range slices.Clone(inc.members) {
				if _, ok := find(h.troubles, mem.p.name.process); !ok {
					g.trouble(r, h, schema.HostTrouble{Cause: mem.p.name.process}, true, false, m)
				}
			}
		}
	}
}
