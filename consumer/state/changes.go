package state

import (
	"cmp"
	"slices"

	"supernats/schema"
)

// Changes is what a message changed. It is valid until the next one.
type Changes struct {
	// Host is nil if the message was applied before; HostKey is its key in the bucket
	// supervisor_hosts.
	Host    *schema.HostRecord
	HostKey string
	// States are the processes that changed, in an order that depends on nothing but the
	// messages. Those without a State are forgotten.
	States []Changed
}

// Changed is the record of a process and its key in the bucket supervisor_state.
type Changed struct {
	Key   string
	State *schema.ProcessRecord
}

// reset begins the changes of a message.
func (c *Changes) reset() { *c = Changes{States: c.States[:0]} }

// beginWith begins the changes of a message: with its host, unless that has seen it. What its
// processes are after it has been stored then: records of hosts are stored after those of
// processes.
func (c *Changes) beginWith(h *host, m Meta) {
	c.reset()
	rec := &h.lives.Record
	if m.Seq <= rec.Seq {
		return
	}
	rec.Seq = m.Seq
	rec.LastSeen = schema.Time{Time: m.Stored}
	c.Host = rec
	c.HostKey = h.key
}

// apply applies something to the record of a process.
func (c *Changes) apply(h *host, p *process, apply func(*schema.ProcessRecord) bool) {
	before := countedAs(&p.rec)
	if apply(&p.rec) {
		c.addChanged(h, p, before)
	}
}

// addChanged notes that a process has changed, which was counted as something before.
func (c *Changes) addChanged(h *host, p *process, before string) {
	c.States = append(c.States, Changed{p.key, &p.rec})
	h.count(before, -1)
	h.count(countedAs(&p.rec), 1)
}

// addDropped notes that a process is forgotten.
func (c *Changes) addDropped(p *process) { c.States = append(c.States, Changed{p.key, nil}) }

// sort puts what was found in the order of a map into one that is always the same.
func (c *Changes) sort(from int) {
	slices.SortFunc(c.States[from:], func(a, b Changed) int { return cmp.Compare(a.Key, b.Key) })
}

// addGap notes that events of a boot are missing; of all boots if it is empty.
func (c *Changes) addGap(h *host, m Meta, boot string, note func(*schema.ProcessRecord, Meta) bool) {
	for _, p := range h.processes {
		if boot != "" && p.rec.Boot != boot {
			continue
		}
		c.apply(h, p, func(r *schema.ProcessRecord) bool { return note(r, m) })
	}
	c.sort(0)
}
