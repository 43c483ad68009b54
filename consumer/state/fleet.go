package state

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"supernats/schema"
)

// Fleet holds the records of all hosts and their processes. Its methods are given
// the messages of the stream in their order, each decoded and found to be of the
// host whose subject it came on.
//
// A Fleet is not safe for concurrent use. The records are its own: they change
// with the messages that follow, so who wants to keep one copies it.
type Fleet struct {
	byName  map[string]*host
	byToken map[string]*host
	round   uint64 // of snapshots
	changes Changes
}

// Changes is what a message changed. It is valid until the next one.
type Changes struct {
	// Host is nil if the message was applied before; HostKey is its key in the
	// bucket supervisor_hosts.
	Host    *schema.Host
	HostKey string
	// States are the processes that changed, in an order that depends on nothing
	// but the messages.
	States []Changed
}

// Changed is the record of a process and its key in the bucket supervisor_state.
type Changed struct {
	Key   string
	State *schema.State
}

type host struct {
	key       string
	rec       schema.Host
	processes map[id]*process
}

type id struct{ group, process string }

type process struct {
	key   string
	rec   schema.State
	round uint64 // of the last snapshot that has it
}

// NewFleet returns a Fleet without hosts.
func NewFleet() *Fleet {
	return &Fleet{byName: map[string]*host{}, byToken: map[string]*host{}}
}

// Load takes over records as they were stored. The counts of hosts are made from
// those of their processes: the two are not stored at once.
func (f *Fleet) Load(hosts []schema.Host, states []schema.State) {
	for i := range hosts {
		h := f.host(hosts[i].Host)
		key := h.rec.Host
		h.rec = hosts[i]
		h.rec.Host, h.rec.Running, h.rec.Down, h.rec.Stopped, h.rec.Exited = key, 0, 0, 0, 0
	}
	for i := range states {
		s := &states[i]
		h := f.host(s.Host)
		p := h.process(s.Group, s.Process)
		group, process := p.rec.Group, p.rec.Process
		p.rec = *s
		p.rec.Host, p.rec.Group, p.rec.Process = h.rec.Host, group, process
		if s.Boot == h.rec.Boot {
			p.rec.Boot = h.rec.Boot
		}
		if own, ok := told["PROCESS_STATE_"+s.State]; ok {
			p.rec.State = own
		}
		h.add(&p.rec, 1)
	}
}

// Host returns the record of a host, nil if it is not known.
func (f *Fleet) Host(name string) *schema.Host {
	if h := f.byName[name]; h != nil {
		return &h.rec
	}
	return nil
}

// State returns the record of a process, nil if it is not known.
func (f *Fleet) State(host, group, process string) *schema.State {
	if h := f.byName[host]; h != nil {
		if p := h.processes[id{group, process}]; p != nil {
			return &p.rec
		}
	}
	return nil
}

// Hosts returns all hosts by their keys, in no order.
func (f *Fleet) Hosts() iter.Seq2[string, *schema.Host] {
	return func(yield func(string, *schema.Host) bool) {
		for _, h := range f.byName {
			if !yield(h.key, &h.rec) {
				return
			}
		}
	}
}

// States returns all processes by their keys, in no order.
func (f *Fleet) States() iter.Seq2[string, *schema.State] {
	return func(yield func(string, *schema.State) bool) {
		for _, h := range f.byName {
			for _, p := range h.processes {
				if !yield(p.key, &p.rec) {
					return
				}
			}
		}
	}
}

// Event applies an event.
func (f *Fleet) Event(m Meta, ce *schema.CloudEvent[*schema.Event]) Changes {
	e := ce.Data
	h := f.begin(m, e.Host, e.Server)
	boot := h.bootOf(e.Boot)
	if f.changes.Host != nil {
		h.setBoot(boot)
		h.supervisor(e)
	}
	switch to := told[e.Event]; {
	case e.Process != "" && to != "":
		p := h.process(e.Group, e.Process)
		before := statusOf(&p.rec)
		if event(&p.rec, m, ce, to, boot) {
			f.changed(h, p, before)
		}
	case e.Event == schema.ProcessGroupRemoved:
		for who, p := range h.processes {
			if who.group == e.Group {
				f.change(h, p, func(r *schema.State) bool { return groupRemoved(r, m, ce, boot) })
			}
		}
		f.sort(0)
	case e.Event == schema.SupervisorStateChangeRunning:
		f.gap(h, m) // a reload throws away what its listeners have not read
	}
	return f.changes
}

// Snapshot applies a host's process table.
func (f *Fleet) Snapshot(m Meta, ce *schema.CloudEvent[*schema.Snapshot]) Changes {
	snap := ce.Data
	h := f.begin(m, snap.Host, snap.Server)
	s := &snapshot{Snapshot: snap, boot: h.bootOf(snap.Boot), at: ce.Time, meta: m}
	if f.changes.Host != nil {
		h.setBoot(s.boot)
		h.snapshot(snap)
	}
	f.round++
	for i := range snap.Processes {
		row := &snap.Processes[i]
		if row.Process == "" {
			continue
		}
		p := h.process(row.Group, row.Process)
		p.round = f.round
		f.change(h, p, func(r *schema.State) bool { return s.row(r, row) })
	}
	rows := len(f.changes.States)
	for _, p := range h.processes {
		if p.round != f.round {
			f.change(h, p, s.gone)
		}
	}
	f.sort(rows)
	return f.changes
}

// Bridge applies a record of the bridge; kind is one of the schema.Bridge…
// constants but schema.BridgeLoss.
func (f *Fleet) Bridge(m Meta, kind string, ce *schema.CloudEvent[*schema.Bridge]) Changes {
	h := f.begin(m, ce.Data.Host, ce.Data.Server)
	if f.changes.Host != nil {
		h.bridge(kind, ce.Data)
	}
	return f.changes
}

// Loss applies a record of lost events.
func (f *Fleet) Loss(m Meta, ce *schema.CloudEvent[*schema.Loss]) Changes {
	h := f.begin(m, ce.Data.Host, "")
	if f.changes.Host != nil {
		h.rec.Lost += ce.Data.Count
		h.rec.LastLoss = new(ce.Time)
	}
	f.gap(h, m)
	return f.changes
}

// Seen applies a message that nobody decodes: its host is alive. token is the
// host's in the message's subject.
func (f *Fleet) Seen(m Meta, token string) Changes {
	h := f.byToken[token]
	if h == nil {
		name, err := schema.ParseToken(token)
		if err != nil {
			// Too long to be told by its token: known when a message of it is decoded.
			f.changes = Changes{States: f.changes.States[:0]}
			return f.changes
		}
		h = f.host(name)
	}
	f.saw(h, m)
	return f.changes
}

// begin finds the host of a message and notes that it was seen.
func (f *Fleet) begin(m Meta, name, server string) *host {
	h := f.host(name)
	if f.saw(h, m); f.changes.Host != nil && server != "" && server != h.rec.Server {
		h.rec.Server = strings.Clone(server)
	}
	return h
}

// saw begins the changes of a message: with its host, unless it was seen before.
func (f *Fleet) saw(h *host, m Meta) {
	f.changes = Changes{States: f.changes.States[:0]}
	if m.Seq <= h.rec.Seq {
		return
	}
	h.rec.Seq, h.rec.LastSeen = m.Seq, schema.Time{Time: m.Stored}
	f.changes.Host, f.changes.HostKey = &h.rec, h.key
}

// change applies something to the record of a process.
func (f *Fleet) change(h *host, p *process, apply func(*schema.State) bool) {
	before := statusOf(&p.rec)
	if apply(&p.rec) {
		f.changed(h, p, before)
	}
}

// changed notes that a process has changed, whose status was another one before.
func (f *Fleet) changed(h *host, p *process, before string) {
	f.changes.States = append(f.changes.States, Changed{p.key, &p.rec})
	h.count(before, -1)
	h.add(&p.rec, 1)
	// A message that the host has seen may still be new to a process: a daemon was
	// killed when only the host's record was stored.
	f.changes.Host, f.changes.HostKey = &h.rec, h.key
}

// gap notes that events of a host are missing.
func (f *Fleet) gap(h *host, m Meta) {
	for _, p := range h.processes {
		f.change(h, p, func(r *schema.State) bool { return gap(r, m) })
	}
	f.sort(0)
}

// sort puts what was found in the order of a map into one that is always the same.
func (f *Fleet) sort(from int) {
	slices.SortFunc(f.changes.States[from:], func(a, b Changed) int { return cmp.Compare(a.Key, b.Key) })
}

// host returns a host, which may be a new one.
func (f *Fleet) host(name string) *host {
	h := f.byName[name]
	if h == nil {
		name = strings.Clone(name)
		h = &host{key: schema.Token(name), rec: schema.Host{Host: name}, processes: map[id]*process{}}
		f.byName[name], f.byToken[h.key] = h, h
	}
	return h
}
