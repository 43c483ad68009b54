package state

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

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
	round   uint64 // of tables
	changes Changes
	limits  Limits
	// processes is how many there are of all hosts.
	processes int
}

// Changes is what a message changed. It is valid until the next one.
type Changes struct {
	// Host is nil if the message was applied before; HostKey is its key in the
	// bucket supervisor_hosts.
	Host    *schema.HostRecord
	HostKey string
	// States are the processes that changed, in an order that depends on nothing
	// but the messages. Those without a State are forgotten.
	States []Changed
}

// Changed is the record of a process and its key in the bucket supervisor_state.
type Changed struct {
	Key   string
	State *schema.ProcessRecord
}

type host struct {
	key       string
	rec       schema.HostRecord
	processes map[id]*process
	// tables are those that came in parts and are not complete, by their boot. They
	// are not kept over a restart: the next table says again what has gone.
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

// NewFleet returns a Fleet without hosts.
func NewFleet() *Fleet {
	return &Fleet{byName: map[string]*host{}, byToken: map[string]*host{}, limits: DefaultLimits()}
}

// Load takes over records as they were stored. The counts of hosts are made from
// those of their processes: the two are not stored at once.
func (f *Fleet) Load(hosts []schema.HostRecord, states []schema.ProcessRecord) {
	for i := range hosts {
		if f.Admits(hosts[i].Host) != nil {
			continue
		}
		h := f.host(hosts[i].Host)
		key := h.rec.Host
		h.rec = hosts[i]
		h.rec.Lives, h.rec.Bridges, h.rec.Troubles = slices.Clone(h.rec.Lives), slices.Clone(h.rec.Bridges), slices.Clone(h.rec.Troubles)
		h.adopt()
		h.rec.Host, h.rec.Running, h.rec.Down, h.rec.Stopped, h.rec.Exited = key, 0, 0, 0, 0
	}
	for i := range states {
		s := &states[i]
		if f.Admits(s.Host) != nil {
			continue
		}
		h := f.host(s.Host)
		p := f.room(h, Meta{}, s.Group, s.Process)
		if p == nil {
			continue
		}
		group, process := p.rec.Group, p.rec.Process
		p.rec = *s
		p.rec.Host, p.rec.Group, p.rec.Process = h.rec.Host, group, process
		p.rec.Boot = h.bootOf(s.Boot)
		if own, ok := told["PROCESS_STATE_"+s.State]; ok {
			p.rec.State = own
		}
		h.add(&p.rec, 1)
	}
}

// Host returns the record of a host, nil if it is not known.
func (f *Fleet) Host(name string) *schema.HostRecord {
	if h := f.byName[name]; h != nil {
		return &h.rec
	}
	return nil
}

// State returns the record of a process, nil if it is not known.
func (f *Fleet) State(host, group, process string) *schema.ProcessRecord {
	if h := f.byName[host]; h != nil {
		if p := h.processes[id{group, process}]; p != nil {
			return &p.rec
		}
	}
	return nil
}

// Hosts returns all hosts by their keys, in no order.
func (f *Fleet) Hosts() iter.Seq2[string, *schema.HostRecord] {
	return func(yield func(string, *schema.HostRecord) bool) {
		for _, h := range f.byName {
			if !yield(h.key, &h.rec) {
				return
			}
		}
	}
}

// States returns all processes by their keys, in no order.
func (f *Fleet) States() iter.Seq2[string, *schema.ProcessRecord] {
	return func(yield func(string, *schema.ProcessRecord) bool) {
		for _, h := range f.byName {
			for _, p := range h.processes {
				if !yield(p.key, &p.rec) {
					return
				}
			}
		}
	}
}

// adopt makes a life of what a record says that was written before there were any.
func (h *host) adopt() {
	r := &h.rec
	if len(r.Lives) > 0 || r.Boot == "" {
		return
	}
	r.Lives = []schema.HostLife{{
		Boot: r.Boot, Server: r.Server, SupervisorVersion: r.SupervisorVersion, SupervisorState: r.SupervisorState,
		Serial: r.Serial, Stopping: r.Stopping, Begun: r.LastSeen, Happened: r.LastSeen, FirstSeen: r.LastSeen, LastSeen: r.LastSeen, Steady: r.LastSeen,
	}}
}

// Event applies an event.
func (f *Fleet) Event(m Meta, ce *schema.CloudEvent[*schema.Event]) Changes {
	e := ce.Data
	h := f.begin(m, e.Host)
	if f.changes.Host == nil {
		return f.changes
	}
	h.supervisor(m, h.live(m, e.Boot, e.Server, e.Pool, ce.Time.Time), e, ce.Time)
	boot := h.bootOf(e.Boot)
	switch to := told[e.Event]; {
	case e.Process != "" && to != "":
		f.processEvent(h, m, ce, to, boot)
	case e.Event == schema.ProcessGroupRemoved:
		for who, p := range h.processes {
			if who.group == e.Group && h.claimOf(boot, &p.rec, m.Stored) == claimAll {
				f.change(h, p, func(r *schema.ProcessRecord) bool { return groupRemoved(r, m, ce, boot) })
			}
		}
		f.sort(0)
	case e.Event == schema.SupervisorStateChangeRunning:
		f.gap(h, m, boot) // a reload throws away what its listeners have not read
	}
	return f.changes
}

// processEvent applies an event of a process. One of a supervisord whose process is
// not the one that the record shows is counted only.
func (f *Fleet) processEvent(h *host, m Meta, ce *schema.CloudEvent[*schema.Event], to, boot string) {
	e := ce.Data
	p := f.room(h, m, e.Group, e.Process)
	if p == nil {
		f.crowded(h, boot, 0, m, false)
		return
	}
	may := h.claimOf(boot, &p.rec, m.Stored)
	if may == claimConflict && !h.isBridge(e.Group) {
		var c conflict
		c.add(&p.rec)
		h.conflicts(boot, c, m.Stored, false)
	}
	before := countedAs(&p.rec)
	if may == claimConflict || may == claimNothing {
		if m.Seq > p.rec.Seq {
			count(&p.rec, e)
			p.rec.Seq = m.Seq
			f.changed(h, p, before)
		}
		return
	}
	if event(&p.rec, m, ce, to, boot) {
		f.changed(h, p, before)
	}
}

// Snapshot applies a process table, or a part of one.
func (f *Fleet) Snapshot(m Meta, ce *schema.CloudEvent[*schema.Snapshot]) Changes {
	snap := ce.Data
	h := f.begin(m, snap.Host)
	if f.changes.Host == nil {
		return f.changes
	}
	l := h.live(m, snap.Boot, snap.Server, "", ce.Time.Time)
	h.snapshot(l, snap, ce.Time, instant(m.Stored))
	h.fade(m)
	s := &snapshot{Snapshot: snap, boot: h.bootOf(snap.Boot), at: ce.Time, meta: m}
	t := f.table(h, s)

	for i := range snap.Processes {
		row := &snap.Processes[i]
		if row.Process == "" {
			continue
		}
		p := f.room(h, m, row.Group, row.Process)
		if p == nil {
			t.over++
			continue
		}
		switch h.claimOf(s.boot, &p.rec, m.Stored) {
		case claimAll, claimRows:
			p.round = t.round
			f.change(h, p, func(r *schema.ProcessRecord) bool { return s.row(r, row) })
		case claimConflict:
			if !h.isBridge(row.Group) {
				t.conflict.add(&p.rec)
			}
		}
	}
	rows := len(f.changes.States)
	complete := t.complete()
	if complete {
		delete(h.tables, s.boot)
		for _, p := range h.processes {
			if p.round != t.round && h.claimOf(s.boot, &p.rec, m.Stored) == claimAll {
				f.change(h, p, s.gone)
			}
		}
		f.sort(rows)
	}
	h.conflicts(s.boot, t.conflict, m.Stored, complete)
	if complete || t.over > 0 {
		f.crowded(h, s.boot, t.over, m, complete)
	}
	return f.changes
}

// Bridge applies a record of the bridge; kind is BridgeStarted, BridgeStopping or
// BridgeReconnect.
func (f *Fleet) Bridge(m Meta, kind string, ce *schema.CloudEvent[*schema.Bridge]) Changes {
	h := f.begin(m, ce.Data.Host)
	if f.changes.Host != nil {
		h.bridge(m, kind, ce.Data, ce.Time)
	}
	return f.changes
}

// Loss applies a record of lost events.
func (f *Fleet) Loss(m Meta, ce *schema.CloudEvent[*schema.Loss]) Changes {
	h := f.begin(m, ce.Data.Host)
	if f.changes.Host == nil {
		return f.changes
	}
	h.lose(ce.Data, ce.Time)
	for i := range ce.Data.Processes {
		f.unseen(h, m, ce, &ce.Data.Processes[i])
	}
	f.gap(h, m, ce.Data.Boot)
	return f.changes
}

// unseen counts what process tables show of events that nobody read.
func (f *Fleet) unseen(h *host, m Meta, ce *schema.CloudEvent[*schema.Loss], l *schema.LossProcess) {
	p := h.processes[id{l.Group, l.Process}]
	if p == nil || p.rec.State == "" {
		return // the next table shows it
	}
	boot := h.bootOf(ce.Data.Boot)
	f.change(h, p, func(r *schema.ProcessRecord) bool {
		if m.Seq <= r.Seq || l.Starts <= 0 && l.Exits <= 0 {
			return false
		}
		r.Starts = sum(r.Starts, uint64(max(l.Starts, 0)))
		r.Exits = sum(r.Exits, uint64(max(l.Exits, 0)))
		r.Seq = m.Seq
		if r.Snapshot != nil && r.Boot == boot {
			mark := *r.Snapshot
			mark.Gap = true
			r.Snapshot = &mark
		}
		return true
	})
}

// Seen applies a message that nobody decodes: its host is alive. token is the
// host's in the message's subject. See Alone for when that is enough.
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
	if f.saw(h, m); f.changes.Host == nil {
		return f.changes
	}
	if l := h.alone(); l != nil {
		h.saw(l, instant(m.Stored))
		h.sample(l, m)
	}
	return f.changes
}

// begin finds the host of a message and notes that it was seen.
func (f *Fleet) begin(m Meta, name string) *host {
	h := f.host(name)
	f.saw(h, m)
	return h
}

// saw begins the changes of a message: with its host, unless it was seen before.
// What its processes are of it has been stored then: records of hosts are stored
// after those of processes.
func (f *Fleet) saw(h *host, m Meta) {
	f.changes = Changes{States: f.changes.States[:0]}
	if m.Seq <= h.rec.Seq {
		return
	}
	h.rec.Seq, h.rec.LastSeen = m.Seq, schema.Time{Time: m.Stored}
	f.changes.Host, f.changes.HostKey = &h.rec, h.key
}

// change applies something to the record of a process.
func (f *Fleet) change(h *host, p *process, apply func(*schema.ProcessRecord) bool) {
	before := countedAs(&p.rec)
	if apply(&p.rec) {
		f.changed(h, p, before)
	}
}

// changed notes that a process has changed, whose status was another one before.
func (f *Fleet) changed(h *host, p *process, before string) {
	f.changes.States = append(f.changes.States, Changed{p.key, &p.rec})
	h.count(before, -1)
	h.add(&p.rec, 1)
}

// gap notes that events of a boot are missing.
func (f *Fleet) gap(h *host, m Meta, boot string) {
	for _, p := range h.processes {
		if boot != "" && p.rec.Boot != boot {
			continue
		}
		f.change(h, p, func(r *schema.ProcessRecord) bool { return gap(r, m) })
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
		h = &host{key: schema.Token(name), rec: schema.HostRecord{Host: name}, processes: map[id]*process{}}
		f.byName[name], f.byToken[h.key] = h, h
	}
	return h
}
