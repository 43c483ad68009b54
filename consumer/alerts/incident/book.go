// Package incident is the life of the incidents: an incident opens with its first match,
// is reported at once or after group_wait, counts and lists what matches while it is open,
// closes when everything that matched has recovered, and is kept for an hour. A Book has
// all of them.
//
// What happened comes from package alerts as matches, conditions and silences; what comes
// out are notifications and records. The parts:
//
//   - Book (life.go, condition.go, silent.go): an incident opens, reopens and closes;
//   - Register and package member: which incidents there are, and who keeps them open;
//   - Notifier and package gate: whether and when one is reported, or held back;
//   - package backlog: what is to be reported, and the bounds of that;
//   - Answers and package answer: who takes care of one, and whom to notify if nobody does;
//   - recur.go: an alert that closes and opens again and again;
//   - package journal: what has to be stored, in which order.
//
// Under pressure nothing blocks, and nothing is dropped but logs. A Book takes some 2 KiB
// for each incident, and 500 bytes for each event that is not reported yet, without its
// logs: 100,000 incidents at once are some 200 MB (BenchmarkStorm). Logs are bounded three
// times: an event keeps at most 16 KiB of them; an incident 256 KiB, those of its first and
// of its last events; all incidents together 64 MiB, beyond which events are listed
// without.
//
// An incident with 500 events that are not reported is reported at once, but one about a
// single process that was reported before keeps 2,000 and counts those between the first
// and the last half. With 100,000 such events in all, none waits for longer than
// group_interval. Held back by a silence an incident keeps 10,000, then it forgets them,
// and they stay counted as muted; held back by an inhibiting rule it is reported at 10,000.
// It names some 7,000 processes that keep it open. One host has at most 10,000 incidents at
// a time: what matches beyond is reported together, see limits.go.
package incident

import (
	"time"

	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/gate"
	"supernats/consumer/alerts/journal"
	"supernats/consumer/rules"
)

// Hosts is what a Book asks about the host of an incident.
type Hosts interface {
	// WhySilent returns what is known of a host that sends nothing more, "" if nothing is.
	WhySilent(host string) string
	// Stops reports whether the supervisord of a host is shutting down.
	Stops(host string) bool
	// Closed says that the incident of a host that was silent again and again is over.
	Closed(inc *Incident)
}

// Book has the incidents of all rules, and leads their lives. It is not safe for concurrent
// use. Each of its collaborators has fields of its own; those of Notifier that are pointers
// belong to the Book.
type Book struct {
	// Clock has the timers of the incidents, and may have others.
	Clock clock.Clock
	// Register says which incidents there are, and which processes keep them open.
	Register Register
	// Gate says what may be reported.
	Gate *gate.Gate
	// Notifier makes the notifications.
	Notifier Notifier
	// Answers follows who takes care of them.
	Answers Answers
	// Journal says what has to be stored.
	Journal journal.Journal[*Incident]
	// Counts are the counters of each rule, in the order of the rules.
	Counts []Counts

	hosts Hosts
}

// Counts is what happened to the matches of one rule since its Book was made.
type Counts struct {
	// Matched counts events, states and silences, Notified notifications.
	Matched, Notified uint64
	// Muted events were never reported because of a silence. Inhibited is how often a
	// notification was held back by another rule. TooOld matched, but are history. Errors
	// are conditions that failed, which is no match.
	Muted, Inhibited, TooOld, Errors uint64
}

// NewBook returns a book without incidents.
func NewBook(set *rules.Set, hosts Hosts) *Book {
	b := &Book{
		Register: newRegister(set),
		Gate:     gate.New(set.MuteRestarts),
		Counts:   make([]Counts, len(set.Rules)),
		hosts:    hosts,
	}
	b.Notifier = Notifier{
		clock: &b.Clock, gate: b.Gate, counts: b.Counts,
		limits: &b.Register.limits, journal: &b.Journal, roster: &b.Register.Roster, hosts: hosts,
		held: map[string]map[*Incident]struct{}{},
	}
	b.Answers = Answers{clock: &b.Clock, notifier: &b.Notifier}
	return b
}

// Incident returns the incident of a key, a pending one if there is none or it is over.
func (b *Book) Incident(r *rules.Rule, k rules.Key) *Incident {
	inc := b.Register.Lookup(k)
	if inc == nil {
		inc = &Incident{rule: r, key: k}
		b.put(inc)
	}
	if inc.rec.Phase == "" || inc.isClosed() && !inc.held {
		inc.startOver()
	}
	return inc
}

func (b *Book) put(inc *Incident) {
	inc.timer = clock.NewTimer(inc.rule, inc.key, func(at time.Time) { b.onTimer(inc, at) })
	b.Register.put(inc)
}

// forget removes an incident and its record.
func (b *Book) forget(inc *Incident) {
	b.Register.leaveAll(inc)
	b.Notifier.giveUp(inc)
	b.Clock.Set(&inc.timer, time.Time{})
	inc.note.Stay()

	b.Register.remove(inc)
	b.Journal.Remove(inc)
}

// Changed returns the records that have changed since the last call, in the order in which
// they are to be stored: those of rules that are inhibited come before those of the rules
// that inhibit them. If only the first ones of them are stored, the messages that come
// again still make the same notifications. All of them are to be stored before the records
// of processes and hosts are.
func (b *Book) Changed() []journal.Change {
	changes := b.Journal.Take(func(k rules.Key) bool { return b.Register.Lookup(k) != nil })
	for _, inc := range b.Journal.Done() {
		b.Clock.Set(&inc.timer, b.Clock.Now())
	}
	return changes
}
