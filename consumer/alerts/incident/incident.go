package incident

import (
	"time"

	"supernats/consumer/alerts/answer"
	"supernats/consumer/alerts/backlog"
	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/journal"
	"supernats/consumer/alerts/member"
	"supernats/consumer/alerts/recur"
	"supernats/consumer/rules"
	"supernats/schema"
)

// Incident is an alert from its first match until it is forgotten. Its record holds all
// that there is to know about it; the other fields are made from that.
//
//	            matched, enough of them            all well for hold
//	pending ────────────────────────▶ firing ────────────────────────▶ resolved ──▶ forgotten
//	   │  within passed, or it is          ▲                              │   keepClosed passed, and
//	   ▼  no longer true                   └──────────────────────────────┘   its end is stored
//	forgotten                                matched within window, see package recur
type Incident struct {
	rule *rules.Rule
	key  rules.Key
	rec  schema.Alert
	// known is the last message that the record had seen when it was restored.
	known clock.Mark

	timer   clock.Timer
	members member.Set
	// unsent are the events that are in no notification yet; matched are their times while
	// a rule with count waits for more.
	unsent  backlog.List
	matched []time.Time
	// due is rec.Due.
	due time.Time
	// held says that a notification is due and something holds it back, until retry at
	// most (zero: until it is released).
	held  bool
	retry time.Time

	note journal.Note
}

// keepClosed is how long a closed alert is kept for people to see. Its end must have been
// stored too, so that messages that come again find that they were seen.
const keepClosed = time.Hour

// Key names the incident.
func (inc *Incident) Key() rules.Key { return inc.key }

// Rule is the one that it is of.
func (inc *Incident) Rule() *rules.Rule { return inc.rule }

// Record is what is known about it. It is read only, but for its Journal.
func (inc *Incident) Record() *schema.Alert { return &inc.rec }

// Note is what the Journal notes of it.
func (inc *Incident) Note() *journal.Note { return &inc.note }

// Members are the processes that keep it open. It is read only, and changes when one of
// them recovers.
func (inc *Incident) Members() []*member.Member { return inc.members.All() }

// Knows reports whether its record had seen a message when it was restored.
func (inc *Incident) Knows(m clock.Meta) bool { return inc.known.Covers(m) }

// Fires reports whether it is firing.
func (inc *Incident) Fires() bool { return inc.rec.Phase == schema.PhaseFiring }

// Of returns the incident that a process is a member of.
func Of(mem *member.Member) *Incident { return mem.Owner().(*Incident) }

func (inc *Incident) isClosed() bool { return inc.rec.Phase == schema.PhaseResolved }

// isAboutMany reports whether the incident may be about more than one process.
func (inc *Incident) isAboutMany() bool {
	return inc.rule.Many() || inc.key.IsCrowd()
}

// startOver begins another alert in the place of one that is over.
func (inc *Incident) startOver() {
	inc.rec = schema.Alert{
		Prior: recur.PriorOf(&inc.rec),
		Rule:  inc.rule.Name, Severity: inc.rule.Severity, Kind: inc.rule.Kind, Notify: inc.rule.Notify,
		Phase: schema.PhasePending,
		Host:  inc.key.Host, Group: inc.key.Group, Process: inc.key.Process,
		Seq: inc.rec.Seq, Clock: inc.rec.Clock,
	}
	inc.note.Stay()
}

// setID sets what people see of it from its first match on.
func (inc *Incident) setID(cause string, opened time.Time) {
	inc.rec.Incident = inc.rule.Name + "/" + cause
	inc.rec.Opened = schema.Time{Time: opened}
}

// countMatch reports whether a rule with count has all the matches that it waits for. What is
// too long ago is forgotten, and stale is how many those are. The events' own times decide,
// since a spool that is drained delivers the crashes of a day at once.
func (inc *Incident) countMatch(happened time.Time) (ok bool, stale int) {
	if inc.rule.Count <= 1 {
		return true, 0
	}

	inc.matched = append(inc.matched, happened)
	for stale < len(inc.matched) && happened.Sub(inc.matched[stale]) > inc.rule.Within {
		stale++
	}
	inc.matched = inc.matched[stale:]
	return len(inc.matched) >= inc.rule.Count, stale
}

// closesAt returns when the incident closes if nothing happens: when all members have been
// well for long enough.
func (inc *Incident) closesAt() (at time.Time, ok bool) {
	hold := time.Duration(inc.rec.Hold)
	switch {
	case !inc.Fires():
		return time.Time{}, false
	case inc.rec.HeardSince != nil:
		return inc.rec.HeardSince.Add(hold), true
	case inc.rule.Kind == schema.KindSilent:
		return time.Time{}, false
	}
	return inc.members.WellFor(max(inc.rule.ResolveAfter, hold))
}

// nextTimer returns when something is to be done next if nothing happens, not before now;
// the zero time if never.
func (inc *Incident) nextTimer(now time.Time) (next time.Time) {
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}

	switch {
	case inc.held:
		sooner(inc.retry)
	case !inc.isClosed():
		sooner(inc.due)
	case inc.note.IsLeaving():
	case inc.rec.Count == 0: // nothing that people would want to see
		sooner(inc.rec.Closed.Time)
	default:
		sooner(inc.rec.Closed.Add(max(keepClosed, inc.rule.GroupInterval)))
	}
	if !inc.isClosed() {
		sooner(inc.members.Ripe(inc.rule.For))
		if closing, ok := inc.closesAt(); ok {
			sooner(clock.Later(closing, inc.rec.Clock.Time))
		}
		sooner(answer.EndsAt(&inc.rec))
		sooner(inc.escalatesAt())
	}

	if next.IsZero() {
		return next
	}
	// A record that was restored may be ahead of the clock.
	return clock.Later(next, clock.Later(now, inc.rec.Clock.Time))
}

func isDue(t, at time.Time) bool { return !t.IsZero() && !t.After(at) }
