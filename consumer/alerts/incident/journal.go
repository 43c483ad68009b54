package incident

import (
	"cmp"
	"slices"
	"time"

	"supernats/consumer/alerts/clock"
	"supernats/consumer/rules"
	"supernats/schema"
)

// Change is a record to be stored under a key of the bucket of alerts; nil deletes it.
type Change struct {
	Key    string
	Record *schema.Alert
}

// Journal is what has to be stored of the incidents: which records have changed, and which
// are to be deleted.
//
// A closed incident is not forgotten before its end is stored and every message that it
// has seen has been read for good: one that came again would open it once more.
type Journal struct {
	register *Register
	// read is the last message that was read: its sequence, and when the stream stored it.
	// flushed is what read was at the last call of Book.Changed.
	read, flushed clock.Mark

	changed []*Incident
	leaving []*Incident // closed, and kept until that is stored
	deleted []rules.Key // of records without an incident
	orphans []string    // keys of records without a rule

	// lost is the sequence up to which the stream has no messages: records hold the events
	// up to it in full.
	lost uint64
}

// Read notes that a message was read, and when it was stored.
func (j *Journal) Read(seq uint64, stored time.Time) { j.read.Raise(seq, stored) }

// LastRead is the last message that was read.
func (j *Journal) LastRead() clock.Mark { return j.read }

// LostUpTo says that the stream does not have messages up to a sequence: records hold
// their events in full, in place of their sequences.
func (j *Journal) LostUpTo(seq uint64) { j.lost = seq }

// markChanged notes that the record of an incident has changed: it has seen all messages so
// far.
func (j *Journal) markChanged(inc *Incident, at time.Time) {
	inc.rec.Seq = max(inc.rec.Seq, j.read.Seq)
	inc.rec.Clock.Time = clock.Later(inc.rec.Clock.Time, at)
	if !inc.dirty {
		inc.dirty = true
		j.changed = append(j.changed, inc)
	}
}

// IsDirty reports whether there is anything to be stored.
func (j *Journal) IsDirty() bool { return len(j.changed)+len(j.deleted)+len(j.orphans) > 0 }

// remove notes that an incident is forgotten.
func (j *Journal) remove(inc *Incident) {
	inc.forgotten = true
	if inc.stored {
		j.deleted = append(j.deleted, inc.key)
	}
}

// isDone reports whether the end of an incident is stored and nothing comes again.
func (j *Journal) isDone(inc *Incident) bool {
	return inc.stored && !inc.dirty && (j.flushed.Seq >= inc.rec.Seq || j.flushed.At.After(inc.rec.Clock.Time))
}

// awaitStored keeps a closed incident until isDone.
func (j *Journal) awaitStored(inc *Incident) {
	inc.leaving = true
	j.leaving = append(j.leaving, inc)
}

// takeStored returns the incidents that were to wait and now are done.
func (j *Journal) takeStored() (all []*Incident) {
	j.leaving = slices.DeleteFunc(j.leaving, func(inc *Incident) bool {
		if inc.leaving && !j.isDone(inc) {
			return false
		}
		if inc.leaving {
			inc.leaving = false
			all = append(all, inc)
		}
		return true
	})
	return all
}

// ranked is a change with what decides about its place.
type ranked struct {
	rank int
	key  rules.Key
	Change
}

// takeChanges returns what is to be stored, in its order: see Book.Changed.
func (j *Journal) takeChanges() []Change {
	var all []ranked
	for _, k := range j.deleted {
		if j.register.Lookup(k) == nil {
			all = append(all, ranked{j.register.set.Rules[k.Rule].Rank, k, Change{Key: j.recordKey(k)}})
		}
	}
	for _, inc := range j.changed {
		inc.dirty = false
		if inc.forgotten {
			continue
		}
		all = append(all, ranked{inc.rule.Rank, inc.key, Change{j.recordKey(inc.key), inc.writeRecord(j.lost)}})
		inc.stored = true
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.rank, a.rank), a.key.Compare(b.key))
	})

	changes := make([]Change, 0, len(all)+len(j.orphans))
	for _, r := range all {
		changes = append(changes, r.Change)
	}
	for _, k := range j.orphans {
		if !slices.ContainsFunc(changes, func(c Change) bool { return c.Key == k }) {
			changes = append(changes, Change{Key: k})
		}
	}

	j.flushed = j.read
	j.changed = nil
	j.deleted = nil
	j.orphans = nil
	return changes
}

func (j *Journal) recordKey(k rules.Key) string {
	return schema.AlertKey(j.register.set.Rules[k.Rule].Name, k.Host, k.Group, k.Process)
}

// Records returns what is to be stored of every incident now, whether it has changed or
// not, for a bucket that has lost its records. Changed returns what it would have.
func (j *Journal) Records() []Change {
	all := make([]Change, 0, len(j.register.incidents))
	for k, inc := range j.register.incidents {
		all = append(all, Change{j.recordKey(k), inc.writeRecord(j.lost)})
	}
	return all
}

// Unsent returns the events that matched and are in no notification yet, by their
// sequences: for Restore, if the stream does not have them any more.
func (j *Journal) Unsent() map[uint64]schema.AlertEvent {
	events := map[uint64]schema.AlertEvent{}
	for _, inc := range j.register.incidents {
		for _, ev := range inc.unsent.Events {
			if ev.Seq == 0 {
				continue
			}
			// One that is listed says whose it is only where that is not the incident's.
			if !inc.isAboutMany() {
				ev.Host = inc.rec.Host
				ev.Group = inc.rec.Group
				ev.Process = inc.rec.Process
			}
			events[ev.Seq] = ev
		}
	}
	return events
}

// Published notes under which sequence the stream of notifications has one: by that people
// can see which receivers have taken it. It is to be called before Changed.
func (j *Journal) Published(n *schema.Notification, seq uint64) {
	r := j.register.set.Rule(n.Rule)
	if r == nil || seq == 0 {
		return
	}

	inc := j.register.Named(n.Incident, r, n.Host, n.Group, n.Process)
	if inc == nil {
		return
	}

	if inc.rec.FirstSeq == 0 || inc.rec.Notifications+inc.rec.Answers == 1 {
		inc.rec.FirstSeq = seq
	}
	inc.rec.LastSeq = seq
}
