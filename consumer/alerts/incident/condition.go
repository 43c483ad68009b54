package incident

import (
	"time"

	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/ending"
	"supernats/consumer/alerts/member"
	"supernats/consumer/rules"
	"supernats/schema"
)

// Condition is what a rule over states, quorums or troubles is about: something that is
// true of a process, or not.
type Condition struct {
	Rule    *rules.Rule
	Key     rules.Key
	Process *member.Process
	Meta    clock.Meta
	// Was and Now say whether it was true before the message, and is true after it.
	Was, Now bool
	// Where it is not true now: the process is well, or it is away and so of no interest.
	Well, Away bool
	// Event describes it as notifications list it.
	Event func() *schema.AlertEvent
	// Floor is set while a restored engine catches up: an incident that has seen the message
	// is brought up to date all the same, unless it has seen one after Floor.
	Floor *clock.Mark
}

// isKnownTo reports whether an incident has seen the condition.
func (c *Condition) isKnownTo(inc *Incident) bool {
	if inc == nil || !inc.known.Covers(c.Meta) {
		return false
	}
	return c.Floor == nil || inc.known.Seq > c.Floor.Seq
}

// Update brings an incident up to a condition.
func (b *Book) Update(c Condition) {
	c.Key = b.Register.KeyOf(c.Rule, c.Key, c.Process)
	inc := b.Register.Lookup(c.Key)
	if c.isKnownTo(inc) {
		return
	}

	mem := c.Process.In(inc)
	if mem != nil && c.Rule.Kind == schema.KindState {
		inc.showState(c.Process)
	}

	switch {
	case c.Now && (mem == nil || !c.Was):
		b.beginCondition(c)
	case c.Now:
		b.changeState(inc, mem, c)
	case mem == nil:
	case mem.Seq == 0: // it was true, but not for long enough
		b.Recover(mem, c.Meta, false, true)
	default:
		if mem.IsWaiting() {
			mem.EndWait()
			b.Journal.MarkChanged(inc, c.Meta.Stored)
		}
		b.Recover(mem, c.Meta, c.Well, c.Away)
	}
}

// beginCondition takes a condition that has become true.
func (b *Book) beginCondition(c Condition) {
	inc := b.Incident(c.Rule, c.Key)
	b.reopen(inc)
	mem, _ := b.Register.join(inc, c.Process)
	if mem == nil {
		b.reportOutsider(inc, c)
		return
	}

	ev := c.Event()
	mem.Wait(c.Meta.Stored, ev)
	mem.SetWell(time.Time{})
	if c.Rule.Kind == schema.KindState {
		inc.showState(c.Process)
	}
	if inc.rec.Phase == schema.PhasePending && inc.members.Len() == 1 {
		inc.setID(ev.ID, ev.Time.Time)
	}
	b.Journal.MarkChanged(inc, c.Meta.Stored)

	if c.Rule.For == 0 {
		b.matchRipe(inc, clock.Later(c.Meta.Stored, b.Clock.Now()))
	}
	b.Notifier.schedule(inc)
}

// changeState takes a process that has gone from one of the rule's states to another while
// `for` runs.
func (b *Book) changeState(inc *Incident, mem *member.Member, c Condition) {
	ev := c.Event()
	since, state := mem.Waiting()
	if since.IsZero() || ev.Event == state.Event {
		return
	}
	ev.ID = state.ID
	mem.Wait(since, ev)
	b.Journal.MarkChanged(inc, c.Meta.Stored)
}

// reportOutsider reports a process for which a condition has become true and for which
// there is no room among the members of the incident: at once, since nobody would know when
// that has lasted for long enough.
func (b *Book) reportOutsider(inc *Incident, c Condition) {
	if c.Was {
		return // it was reported
	}
	at := clock.Later(c.Meta.Stored, b.Clock.Now())
	b.addMatch(inc, c.Process, c.Event(), clock.Meta{Seq: c.Meta.Seq, Stored: at}, false)
	b.reportMatches(inc, at)
	b.Notifier.schedule(inc)
}

// matchRipe matches the members whose condition has been true for long enough.
func (b *Book) matchRipe(inc *Incident, at time.Time) {
	ripe := inc.members.RipeAt(at, inc.rule.For)
	if len(ripe) == 0 {
		return
	}
	for _, mem := range ripe {
		_, state := mem.Waiting()
		b.addMatch(inc, mem.Process, state, clock.Meta{Seq: state.Seq, Stored: at}, false)
	}
	b.reportMatches(inc, at)
}

// Recover notes whether a member is well, or away so that it need not be.
func (b *Book) Recover(mem *member.Member, m clock.Meta, well, away bool) {
	inc := Of(mem)
	switch {
	case away:
		ending.Set(&inc.rec, b.whyAway(mem.Process))
		b.Register.leave(mem)
	case well == mem.IsWell():
		return
	case well:
		ending.Set(&inc.rec, whyWell(mem.Process))
		mem.SetWell(m.Stored)
	default:
		mem.SetWell(time.Time{})
		ending.Clear(&inc.rec)
	}
	b.Journal.MarkChanged(inc, m.Stored)

	isEmpty := inc.members.Len() == 0
	switch {
	case isEmpty && inc.Fires():
		b.close(inc, m.Stored)
	case isEmpty && inc.rec.Phase == schema.PhasePending && inc.rule.Kind != schema.KindEvent:
		b.forget(inc)
	default:
		b.Notifier.schedule(inc)
	}
}

// Show notes the state of a member in an incident that is about that alone, and since when
// it has run.
func (b *Book) Show(mem *member.Member, s *schema.ProcessRecord, m clock.Meta) {
	changed := Of(mem).showState(mem.Process)
	if noteRun(mem, s) || changed {
		b.Journal.MarkChanged(Of(mem), m.Stored)
	}
}
