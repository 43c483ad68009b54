// Package state derives the records of processes and hosts from the messages of the stream
// SUPERVISOR: events, snapshots and the bridge's own records. It is pure: no clock, no I/O;
// the same messages give the same records, and a message that is applied again changes
// nothing.
//
// An event says what happened, a snapshot what was true at one moment of it. The bridge
// reads the number of its last event, asks supervisord for the table, and stores it some
// milliseconds later, while events continue. So a snapshot
//   - is newer than the events up to its serial, also than those that stand after it in the
//     stream; they are counted, but do not change the state;
//   - is older than a later event that the record has already, and changes nothing there;
//   - may show what later events are still going to say. One that does not follow from the
//     state shown is counted only, if it was read within lag and nothing was lost since; all
//     others are applied, so that the last event of a process wins.
//
// What was lost is not invented: a snapshot fixes states, not counters; what two snapshots
// show of events that nobody read comes as a loss record, and is counted. A snapshot rules
// over the processes of its own supervisord; see package lives for hosts that have several.
// Times are corrected before they come here, see Fleet.Shift.
//
// A Fleet holds everything in memory: 460 bytes for a process, 640 for one that has crashed
// (BenchmarkFleetMemory), 150 more where its last look and a lack of memory are known, and 2
// KB more where it has crashed in every minute of a day. So 100,000 processes are some 50
// MB. A host takes some 2 KB, 64 KB at most. It never blocks.
package state

import (
	"iter"
	"time"

	"supernats/consumer/state/lives"
	"supernats/schema"
)

// Meta is what the stream says of a message: its sequence, and when it was stored.
type Meta struct {
	Seq    uint64
	Stored time.Time
	// Sent is the host's clock when its bridge sent the message, zero where that is not
	// known.
	Sent time.Time
	// Shift is what was added to the message's time to make it right, see Fleet.Shift.
	Shift time.Duration
}

// lifeMessage is the message as the lives of a host see it.
func (m Meta) lifeMessage(boot, server, pool string, happened schema.Time) lives.Message {
	return lives.Message{
		Stored: m.Stored, Sent: m.Sent, Happened: happened.Time,
		Boot: boot, Server: server, Pool: pool,
	}
}

// Fleet holds the records of all hosts and their processes. Its methods are given the
// messages of the stream in their order, each decoded and found to be of the host whose
// subject it came on.
//
// A Fleet is not safe for concurrent use. The records are its own: they change with the
// messages that follow, so whoever wants to keep one copies it.
type Fleet struct {
	hosts   directory
	changes Changes // of the last message
	round   uint64  // of tables, see process.round
}

// NewFleet returns a Fleet without hosts.
func NewFleet() *Fleet { return &Fleet{hosts: newDirectory()} }

// Load takes over records as they were stored. The counts of hosts are made from those of
// their processes: the two are not stored at once.
func (f *Fleet) Load(hosts []schema.HostRecord, states []schema.ProcessRecord) {
	for i := range hosts {
		if f.Admits(hosts[i].Host) == nil {
			f.hosts.get(hosts[i].Host).load(&hosts[i])
		}
	}

	for i := range states {
		s := &states[i]
		if f.Admits(s.Host) != nil {
			continue
		}
		h := f.hosts.get(s.Host)
		if p := f.roomFor(h, Meta{}, s.Group, s.Process); p != nil {
			p.load(s, h)
			h.count(countedAs(&p.rec), 1)
		}
	}
}

// Host returns the record of a host, nil if it is not known.
func (f *Fleet) Host(name string) *schema.HostRecord {
	if h := f.hosts.byName[name]; h != nil {
		return &h.lives.Record
	}
	return nil
}

// State returns the record of a process, nil if it is not known.
func (f *Fleet) State(host, group, process string) *schema.ProcessRecord {
	if h := f.hosts.byName[host]; h != nil {
		if p := h.processes[id{group, process}]; p != nil {
			return &p.rec
		}
	}
	return nil
}

// Hosts returns all hosts by their keys, in no order.
func (f *Fleet) Hosts() iter.Seq2[string, *schema.HostRecord] {
	return func(yield func(string, *schema.HostRecord) bool) {
		for _, h := range f.hosts.byName {
			if !yield(h.key, &h.lives.Record) {
				return
			}
		}
	}
}

// States returns all processes by their keys, in no order.
func (f *Fleet) States() iter.Seq2[string, *schema.ProcessRecord] {
	return func(yield func(string, *schema.ProcessRecord) bool) {
		for _, h := range f.hosts.byName {
			for _, p := range h.processes {
				if !yield(p.key, &p.rec) {
					return
				}
			}
		}
	}
}

// Named returns the name of a host that was seen before by its token in subjects, "" if it
// was not.
func (f *Fleet) Named(token string) string {
	if h := f.hosts.byToken[token]; h != nil {
		return h.name()
	}
	return ""
}

// Alone reports whether a boot is all that there is of a host that is known by its token in
// subjects: its messages need not be decoded to know whose they are.
func (f *Fleet) Alone(token, boot string) bool {
	h := f.hosts.byToken[token]
	return h != nil && h.lives.IsAlone(boot)
}

// Wants reports whether an event of a name says anything of states. Of others Seen is
// enough.
func Wants(event string) bool {
	switch event {
	case schema.ProcessGroupRemoved, schema.SupervisorStateChangeRunning, schema.SupervisorStateChangeStopping:
		return true
	}
	return stateAfter[event] != ""
}

// WrongClock is by how much a host's clock may be off.
const WrongClock = lives.WrongClock

// Span writes how far a clock is off in its largest unit: 3d, 2h, 5m.
func Span(d time.Duration) string { return lives.Span(d) }

// Shift returns what has to be added to a time by the clock of a host to make it right, for
// a message of one of its boots: see lives.Shift.
func (f *Fleet) Shift(m Meta, name, boot string, t time.Time) time.Duration {
	var c *schema.HostClock
	if h := f.hosts.byName[name]; h != nil {
		c = h.lives.ClockOf(boot)
	}
	return ShiftBy(c, m, t)
}

// ShiftBy is Shift for a clock, which may be nil.
func ShiftBy(c *schema.HostClock, m Meta, t time.Time) time.Duration {
	return lives.Shift(c, m.Stored, m.Sent, t)
}
