package inbox

import (
	"cmp"
	"slices"
	"time"

	"supernats/schema"
)

const (
	// LateAfter is from when on a position says when a notification was taken: what is
	// taken sooner was taken when it was made, to the second that people see.
	LateAfter = time.Second
	// maxTimes is how many of those times are kept, of some 70 bytes each. Of an outage
	// there is one: what has waited is one batch.
	maxTimes = 64
)

// Times says when a receiver took notifications that had been made some time before.
type Times struct {
	// Late are the last batches that were taken late. What was written once is never
	// changed: others read it.
	Late []LateBatch `json:"late,omitempty"`
	// Forgot is the highest sequence of the batches that are not kept any more.
	Forgot uint64 `json:"forgot,omitempty"`
}

// LateBatch is when a receiver took the notifications of two sequences and between.
type LateBatch struct {
	From uint64      `json:"from"`
	To   uint64      `json:"to"`
	At   schema.Time `json:"at"`
}

// Taken is a notification that a receiver took: its sequence, and when it was made.
type Taken struct {
	Seq  uint64
	Made time.Time
}

// Took notes when notifications were taken, where that is not when they were made. The
// next write of the position has it.
func (b *Inbox) Took(now time.Time, list ...Taken) {
	if b.at.add(now, list) {
		b.unwritten = true
	}
}

// add reports whether any of a list was taken late.
func (t *Times) add(now time.Time, list []Taken) (added bool) {
	for _, taken := range list {
		if now.Sub(taken.Made) < LateAfter {
			continue
		}
		added = true
		if last := len(t.Late) - 1; last >= 0 {
			l := &t.Late[last]
			if l.To < taken.Seq && l.At.Equal(now) && follows(list, l.To, taken.Seq) {
				l.To = taken.Seq
				continue
			}
		}
		t.Late = append(slices.Clone(t.Late), LateBatch{From: taken.Seq, To: taken.Seq, At: schema.Time{Time: now}})
	}

	if over := len(t.Late) - maxTimes; over > 0 {
		for _, l := range t.Late[:over] {
			t.Forgot = max(t.Forgot, l.To)
		}
		t.Late = slices.Clone(t.Late[over:])
	}
	return added
}

// follows reports whether nothing of a list is between two sequences but what is late
// too: what is for other receivers may be.
func follows(list []Taken, from, to uint64) bool {
	return slices.ContainsFunc(list, func(t Taken) bool { return t.Seq == from }) &&
		!slices.ContainsFunc(list, func(t Taken) bool { return t.Seq > from && t.Seq < to })
}

// keepLater takes over what this process knows beyond what was written.
func (t *Times) keepLater(known Times) {
	if known.last().After(t.last()) {
		t.Late = known.Late
		t.Forgot = cmp.Or(known.Forgot, t.Forgot)
	}
}

// last is when the last batch was taken that was late.
func (t *Times) last() time.Time {
	if len(t.Late) == 0 {
		return time.Time{}
	}
	return t.Late[len(t.Late)-1].At.Time
}
