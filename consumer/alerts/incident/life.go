package incident

import (
	"strings"
	"time"

	"supernats/consumer/alerts/answer"
	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/ending"
	"supernats/consumer/alerts/member"
	"supernats/consumer/alerts/recur"
	"supernats/schema"
)

// Match takes an event of a process that matched. well says that the process is well all
// the same, as one that wrote a line.
func (b *Book) Match(inc *Incident, p *member.Process, ev *schema.AlertEvent, m clock.Meta, well bool) {
	b.addMatch(inc, p, ev, m, well)
	if inc.Fires() || b.hasEnough(inc, ev, m.Stored) {
		b.reportMatches(inc, m.Stored)
	}
	b.Notifier.schedule(inc)
}

// addMatch counts an event and lists it.
func (b *Book) addMatch(inc *Incident, p *member.Process, ev *schema.AlertEvent, m clock.Meta, well bool) {
	b.Counts[inc.rule.Index].Matched++
	mem, before := b.Register.join(inc, p)
	if mem == nil || mem.Seq == 0 { // what somebody takes care of is not this one
		b.Answers.end(inc, schema.UnackedByProcess, nil, m.Stored)
	}
	if inc.Fires() && (!before || recur.WasQuiet(&inc.rec, inc.rule, ev)) {
		inc.rec.Updates = 0 // it must not wait for long because of another one, or of what was long ago
	}

	if mem != nil {
		inc.countRun(mem, ev.Time.Time)
		mem.EndWait()
		mem.SetWell(time.Time{})
		mem.Seq = m.Seq
		if well {
			mem.SetWell(m.Stored)
		}
	}
	if !well {
		ending.Clear(&inc.rec)
	}
	if state, ok := strings.CutPrefix(ev.Event, "PROCESS_STATE_"); ok && !well {
		inc.rec.State = state
	}

	b.reopen(inc)
	b.listEvent(inc, *ev)
	inc.noteLate(m.Stored)
	b.Journal.MarkChanged(inc, m.Stored)
}

// listEvent adds an event to what is to be reported. Whose it is stands there only where the
// incident is about several.
func (b *Book) listEvent(inc *Incident, ev schema.AlertEvent) {
	inc.rec.Count++
	ev = listedIn(inc, ev)
	out := &b.Notifier.backlog
	out.Add(&inc.unsent, ev)

	// What one process does can wait, but not all of it has room.
	waiting := len(inc.unsent.Events)
	most := min(maxFlapping, b.Register.limits.mostFitting(inc))
	if !inc.isAboutMany() && !inc.held && inc.Fires() && waiting > most {
		out.Fold(&inc.unsent)
		inc.rec.Unlisted++
	}

	ev.Log = nil
	inc.rec.Last = &ev
	if inc.held && inc.rec.MutedBy != "" {
		inc.rec.Muted++
	}
}

// listedIn is an event as the incident lists it.
func listedIn(inc *Incident, ev schema.AlertEvent) schema.AlertEvent {
	if !inc.isAboutMany() {
		ev.Host = ""
		ev.Group = ""
		ev.Process = ""
	}
	return ev
}

// hasEnough reports whether a rule with count has all the matches that it waits for.
func (b *Book) hasEnough(inc *Incident, ev *schema.AlertEvent, at time.Time) bool {
	ok, stale := inc.countMatch(ev.Time.Time)
	if inc.rule.Count <= 1 {
		return ok
	}
	b.Notifier.backlog.Drop(&inc.unsent, stale)
	inc.rec.Count = len(inc.matched)
	if ok {
		inc.matched = nil
		return true
	}

	first := inc.unsent.Events[0]
	inc.setID(first.ID, first.Time.Time)
	inc.due = at.Add(inc.rule.Within)
	return false
}

// reportMatches notifies people of what was added, when it is time.
func (b *Book) reportMatches(inc *Incident, at time.Time) {
	if inc.rec.Phase == schema.PhasePending {
		first := inc.unsent.Events[0]
		b.open(inc, first.ID, first.Time.Time, at)
	}
	b.Notifier.reportNews(inc, at)
}

// open makes an incident fire. cause is the last part of its id, opened what people see,
// and at when the stream stored it. Its end will be of the stream's clock: a host whose
// clock is up to state.WrongClock ahead opens nothing in the future, or the alert would
// seem to have ended before it began.
func (b *Book) open(inc *Incident, cause string, opened, at time.Time) {
	if opened.After(at) {
		opened = at
	}
	inc.setID(cause, opened)
	inc.rec.Phase = schema.PhaseFiring
	inc.due = at.Add(inc.rule.GroupWait)

	inc.continuePrior(at)
	b.Gate.Fires(inc.rule, inc.key.Host, 1)
}

// reopen continues an incident that closed, but could not say so yet.
func (b *Book) reopen(inc *Incident) {
	if !inc.isClosed() {
		return
	}
	inc.rec.Phase = schema.PhaseFiring
	inc.rec.Closed = nil
	inc.rec.HeardSince = nil
	ending.Clear(&inc.rec)
	b.Answers.end(inc, schema.UnackedByReturn, nil, b.Clock.Now())
	b.Gate.Fires(inc.rule, inc.key.Host, 1)
}

// close ends an incident.
func (b *Book) close(inc *Incident, at time.Time) {
	if inc.Fires() && inc.rec.HeardSince == nil {
		b.Gate.Fires(inc.rule, inc.key.Host, -1)
	}
	if inc.rec.HeardSince != nil {
		b.hosts.Closed(inc)
	}
	inc.rec.Phase = schema.PhaseResolved
	inc.rec.Closed = &schema.Time{Time: at}
	inc.rec.UnansweredSince = nil
	b.Register.leaveAll(inc)
	b.Journal.MarkChanged(inc, at)

	b.Notifier.reportEnd(inc, at)
	if inc.rule.Inhibits {
		b.Notifier.Release(inc.key.Host, at)
	}
	b.Notifier.schedule(inc)
}

// onTimer is the timer of an incident.
func (b *Book) onTimer(inc *Incident, at time.Time) {
	switch inc.rec.Phase {
	case schema.PhaseResolved:
		if inc.held {
			b.Notifier.reportEnd(inc, at)
		} else {
			b.forgetOnceStored(inc)
		}
		b.Notifier.schedule(inc)
		return
	case schema.PhasePending:
		if inc.rule.Kind == schema.KindEvent { // not often enough
			b.forget(inc)
			return
		}
	}

	b.matchRipe(inc, at)
	if isDue(answer.EndsAt(&inc.rec), at) {
		b.Answers.end(inc, schema.UnackedByTime, nil, at)
	}
	if inc.Fires() {
		closing, ok := inc.closesAt()
		switch {
		case ok && !closing.After(at):
			b.close(inc, at)
		case inc.held && isDue(inc.retry, at), !inc.held && isDue(inc.due, at):
			b.Notifier.reportFiring(inc, at)
		}
	}
	if isDue(inc.escalatesAt(), at) {
		b.Answers.escalate(inc, at)
	}
	b.Notifier.schedule(inc)
}

// forgetOnceStored forgets a closed incident once its end has been stored, and the messages
// that it has seen do not come again: they would open it once more.
func (b *Book) forgetOnceStored(inc *Incident) {
	if b.Journal.IsDone(inc) {
		b.forget(inc)
		return
	}
	b.Journal.AwaitStored(inc)
}
