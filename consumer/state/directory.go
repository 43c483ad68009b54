package state

import (
	"slices"
	"strings"
	"time"

	"supernats/consumer/state/lives"
	"supernats/schema"
)

// directory has the hosts, by their names and by their tokens in subjects.
type directory struct {
	byName, byToken map[string]*host
	limits          Limits
	processes       int // of all hosts
}

func newDirectory() directory {
	return directory{byName: map[string]*host{}, byToken: map[string]*host{}, limits: DefaultLimits()}
}

// host is a host and its processes.
type host struct {
	key       string
	lives     lives.Host
	processes map[id]*process
	// tables are those that came in parts and are not complete, by their boot. They are not
	// kept over a restart: the next table says again what has gone.
	tables map[string]*table
	// searched is when no record was found that can be forgotten.
	searched time.Time
}

type id struct{ group, process string }

type process struct {
	key   string
	rec   schema.ProcessRecord
	round uint64 // of the last snapshot that has it
}

// get returns a host, which may be a new one.
func (d *directory) get(name string) *host {
	h := d.byName[name]
	if h == nil {
		name = strings.Clone(name)
		h = &host{key: schema.Token(name), processes: map[id]*process{}}
		h.lives.Record.Host = name
		d.byName[name] = h
		d.byToken[h.key] = h
	}
	return h
}

// drop forgets a host and its processes.
func (d *directory) drop(h *host) {
	d.processes -= len(h.processes)
	delete(d.byName, h.name())
	delete(d.byToken, h.key)
}

// dropProcess forgets a process of a host.
func (d *directory) dropProcess(h *host, who id) {
	delete(h.processes, who)
	d.processes--
}

func (h *host) name() string { return h.lives.Record.Host }

// load takes over the record of a host, without what is counted from its processes.
func (h *host) load(rec *schema.HostRecord) {
	own := h.name()
	r := &h.lives.Record
	*r = *rec
	r.Host = own
	r.Lives = slices.Clone(r.Lives)
	r.Bridges = slices.Clone(r.Bridges)
	r.Troubles = slices.Clone(r.Troubles)
	r.Running = 0
	r.Down = 0
	r.Stopped = 0
	r.Exited = 0
}

// process returns a process, which may be a new one.
func (h *host) process(group, name string) *process {
	p := h.processes[id{group, name}]
	if p == nil {
		key := schema.StateKey(h.name(), group, name)
		group = partOf(key, group)
		name = partOf(key, name)
		p = &process{key: key, rec: schema.ProcessRecord{Host: h.name(), Group: group, Process: name}}
		h.processes[id{group, name}] = p
	}
	return p
}

// load takes over the record of a process.
func (p *process) load(rec *schema.ProcessRecord, h *host) {
	group, name := p.rec.Group, p.rec.Process
	p.rec = *rec
	p.rec.Host = h.name()
	p.rec.Group = group
	p.rec.Process = name
	p.rec.Boot = h.lives.Boot(rec.Boot)
	if own, ok := ownState(rec.State); ok {
		p.rec.State = own
	}
}

// partOf returns s as a part of key, which most names are, or else a copy: a part of a
// payload would keep all of it.
func partOf(key, s string) string {
	if i := strings.LastIndex(key, s); i >= 0 {
		return key[i : i+len(s)]
	}
	return strings.Clone(s)
}

// count counts a process in or out, by its status.
func (h *host) count(status string, n int) {
	rec := &h.lives.Record
	switch status {
	case Running:
		rec.Running += n
	case Down:
		rec.Down += n
	case Stopped:
		rec.Stopped += n
	case Exited:
		rec.Exited += n
	}
}
