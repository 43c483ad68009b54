package state

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"supernats/schema"
)

// Limits bound what a Fleet holds: whoever may publish can invent names, and every name
// takes memory here and a record in a bucket. With the default ones that is some 400 MiB in
// all, and 600 MiB more if every process crashes in every minute of a day.
type Limits struct {
	// Hosts is how many there may be, Processes how many of one host, and AllProcesses how
	// many of all hosts.
	Hosts, Processes, AllProcesses int
}

// DefaultLimits are those of an installation that configures none.
func DefaultLimits() Limits { return Limits{Hosts: 10_000, Processes: 10_000, AllProcesses: 300_000} }

const (
	// goneFor is how long the record of a process that its host does not have any more is
	// kept while there is no room for others. It bounds how fast a host can change the names
	// of all its processes.
	goneFor = time.Hour
	// lookForRoom is how often a host without room is searched for such records.
	lookForRoom = time.Minute
)

// Limit sets the limits; without it they are the default ones. It is to be called before
// anything else.
func (f *Fleet) Limit(l Limits) { f.hosts.limits = l }

// Admits reports whether there is room for a host: it is known, or not one too many.
func (f *Fleet) Admits(name string) error {
	most := f.hosts.limits.Hosts
	if f.hosts.byName[name] != nil || len(f.hosts.byName) < most {
		return nil
	}
	return fmt.Errorf("host %.100q is one more than %d, which is the limit (limits.hosts)", name, most)
}

// roomFor returns a process, which may be a new one, or nil if there is no room for it.
func (f *Fleet) roomFor(h *host, m Meta, group, name string) *process {
	if p := h.processes[id{group, name}]; p != nil {
		return p
	}
	if f.hosts.isFull(h) && !f.makeRoom(h, m.Stored) {
		return nil
	}
	f.hosts.processes++
	p := h.process(group, name)
	p.rec.Recorded = schema.Time{Time: schema.Instant(m.Stored)}
	return p
}

func (d *directory) isFull(h *host) bool {
	return len(h.processes) >= d.limits.Processes || d.processes >= d.limits.AllProcesses
}

// makeRoom forgets a tenth of the processes that a host does not have any more, those that
// are gone for longest. A host that renames its programs with each deployment gets here.
func (f *Fleet) makeRoom(h *host, now time.Time) bool {
	if now.Before(h.searched.Add(lookForRoom)) {
		return false
	}
	gone := h.longGone(now)
	if len(gone) == 0 {
		h.searched = now
		return false
	}

	for _, p := range gone[:min(len(gone), max(1, f.hosts.limits.Processes/10))] {
		f.hosts.dropProcess(h, id{p.rec.Group, p.rec.Process})
		f.changes.addDropped(p)
	}
	return !f.hosts.isFull(h)
}

// longGone returns the processes that the host has not had for goneFor, those that are gone
// for longest first.
func (h *host) longGone(now time.Time) (gone []*process) {
	for _, p := range h.processes {
		if p.rec.Gone != nil && now.Sub(p.rec.Updated.Time) >= goneFor {
			gone = append(gone, p)
		}
	}
	slices.SortFunc(gone, func(a, b *process) int {
		return cmp.Or(a.rec.Updated.Compare(b.rec.Updated.Time), cmp.Compare(a.key, b.key))
	})
	return gone
}

// reportCrowded reports that a boot has more processes than there is room for. excess is how many
// of a table, 0 of an event; complete says that a whole table was looked at.
func (f *Fleet) reportCrowded(h *host, boot string, excess int, m Meta, complete bool) {
	h.lives.Troubles().ReportCrowd(boot, excess, complete, m.Stored, func() (text, fix string) {
		limit, key := f.hosts.limits.Processes, "limits.processes_per_host"
		if len(h.processes) < limit {
			limit, key = f.hosts.limits.AllProcesses, "limits.processes"
		}
		which := "some"
		if excess > 0 {
			which = fmt.Sprint(excess)
		}

		text = fmt.Sprintf("there are more than %d processes, which is the limit: "+
			"the state of %s is not recorded, their crashes are reported", limit, which)
		fix = "see what invents names there: supervisorctl status; if all are real, raise " + key +
			" in the configuration of supernats consume"
		return text, fix
	})
}

// Refused says that a message on the subjects of a host, known by its token there, was none
// that anybody can read: n is how many since the daemon was started, dropped how many of
// them were not even kept. Nothing happens for a host that is not known.
func (f *Fleet) Refused(m Meta, token, reason string, n, dropped int) Changes {
	f.changes.reset()
	h := f.hosts.byToken[token]
	if h == nil {
		return f.changes
	}

	const (
		problem = "%d messages could not be read, %d of them were not kept; the last one: %s"
		fix     = "find out who publishes on the subjects of this host; " +
			"nats stream view SUPERVISOR_PARKED shows what was kept"
	)
	text := fmt.Sprintf(problem, n, dropped, reason)
	h.lives.Troubles().ReportUnreadable(text, fix, m.Stored)
	f.changes.Host = &h.lives.Record
	f.changes.HostKey = h.key
	return f.changes
}
