package app

import (
	"cmp"
	"slices"
	"time"

	"supernats/schema"
)

const (
	// lateAfter is from when on a position says when a notification was taken: what is
	// taken sooner was taken when it was made, to the second that people see.
	lateAfter = time.Second
	// maxLateKept is how many of those times are kept, of some 70 bytes each. Of an
	// outage there is one: what has waited is one batch.
	maxLateKept = 64
)

// lateBatch is when a receiver took notifications, by their sequences, that had been made
// some time before.
type lateBatch struct {
	From uint64      `json:"from"`
	To   uint64      `json:"to"`
	At   schema.Time `json:"at"`
}

// made is a notification that was taken: its sequence, and when it was made.
type made struct {
	seq uint64
	at  time.Time
}

// took notes when notifications were taken, where that is not when they were made. The
// next claim writes it.
func (b *inbox) took(now time.Time, list ...made) {
	for _, m := range list {
		if now.Sub(m.at) < lateAfter {
			continue
		}
		b.isLate = true
		last := len(b.at.Late) - 1
		if last >= 0 && b.at.Late[last].To < m.seq && b.at.Late[last].At.Equal(now) && b.follows(list, b.at.Late[last].To, m.seq) {
			b.at.Late[last].To = m.seq
			continue
		}
		// Cloned: what was claimed is read by others.
		b.at.Late = append(slices.Clone(b.at.Late), lateBatch{From: m.seq, To: m.seq, At: schema.Time{Time: now}})
	}

	if over := len(b.at.Late) - maxLateKept; over > 0 {
		for _, l := range b.at.Late[:over] {
			b.at.Forgot = max(b.at.Forgot, l.To)
		}
		b.at.Late = slices.Clone(b.at.Late[over:])
	}
}

// follows reports whether nothing of a list is between two sequences but what is late too:
// what is for other receivers may be.
func (b *inbox) follows(list []made, from, to uint64) bool {
	return slices.ContainsFunc(list, func(m made) bool { return m.seq == from }) &&
		!slices.ContainsFunc(list, func(m made) bool { return m.seq > from && m.seq < to })
}

// keepLate takes over what this process knows beyond what was written of the same stream.
func (b *inbox) keepLate(before position) {
	last := func(p *position) time.Time {
		if len(p.Late) == 0 {
			return time.Time{}
		}
		return p.Late[len(p.Late)-1].At.Time
	}
	if b.isLate && before.Stream.Equal(b.at.Stream) && last(&before).After(last(&b.at)) {
		b.at.Late, b.at.Forgot = before.Late, cmp.Or(before.Forgot, b.at.Forgot)
	}
}

// madeOf are notifications of a batch.
func madeOf(items ...*item) (list []made) {
	for _, it := range items {
		list = append(list, made{it.seq, it.n.Time.Time})
	}
	return list
}
