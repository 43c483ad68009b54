package inbox

import (
	"cmp"
	"slices"
	"time"

	"supernats/schema"
	"supernats/schema/stream"
)

const (
	// LateAfter is from what delay on a position records when a notification was accepted.
	// Below it, people see the same second as that of the notification.
	LateAfter = time.Second
	// maxTimes is how many batches are kept, of some 70 bytes each. An outage takes one
	// entry, since what has waited goes out as one batch.
	maxTimes = 64
)

// Taken is a notification that a receiver accepted: its sequence, and when it was made.
type Taken struct {
	Seq  uint64
	Made time.Time
}

// Took remembers when notifications were accepted, if that was late. The next write of the
// position includes it.
func (b *Inbox) Took(now time.Time, list ...Taken) {
	if addLate(&b.at.LateTimes, now, list) {
		b.unwritten = true
	}
}

// addLate adds those of a list that were accepted late, and reports whether there were any.
func addLate(t *stream.LateTimes, now time.Time, list []Taken) (added bool) {
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
		batch := stream.LateBatch{From: taken.Seq, To: taken.Seq, At: schema.Time{Time: now}}
		t.Late = append(slices.Clone(t.Late), batch)
	}

	if over := len(t.Late) - maxTimes; over > 0 {
		for _, l := range t.Late[:over] {
			t.Forgot = max(t.Forgot, l.To)
		}
		t.Late = slices.Clone(t.Late[over:])
	}
	return added
}

// follows reports whether a list holds the sequence from and nothing between from and to.
// Sequences between them that are not in the list are for other receivers.
func follows(list []Taken, from, to uint64) bool {
	return slices.ContainsFunc(list, func(t Taken) bool { return t.Seq == from }) &&
		!slices.ContainsFunc(list, func(t Taken) bool { return t.Seq > from && t.Seq < to })
}

// keepLater adopts what this process knows beyond what was written.
func keepLater(t *stream.LateTimes, known stream.LateTimes) {
	if lastLate(&known).After(lastLate(t)) {
		t.Late = known.Late
		t.Forgot = cmp.Or(known.Forgot, t.Forgot)
	}
}

// lastLate returns when the last late batch was accepted.
func lastLate(t *stream.LateTimes) time.Time {
	if len(t.Late) == 0 {
		return time.Time{}
	}
	return t.Late[len(t.Late)-1].At.Time
}
