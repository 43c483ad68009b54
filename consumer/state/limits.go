package state

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"supernats/schema"
)

// Limits bound what a Fleet holds: whoever may publish can invent names, and every name
// takes memory here and a record in a bucket. With the default ones that is some 400 MiB
// in all.
type Limits struct {
	// Hosts is how many there may be, Processes how many of one host, and AllProcesses
	// how many of all hosts.
	Hosts, Processes, AllProcesses int
}

// DefaultLimits are those of an installation that says nothing of them.
func DefaultLimits() Limits { return Limits{Hosts: 10_000, Processes: 10_000, AllProcesses: 300_000} }

const (
	// goneFor is how long the record of a process is kept, which its host does not have
	// any more, while there is no room for others. It bounds how fast a host can change
	// the names of all its processes.
	goneFor = time.Hour
	// lookForRoom is how often a host without room is searched for such records.
	lookForRoom = time.Minute
)

// Limit sets the limits; without it they are the default ones. It is to be called
// before anything else.
func (f *Fleet) Limit(l Limits) { f.limits = l }

// Admits reports whether there is room for a host: it is known, or not one too many.
func (f *Fleet) Admits(name string) error {
	if f.byName[name] != nil || len(f.byName) < f.limits.Hosts {
		return nil
	}
	return fmt.Errorf("host %.100q is one more than %d, which is the limit (limits.hosts)", name, f.limits.Hosts)
}

// room returns a process, which may be a new one, or nil if there is no room for it.
func (f *Fleet) room(h *host, m Meta, group, name string) *process {
	if p := h.processes[id{group, name}]; p != nil {
		return p
	}
	if f.isFull(h) && !f.makeRoom(h, m) {
		return nil
	}
	f.processes++
	return h.process(group, name)
}

func (f *Fleet) isFull(h *host) bool {
	return len(h.processes) >= f.limits.Processes || f.processes >= f.limits.AllProcesses
}

// makeRoom forgets a tenth of the processes that a host does not have any more, those
// that are gone for longest. A host that renames its programs with each deployment gets
// here.
func (f *Fleet) makeRoom(h *host, m Meta) bool {
	if m.Stored.Before(h.searched.Add(lookForRoom)) {
		return false
	}
	var gone []*process
	for _, p := range h.processes {
		if p.rec.Gone != nil && m.Stored.Sub(p.rec.Updated.Time) >= goneFor {
			gone = append(gone, p)
		}
	}
	if len(gone) == 0 {
		h.searched = m.Stored
		return false
	}
	slices.SortFunc(gone, func(a, b *process) int {
		return cmp.Or(a.rec.Updated.Compare(b.rec.Updated.Time), cmp.Compare(a.key, b.key))
	})
	for _, p := range gone[:min(len(gone), max(1, f.limits.Processes/10))] {
		delete(h.processes, id{p.rec.Group, p.rec.Process})
		f.processes--
		f.changes.States = append(f.changes.States, Changed{p.key, nil})
	}
	return !f.isFull(h)
}

// crowded says that a boot has more processes than there is room for. over is how many
// of a table, 0 of an event; complete says that a whole table was looked at.
func (f *Fleet) crowded(h *host, boot string, over int, m Meta, complete bool) {
	mine := func(t *schema.HostTrouble) bool {
		return t.Pool == "" && t.Cause == schema.TroubleProcesses && t.Boot == boot
	}
	stored := instant(m.Stored)
	have := slices.IndexFunc(h.rec.Troubles, func(t schema.HostTrouble) bool { return mine(&t) })
	switch {
	case complete && over == 0:
		h.endTroubles(mine)
		return
	case !complete && have >= 0:
		h.rec.Troubles[have].Happened, h.rec.Troubles[have].Last = stored, stored // the last table has counted them
		return
	}
	limit, key := f.limits.Processes, "limits.processes_per_host"
	if len(h.processes) < f.limits.Processes {
		limit, key = f.limits.AllProcesses, "limits.processes"
	}
	text := fmt.Sprintf("there are more than %d processes, which is the limit: the state of some is not recorded, their crashes are reported", limit)
	if over > 0 {
		text = fmt.Sprintf("there are more than %d processes, which is the limit: the state of %d is not recorded, their crashes are reported", limit, over)
	}
	h.trouble(schema.HostTrouble{
		Cause: schema.TroubleProcesses, Boot: boot, Since: stored, Happened: stored, Last: stored, Text: text,
		Fix: "see what invents names there: supervisorctl status; if all are real, raise " + key + " in the configuration of supernats consume",
	})
}

// Refused says that a message on the subjects of a host, known by its token there, was
// none that anybody can read: n is how many since the daemon was started. Nothing
// happens for a host that is not known.
func (f *Fleet) Refused(m Meta, token, reason string, n, dropped int) Changes {
	f.changes = Changes{States: f.changes.States[:0]}
	h := f.byToken[token]
	if h == nil {
		return f.changes
	}
	text := fmt.Sprintf("%d messages could not be read, the last one because: %s", n, reason)
	if dropped > 0 {
		text = fmt.Sprintf("%d messages could not be read, %d of them were not kept; the last one: %s", n, dropped, reason)
	}
	stored := instant(m.Stored)
	h.trouble(schema.HostTrouble{
		Cause: schema.TroubleUnreadable, Since: stored, Happened: stored, Last: stored, Text: Clean(text, maxText),
		Fix: "find out who publishes on the subjects of this host; nats stream view " + parkedStream + " shows what was kept",
	})
	f.changes.Host, f.changes.HostKey = &h.rec, h.key
	return f.changes
}

// parkedStream holds what could not be read.
const parkedStream = "SUPERVISOR_PARKED"

// isOwn reports whether a trouble is one that the consumer itself has found.
func isOwn(t *schema.HostTrouble) bool { return t.Pool == "" }
