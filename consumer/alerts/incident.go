package alerts

import (
	"strconv"
	"strings"
	"time"

	"supernats/consumer/rules"

	"supernats/schema"
)

// incident is an alert from its first match until it is forgotten. Its record
// holds all that there is to know about it; the rest is made from it.
type incident struct {
	r   *rules.Rule
	key rules.Key
	rec schema.Alert
	// known is the last message that the record had seen when it was restored.
	known   mark
	timer   timer
	members []*member
	size    int // what the members take in a record
	// ill counts the members that are not well, ripening those for which `for` runs.
	ill, ripening int
	unsent        unsent
	// matched are the times of unsent while a rule with count waits for more.
	matched []time.Time
	due     time.Time // rec.Due
	// held says that a notification is due and something holds it back, until
	// when at most (zero: until it is released).
	held  bool
	retry time.Time

	dirty, stored bool // to be handed out by Changed; handed out before
	parting       bool // to be forgotten when its end has been stored
}

// keepClosed is how long a closed alert is kept for people to see. It must have
// been stored, so that messages that come again find that they were seen.
const keepClosed = time.Hour

// incident returns the alert of a key, a new one if it has none.
func (g *Engine) incident(r *rules.Rule, k rules.Key) *incident {
	inc := g.incidents[k]
	if inc == nil {
		inc = &incident{r: r, key: k}
		g.put(inc)
	}
	if inc.rec.Phase == "" || inc.rec.Phase == schema.PhaseResolved && !inc.held {
		inc.renew()
	}
	return inc
}

// put adds an incident to what is known.
func (g *Engine) put(inc *incident) {
	inc.timer = timer{index: -1, rank: inc.r.Rank, key: inc.key, fire: func(at time.Time) { g.fire(inc, at) }}
	g.incidents[inc.key] = inc
	g.perHost[inc.key.Host]++
}

// renew begins another alert in the place of one that is over.
func (inc *incident) renew() {
	before := prior(&inc.rec)
	inc.rec = schema.Alert{
		Prior: before, Rule: inc.r.Name, Severity: inc.r.Severity, Kind: inc.r.Kind, Phase: schema.PhasePending, Notify: inc.r.Notify,
		Host: inc.key.Host, Group: inc.key.Group, Process: inc.key.Process, Seq: inc.rec.Seq, Clock: inc.rec.Clock,
	}
	inc.parting = false
}

// touch notes that the record has changed: it has seen all messages so far.
func (g *Engine) touch(inc *incident, at time.Time) {
	inc.rec.Seq, inc.rec.Clock.Time = max(inc.rec.Seq, g.seq), later(inc.rec.Clock.Time, at)
	if !inc.dirty {
		inc.dirty = true
		g.changed = append(g.changed, inc)
	}
}

// match is an event of a process that matched. well says that the process is well
// all the same, as one that wrote a line.
func (g *Engine) match(inc *incident, p *proc, ev *schema.AlertEvent, m Meta, well bool) {
	g.add(inc, p, ev, m, well)
	if inc.rec.Phase == schema.PhaseFiring || g.enough(inc, ev, m.Stored) {
		g.matched(inc, m.Stored)
	}
	g.schedule(inc)
}

// add counts and lists an event.
func (g *Engine) add(inc *incident, p *proc, ev *schema.AlertEvent, m Meta, well bool) {
	g.stats[inc.r.Index].Matched++
	mem, is := g.membership(inc, p)
	if inc.rec.Phase == schema.PhaseFiring && (!is || inc.quiet(ev)) {
		inc.rec.Updates = 0 // it must not wait for long because of another one, or of what was long ago
	}
	if mem != nil {
		inc.ran(mem, ev.Time.Time)
		mem.setSince(time.Time{}, nil)
		mem.setWell(time.Time{})
		if mem.seq = m.Seq; well {
			mem.setWell(m.Stored)
		}
	}
	if !well {
		inc.lasts()
	}
	if state, ok := strings.CutPrefix(ev.Event, "PROCESS_STATE_"); ok && !well {
		inc.rec.State = state
	}
	g.reopen(inc)
	listed := *ev
	if !inc.many() {
		listed.Host, listed.Group, listed.Process = "", "", ""
	}
	g.list(inc, listed)
	g.lateNews(inc, m.Stored)
	g.touch(inc, m.Stored)
}

// reopen goes on with an alert that closed but could not say so yet.
func (g *Engine) reopen(inc *incident) {
	if inc.rec.Phase == schema.PhaseResolved {
		inc.rec.Phase, inc.rec.Closed, inc.rec.HeardSince = schema.PhaseFiring, nil, nil
		inc.lasts()
		g.fires(inc, 1)
	}
}

// matched tells of what was added, when it is time.
func (g *Engine) matched(inc *incident, at time.Time) {
	if inc.rec.Phase == schema.PhasePending {
		first := inc.unsent.events[0]
		g.open(inc, first.ID, first.Time.Time, at)
	}
	g.want(inc, at)
}

// list adds an event to what is to be told.
func (g *Engine) list(inc *incident, ev schema.AlertEvent) {
	inc.rec.Count++
	g.keep(inc, func(u *unsent) { u.add(ev, maxLogs-g.logs) })
	if !inc.many() && !inc.held && inc.rec.Phase == schema.PhaseFiring && len(inc.unsent.events) > min(maxFlapping, g.fits(inc)) {
		g.fold(inc)
	}
	ev.Log = nil
	inc.rec.Last = &ev
	if inc.held && inc.rec.MutedBy != "" {
		inc.rec.Muted++
	}
}

// enough reports whether a rule with count has all that it waits for. What is
// too long ago is forgotten; the events' own times decide, since a spool that is
// drained delivers the crashes of a day at once.
func (g *Engine) enough(inc *incident, ev *schema.AlertEvent, at time.Time) bool {
	if inc.r.Count <= 1 {
		return true
	}
	inc.matched = append(inc.matched, ev.Time.Time)
	old := 0
	for old < len(inc.matched) && ev.Time.Sub(inc.matched[old]) > inc.r.Within {
		old++
	}
	inc.matched = inc.matched[old:]
	g.keep(inc, func(u *unsent) { u.drop(old) })
	inc.rec.Count = len(inc.matched)
	if len(inc.matched) >= inc.r.Count {
		inc.matched = nil
		return true
	}
	first := inc.unsent.events[0]
	inc.rec.Incident, inc.rec.Opened = inc.r.Name+"/"+first.ID, first.Time
	inc.due = at.Add(inc.r.Within)
	return false
}

// open makes an alert fire. cause is the last part of its id, opened what people
// see, at when the stream told it. Its end will be of the stream's clock: a host
// whose clock is up to state.WrongClock ahead opens nothing in the future, or the
// alert would seem to have ended before it began.
func (g *Engine) open(inc *incident, cause string, opened, at time.Time) {
	if opened.After(at) {
		opened = at
	}
	inc.rec.Incident, inc.rec.Phase, inc.rec.Opened = inc.r.Name+"/"+cause, schema.PhaseFiring, schema.Time{Time: opened}
	inc.due = at.Add(inc.r.GroupWait)
	g.resume(inc, at)
	g.fires(inc, 1)
}

// fires counts the alerts of inhibiting rules.
func (g *Engine) fires(inc *incident, n int) {
	if !inc.r.Inhibits {
		return
	}
	f := firing{inc.r, inc.key.Host}
	if g.firing[f] += n; g.firing[f] <= 0 {
		delete(g.firing, f)
	}
}

// want makes the next notification due, now if it is time.
func (g *Engine) want(inc *incident, at time.Time) {
	if inc.rec.Notified != nil && !inc.rec.Again {
		due, quiet := inc.rec.Notified.Add(inc.wait()), at.Add(inc.quietAfter())
		if quiet.Before(due) {
			due = quiet
		}
		inc.due = later(due, at)
	}
	// What one process does can wait: see recur.go.
	full := len(inc.unsent.events) >= g.listed(inc) && (inc.many() || inc.rec.Notifications == 0 || g.blocked(inc, at).any()) || g.tooMuch(inc, at)
	switch {
	case inc.held && len(inc.unsent.events) < g.keeps(inc):
	case inc.held || full || !inc.due.After(at):
		g.tell(inc, at)
	}
}

// fire is the incident's timer.
func (g *Engine) fire(inc *incident, at time.Time) {
	r := inc.r
	switch inc.rec.Phase {
	case schema.PhaseResolved:
		if inc.held {
			g.end(inc, at)
		} else {
			g.part(inc)
		}
		g.schedule(inc)
		return
	case schema.PhasePending:
		if r.Kind == schema.KindEvent { // not often enough
			g.forget(inc)
			return
		}
	}
	g.ripen(inc, at)
	if inc.rec.Phase == schema.PhaseFiring {
		if closing, ok := inc.closing(); ok && !closing.After(at) {
			g.close(inc, at)
		} else if inc.held && isDue(inc.retry, at) || !inc.held && isDue(inc.due, at) {
			g.tell(inc, at)
		}
	}
	g.schedule(inc)
}

func isDue(t, at time.Time) bool { return !t.IsZero() && !t.After(at) }

// schedule sets the timer to what comes next.
func (g *Engine) schedule(inc *incident) {
	if g.incidents[inc.key] != inc {
		return
	}
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	switch {
	case inc.held:
		sooner(inc.retry)
	case inc.rec.Phase == schema.PhaseResolved:
		switch {
		case inc.parting:
		case inc.rec.Count == 0: // nothing that people would want to see
			sooner(inc.rec.Closed.Time)
		default:
			sooner(inc.rec.Closed.Add(max(keepClosed, inc.r.GroupInterval)))
		}
	default:
		sooner(inc.due)
	}
	if inc.rec.Phase != schema.PhaseResolved {
		sooner(inc.ripe())
		if closing, ok := inc.closing(); ok {
			sooner(later(closing, inc.rec.Clock.Time))
		}
	}
	if !next.IsZero() { // a record that was restored may be ahead of the clock
		next = later(next, later(g.clock, inc.rec.Clock.Time))
	}
	g.timers.set(&inc.timer, next)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// closing returns when the alert closes if nothing happens: when all have been
// well for long enough.
func (inc *incident) closing() (at time.Time, ok bool) {
	if inc.rec.Phase == schema.PhaseFiring && inc.rec.HeardSince != nil {
		return inc.rec.HeardSince.Add(time.Duration(inc.rec.Hold)), true
	}
	if inc.rec.Phase != schema.PhaseFiring || inc.r.Kind == schema.KindSilent || inc.ill > 0 {
		return time.Time{}, false
	}
	for _, mem := range inc.members {
		if t := mem.well.Add(max(inc.r.ResolveAfter, time.Duration(inc.rec.Hold))); t.After(at) {
			at = t
		}
	}
	return at, true
}

// close ends an alert.
func (g *Engine) close(inc *incident, at time.Time) {
	if inc.rec.Phase == schema.PhaseFiring && inc.rec.HeardSince == nil {
		g.fires(inc, -1)
	}
	if inc.rec.HeardSince != nil {
		g.unwatched(inc)
	}
	inc.rec.Phase, inc.rec.Closed = schema.PhaseResolved, &schema.Time{Time: at}
	for len(inc.members) > 0 {
		g.leave(inc.members[0])
	}
	g.touch(inc, at)
	g.end(inc, at)
	if inc.r.Inhibits {
		g.release(inc.key.Host, at)
	}
	g.schedule(inc)
}

// unwatched says that the alert of a host that was silent again and again is over.
func (g *Engine) unwatched(inc *incident) {
	if h := g.hosts[inc.key.Host]; h != nil {
		if w := h.watch(inc.r); w != nil && w.inc == inc {
			w.inc = nil
		}
	}
}

// part forgets a closed alert once its end has been stored, and the messages that
// it has seen do not come again: they would open it once more.
func (g *Engine) part(inc *incident) {
	if g.isDone(inc) {
		g.forget(inc)
		return
	}
	inc.parting = true
	g.parting = append(g.parting, inc)
}

func (g *Engine) isDone(inc *incident) bool {
	return inc.stored && !inc.dirty && (g.flushed.seq >= inc.rec.Seq || g.flushed.at.After(inc.rec.Clock.Time))
}

// forget removes an incident and its record.
func (g *Engine) forget(inc *incident) {
	for len(inc.members) > 0 {
		g.leave(inc.members[0])
	}
	g.unhold(inc)
	g.clear(inc, len(inc.unsent.events))
	g.timers.set(&inc.timer, time.Time{})
	inc.parting = false
	delete(g.incidents, inc.key)
	if g.perHost[inc.key.Host]--; g.perHost[inc.key.Host] == 0 {
		delete(g.perHost, inc.key.Host)
	}
	if inc.stored {
		g.deleted = append(g.deleted, inc.key)
	}
}

// micros is a time as part of an id.
func micros(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }
