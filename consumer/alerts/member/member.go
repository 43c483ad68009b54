// Package member is about processes, and which incidents they keep open: a process is a
// member of each incident that is about it, until it need not be well any more.
//
// A process that is known takes some 300 bytes, a membership some 150. Nothing is bounded
// here: see Set.Size and package incident.
package member

import (
	"slices"
	"strings"
	"time"

	"supernats/consumer/rules"
	"supernats/schema"
)

// Owner is an incident that has members. It must be comparable.
type Owner interface {
	// Key names it. Names of members that are in the key are not written in its record.
	Key() rules.Key
}

// Member is a process in an incident that is about it.
type Member struct {
	Process *Process
	// Seq is the last message that matched, 0 if none has yet.
	Seq uint64
	// Began is since when the process has run, by its host's clock, until it matches again;
	// zero where that is not known.
	Began time.Time

	owner Owner
	set   *Set // of the owner
	index int  // in set.list

	// since is when the process came into the state of the rule, while `for` runs; state
	// is what will be reported then.
	since time.Time
	state *schema.AlertEvent
	// well is since when it has been well; zero while it is not.
	well time.Time
}

// Owner is the incident that the process is a member of.
func (mem *Member) Owner() Owner { return mem.owner }

// Well is since when the process has been well; zero while it is not.
func (mem *Member) Well() time.Time { return mem.well }

// IsWell reports whether it is.
func (mem *Member) IsWell() bool { return !mem.well.IsZero() }

// SetWell notes since when the process has been well; the zero time: it is not.
func (mem *Member) SetWell(t time.Time) {
	mem.set.ill += count(t.IsZero()) - count(mem.well.IsZero())
	mem.well = t
}

// Waiting returns since when `for` runs, zero if it does not, and what will be reported.
func (mem *Member) Waiting() (since time.Time, state *schema.AlertEvent) { return mem.since, mem.state }

// IsWaiting reports whether `for` runs.
func (mem *Member) IsWaiting() bool { return !mem.since.IsZero() }

// Wait begins the time that `for` runs; the zero time ends it.
func (mem *Member) Wait(since time.Time, state *schema.AlertEvent) {
	mem.set.waiting += count(!since.IsZero()) - count(!mem.since.IsZero())
	mem.since = since
	mem.state = state
}

// EndWait ends the time that `for` runs.
func (mem *Member) EndWait() { mem.Wait(time.Time{}, nil) }

// count is 1 for true.
func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Set is the processes that keep an incident open, in no order. Its zero value is empty.
//
//   - ill is how many of them are not well, waiting for how many `for` runs.
//   - size is what they take in a record.
//   - Each is in Process.memberships, too.
type Set struct {
	list         []*Member
	ill, waiting int
	size         int
}

// All returns the members. The list changes when a member is added or removed.
func (s *Set) All() []*Member { return s.list }

// Len is how many there are, Ill how many of them are not well.
func (s *Set) Len() int { return len(s.list) }
func (s *Set) Ill() int { return s.ill }

// Size is what they take in a record, in bytes.
func (s *Set) Size() int { return s.size }

// besides is what a member takes in a record besides its names.
const besides = 90

// SizeOf is what a process takes as a member in the record of an alert, in bytes.
func SizeOf(k rules.Key, p *Process) int {
	n := Unlike(p.Name, k)
	return besides + len(n.Host) + len(n.Group) + len(n.Process)
}

// Unlike is a name where it is not in the key of an alert; what is in both is empty, as
// records have it.
func Unlike(n Name, k rules.Key) Name {
	if n.Host == k.Host {
		n.Host = ""
	}
	if n.Group == k.Group {
		n.Group = ""
	}
	if n.Process == k.Process {
		n.Process = ""
	}
	return n
}

// Add makes a process a member that is not well. s must be the set of the owner.
func (s *Set) Add(o Owner, p *Process) *Member {
	mem := &Member{Process: p, owner: o, set: s, index: len(s.list)}
	s.list = append(s.list, mem)
	s.ill++
	s.size += SizeOf(o.Key(), p)
	p.memberships = append(p.memberships, mem)
	return mem
}

// Remove ends a membership.
func (s *Set) Remove(mem *Member) {
	mem.EndWait()
	s.ill -= count(!mem.IsWell())
	s.size -= SizeOf(mem.owner.Key(), mem.Process)

	last := len(s.list) - 1
	s.list[mem.index] = s.list[last]
	s.list[mem.index].index = mem.index
	s.list[last] = nil
	s.list = s.list[:last]

	in := mem.Process.memberships
	if i := slices.Index(in, mem); i >= 0 {
		in[i] = in[len(in)-1]
		in[len(in)-1] = nil
		mem.Process.memberships = in[:len(in)-1]
	}
}

// Ripe returns when the next member has been in its state for long enough; zero if `for`
// runs for none.
func (s *Set) Ripe(forTime time.Duration) (at time.Time) {
	if s.waiting == 0 {
		return at
	}
	for _, mem := range s.list {
		if !mem.IsWaiting() {
			continue
		}
		if t := mem.since.Add(forTime); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at
}

// RipeAt returns the members that have been in their state for long enough by a time, in
// the order of the ids of what is reported of them.
func (s *Set) RipeAt(at time.Time, forTime time.Duration) (ripe []*Member) {
	if s.waiting == 0 {
		return nil
	}
	for _, mem := range s.list {
		if mem.IsWaiting() && !mem.since.Add(forTime).After(at) {
			ripe = append(ripe, mem)
		}
	}
	slices.SortFunc(ripe, func(a, b *Member) int { return strings.Compare(a.state.ID, b.state.ID) })
	return ripe
}

// WellFor returns when all members will have been well for a time; not ok unless all are
// well.
func (s *Set) WellFor(d time.Duration) (at time.Time, ok bool) {
	if s.ill > 0 {
		return time.Time{}, false
	}
	for _, mem := range s.list {
		if t := mem.well.Add(d); t.After(at) {
			at = t
		}
	}
	return at, true
}
