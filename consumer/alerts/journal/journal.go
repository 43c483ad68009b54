// Package journal is what has to be stored of the alerts: which records have changed, which
// are to be deleted, and in which order.
//
// A closed alert is not forgotten before its end is stored and every message that it has
// seen has been read for good: one that came again would open it once more.
//
//	changed ──Take──▶ stored ──closed, kept for long enough──▶ IsDone? ──yes──▶ forgotten
//	   ▲                 │                                        │ no          ▲
//	   └──MarkChanged────┘                                        ▼             │
//	                                                     waits for the next Take┘
//
// It keeps a pointer to each alert that has changed since the last Take, and nothing else.
package journal

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

// Alert is one of those that a Journal is about.
type Alert interface {
	comparable
	Key() rules.Key
	Rule() *rules.Rule
	// Record is what is known about it; the Journal notes there what it has seen.
	Record() *schema.Alert
	// Write writes down all that there is to know about it: in full the events up to a
	// sequence that the stream does not have any more.
	Write(lost uint64) *schema.Alert
	// Note is what the Journal notes of it.
	Note() *Note
}

// Note is what a Journal notes of an alert. The zero value is that of a new one.
type Note struct {
	dirty     bool // the record is to be stored
	stored    bool // the record was handed out to be stored
	leaving   bool // to be forgotten when its end has been stored
	forgotten bool // it is nowhere any more
}

// Restored notes that the record of the alert comes from the bucket.
func (n *Note) Restored() { n.stored = true }

// Stay notes that the alert is not to be forgotten after all.
func (n *Note) Stay() { n.leaving = false }

// IsLeaving reports whether the alert waits until its end is stored, IsForgotten whether it
// is nowhere any more.
func (n *Note) IsLeaving() bool   { return n.leaving }
func (n *Note) IsForgotten() bool { return n.forgotten }

// Journal is what has to be stored of alerts. It is not safe for concurrent use.
type Journal[A Alert] struct {
	// read is the last message that was read: its sequence, and when the stream stored it.
	// flushed is what read was at the last Take.
	read, flushed clock.Mark

	changed []A
	leaving []A    // closed, and kept until that is stored
	deleted []gone // of alerts that were stored, and are forgotten
	orphans []string

	// lost is the sequence up to which the stream has no messages.
	lost uint64
}

// gone is an alert that is forgotten.
type gone struct {
	rule *rules.Rule
	key  rules.Key
}

// Read notes that a message was read, and when it was stored.
func (j *Journal[A]) Read(seq uint64, stored time.Time) { j.read.Raise(seq, stored) }

// LastRead is the last message that was read.
func (j *Journal[A]) LastRead() clock.Mark { return j.read }

// LostUpTo says that the stream does not have messages up to a sequence: records hold
// their events in full, in place of their sequences.
func (j *Journal[A]) LostUpTo(seq uint64) { j.lost = seq }

// Lost is the sequence of LostUpTo.
func (j *Journal[A]) Lost() uint64 { return j.lost }

// MarkChanged notes that the record of an alert has changed: it has seen all messages so
// far.
func (j *Journal[A]) MarkChanged(a A, at time.Time) {
	rec, note := a.Record(), a.Note()
	rec.Seq = max(rec.Seq, j.read.Seq)
	rec.Clock.Time = clock.Later(rec.Clock.Time, at)
	if !note.dirty {
		note.dirty = true
		j.changed = append(j.changed, a)
	}
}

// IsDirty reports whether there is anything to be stored.
func (j *Journal[A]) IsDirty() bool { return len(j.changed)+len(j.deleted)+len(j.orphans) > 0 }

// Remove notes that an alert is forgotten.
func (j *Journal[A]) Remove(a A) {
	note := a.Note()
	note.forgotten = true
	if note.stored {
		j.deleted = append(j.deleted, gone{a.Rule(), a.Key()})
	}
}

// RemoveOrphan notes that a record is to be deleted of which there is no alert.
func (j *Journal[A]) RemoveOrphan(recordKey string) { j.orphans = append(j.orphans, recordKey) }

// IsDone reports whether the end of an alert is stored and nothing comes again.
func (j *Journal[A]) IsDone(a A) bool {
	rec, note := a.Record(), a.Note()
	return note.stored && !note.dirty && (j.flushed.Seq >= rec.Seq || j.flushed.At.After(rec.Clock.Time))
}

// AwaitStored keeps a closed alert until IsDone.
func (j *Journal[A]) AwaitStored(a A) {
	a.Note().leaving = true
	j.leaving = append(j.leaving, a)
}

// Done returns the alerts that were to wait until they are stored, and now are.
func (j *Journal[A]) Done() (all []A) {
	j.leaving = slices.DeleteFunc(j.leaving, func(a A) bool {
		note := a.Note()
		if note.leaving && !j.IsDone(a) {
			return false
		}
		if note.leaving {
			note.leaving = false
			all = append(all, a)
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

// Take returns what is to be stored, in its order: records of rules that are inhibited come
// before those of the rules that inhibit them. isThere reports whether there is an alert
// with a key: its record stays although an earlier one was forgotten.
func (j *Journal[A]) Take(isThere func(rules.Key) bool) []Change {
	var all []ranked
	for _, g := range j.deleted {
		if !isThere(g.key) {
			all = append(all, ranked{g.rule.Rank, g.key, Change{Key: RecordKey(g.rule, g.key)}})
		}
	}
	for _, a := range j.changed {
		note := a.Note()
		note.dirty = false
		if note.forgotten {
			continue
		}
		all = append(all, ranked{a.Rule().Rank, a.Key(), j.ChangeOf(a)})
		note.stored = true
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

// ChangeOf is what is to be stored of an alert now.
func (j *Journal[A]) ChangeOf(a A) Change {
	return Change{RecordKey(a.Rule(), a.Key()), a.Write(j.lost)}
}

// RecordKey is the key of the record of an alert in the bucket of alerts.
func RecordKey(r *rules.Rule, k rules.Key) string {
	return schema.AlertKey(r.Name, k.Host, k.Group, k.Process)
}
