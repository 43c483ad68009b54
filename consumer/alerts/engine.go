// Package alerts is the life of the alerts: it decides what is an alert of the messages of
// the stream SUPERVISOR, in their order and at the times at which the stream stored them,
// and when people are notified of what. Time is handed in; nothing is read, sent or
// logged. So the same stream makes the same notifications with the same ids: live, after a
// kill -9, on another replica and in a back-test.
//
// One incident is open for each rule and process, or what group_by says. Here it is decided
// what matches and what has recovered: events (engine.go), states of processes
// (processes.go), quorums of groups (quorum.go), silent hosts (hosts.go), what hosts say of
// themselves (hostrecord.go). The incidents lead their lives in package incident.
//
// Under pressure nothing blocks. An engine takes some 300 bytes for each process that is
// known and for each host; what incidents take is bounded in package incident. What was
// notified waits for Take, so the caller bounds it by the number of messages between two
// calls.
package alerts

import (
	"time"

	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/incident"
	"supernats/consumer/alerts/member"
	"supernats/consumer/rules"
	"supernats/schema"
)

// Engine makes notifications and records of messages: Apply takes a message, Advance the
// time while there is none, SetSilences the silences; Take and Changed return what came of
// it. Restore comes first, if at all. It is not safe for concurrent use.
type Engine struct {
	set       *rules.Set
	evaluator rules.Evaluator
	book      *incident.Book
	processes *processes
	hosts     *hosts
	restored  restored
	// last is when the last message was stored.
	last time.Time
}

// New returns an engine that has seen nothing.
func New(set *rules.Set) *Engine {
	g := &Engine{set: set}
	g.hosts = &hosts{set: set, restored: &g.restored, byName: map[string]*host{}}
	g.book = incident.NewBook(set, g.hosts)
	g.hosts.book = g.book
	g.processes = &processes{set: set, book: g.book, restored: &g.restored, pools: map[rules.Key]*pool{}}
	return g
}

// Wants reports whether an event of a name can be of interest. Others need not be decoded:
// a Message without Event is enough for them.
func (g *Engine) Wants(event string) bool {
	return len(g.set.ForEvent(event)) > 0 ||
		g.book.Gate.MutesRestarts() && schema.Is(event, "SUPERVISOR_STATE_CHANGE")
}

// Apply takes a message. After a restart it may come again: the records that
// have seen it know. tooOld says that an event would have matched a rule, but is history.
func (g *Engine) Apply(m Message) (tooOld bool) { return g.apply(&m) }

// apply is Apply without a copy: that is small enough to be inlined.
func (g *Engine) apply(m *Message) (tooOld bool) {
	m.Meta.Stored = schema.Instant(m.Meta.Stored)
	g.advanceTo(m)

	// In this order: what happened, then what is true after it. A process may be well
	// again by the time that its exit is reported.
	switch {
	case m.Event != nil:
		tooOld = g.applyEvent(m)
	case m.Loss != nil:
		g.applyLoss(m.Meta, m.Loss, m.Horizon)
	case m.Ack != nil:
		g.applyAck(m.Meta, m.Ack)
	case m.Forgotten != "":
		g.forget(m.Meta, m.Forgotten)
	}
	for _, s := range m.Processes {
		g.processes.applyRecord(m.Meta, s)
	}
	if m.HostRecord != nil {
		g.hosts.applyRecord(m.Meta, m.HostRecord)
	}
	return tooOld
}

// advanceTo brings the engine to the time of a message.
func (g *Engine) advanceTo(m *Message) {
	if m.Bridge != "" { // before anything is found to be silent
		g.afterOutage(m)
	}
	if g.restored.isPending() && !g.restored.knows(m.Meta) {
		g.catchUp()
	}
	g.book.Clock.RunBefore(m.Meta.Stored)
	g.book.Journal.Read(m.Meta.Seq, m.Meta.Stored)
	g.last = clock.Later(g.last, m.Meta.Stored)

	if m.Host != "" {
		g.hosts.noteSeen(m)
	}
}

// outage is how long the whole stream must have got nothing for a bridge's record to mean
// that nobody could reach it.
const outage = 30 * time.Second

// afterOutage takes a record of a bridge. The first one after a gap of the whole stream may
// mean that NATS was away, and so each host gets time to come back; all that are there do
// so at once.
func (g *Engine) afterOutage(m *Message) {
	connects := m.Bridge == schema.BridgeStarted || m.Bridge == schema.BridgeReconnect
	if connects && !g.last.IsZero() && m.Meta.Stored.Sub(g.last) > outage {
		g.hosts.giveGrace(m.Meta)
	}
}

// applyEvent takes an event.
func (g *Engine) applyEvent(m *Message) (tooOld bool) {
	e := m.Event.Data
	g.book.Gate.Horizon(m.Horizon)
	if g.book.Gate.MutesRestarts() {
		g.hosts.noteRestart(m.Meta, e)
	}

	about := g.set.ForEvent(e.Event)
	if len(about) == 0 || e.Group != "" && !g.set.AdmitsGroup(e.Group) || g.restored.knows(m.Meta) {
		return false
	}

	g.evaluator.Load(m.Event)
	for _, r := range about {
		ok, err := g.evaluator.Matches(r)
		if err != nil {
			g.book.Counts[r.Index].Errors++
		}
		if ok && g.matchEvent(r, m) {
			tooOld = true
		}
	}
	return tooOld
}

// matchEvent takes a match of a rule over events.
func (g *Engine) matchEvent(r *rules.Rule, m *Message) (tooOld bool) {
	e := m.Event.Data
	n := member.Name{Host: e.Host, Group: e.Group, Process: e.Process}
	register := &g.book.Register
	k := register.KeyOf(r, r.Key(e.Host, e.Group, e.Process), register.Roster.Lookup(n))
	if inc := register.Lookup(k); inc != nil && inc.Knows(m.Meta) {
		return false
	}
	if m.Event.Time.Before(m.Horizon) {
		g.book.Counts[r.Index].TooOld++
		return true
	}

	p := register.Roster.Process(n)
	if s := m.recordOf(n); s != nil {
		p.Now = member.ReportOf(s)
	}
	g.book.Match(g.book.Incident(r, k), p, EventOf(m.Meta, m.Event), m.Meta, p.WellAfter(e, m.Meta))
	return false
}

// applyLoss takes a record of lost events.
func (g *Engine) applyLoss(m Meta, ce *schema.CloudEvent[*schema.Loss], horizon time.Time) {
	l := ce.Data
	g.book.Gate.Horizon(horizon)
	if g.restored.knows(m) {
		return
	}

	register := &g.book.Register
	for _, r := range g.set.Losses {
		if !r.OnHost(l.Host) {
			continue
		}

		k := r.Key(l.Host, "", "")
		if inc := register.Lookup(k); inc != nil && inc.Knows(m) {
			continue
		}
		if ce.Time.Before(horizon) {
			g.book.Counts[r.Index].TooOld++
			continue
		}
		g.book.Match(g.book.Incident(r, k), register.Roster.Process(member.Name{Host: l.Host}), LossOf(m, ce), m, true)
	}
}

// SetHorizon says before when things are too old to be reported, which only ever becomes
// later. Events and losses do so too, but a rule over states or silence may fire before
// the first of them.
func (g *Engine) SetHorizon(t time.Time) { g.book.Gate.Horizon(t) }

// SetSilences replaces the silences from a time on. Each holds from its Created to its
// Expires, in the time of the stream. What one held back that is not in the list any more
// is reported. After Restore, it is to be called before any message.
func (g *Engine) SetSilences(at time.Time, list []schema.Mute) { g.book.Notifier.SetSilences(at, list) }

// TrustSilence says that of the time before it nobody can say whether a host was silent:
// what all hosts send is not kept for ever.
func (g *Engine) TrustSilence(from time.Time) { g.hosts.trustFrom(schema.Instant(from)) }

// Next returns when the next timer is due.
func (g *Engine) Next() (at time.Time, ok bool) { return g.book.Clock.Next() }

// Advance fires the timers that are due up to a time, in their order. It is for the time
// after which nothing more is to be read: a message stored at that very time has been
// applied before. Time never goes back.
func (g *Engine) Advance(to time.Time) {
	if g.restored.isPending() && g.restored.isPassed(g.book.Journal.LastRead()) {
		g.catchUp()
	}
	g.book.Clock.RunUntil(schema.Instant(to))
}

// Take returns the notifications made since the last call, in their order.
func (g *Engine) Take() []Notification { return g.book.Notifier.Take() }

// Published notes under which sequence the stream of notifications has one: by that people
// can see which receivers have taken it. It is to be called before Changed.
func (g *Engine) Published(n *schema.Notification, seq uint64) { g.book.Register.Published(n, seq) }

// IsDirty reports whether Changed has something to return.
func (g *Engine) IsDirty() bool { return g.book.Journal.IsDirty() }

// Changed returns the records that have changed since the last call, in the order in which
// they are to be stored: see incident.Book.Changed. All of them are to be stored before the
// records of processes and hosts are.
func (g *Engine) Changed() []Change { return g.book.Changed() }

// Records returns what is to be stored of every alert now, whether it has changed or not,
// for a bucket that has lost its records. Changed returns what it would have.
func (g *Engine) Records() []Change { return g.book.Records() }

// Unsent returns the events that matched and are in no notification yet, by their
// sequences: for Restore, if the stream does not have them any more.
func (g *Engine) Unsent() map[uint64]schema.AlertEvent { return g.book.Register.Unsent() }

// LostUpTo says that the stream does not have messages up to a sequence: records of alerts
// hold their events in full, in place of their sequences.
func (g *Engine) LostUpTo(seq uint64) { g.book.Journal.LostUpTo(seq) }

// LimitRecords sets how large the record of an alert may become in bytes, which is what the
// server takes in a message: smaller records list less, and people are notified sooner. It
// is to be called before Restore.
func (g *Engine) LimitRecords(bytes int) { g.book.Register.Limit(bytes) }
