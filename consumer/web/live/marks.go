package live

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// mark is what viewers have: a snapshot, and all news up to a place, 0 if they get none.
//
// Its number is the id of an event: the sequence in the stream of the last event that the
// snapshot or the news show. Where that has not grown, as after a new silence, it is one more
// than the number before, so that each mark has a number of its own.
type mark struct{ number, version, place uint64 }

// keptMarks are remembered for viewers who resume: some more than snapshots are.
const keptMarks = 4 * keptSnapshots

// number returns the number of a mark, a new one if it has none yet. seq is the sequence of
// the last event of its snapshot. h.mu is held.
func (h *Hub) number(seq, version, place uint64) uint64 {
	for _, m := range slices.Backward(h.marks) {
		if m.version == version && m.place == place {
			return m.number
		}
		if m.version < version {
			break
		}
	}

	number := max(seq, place)
	if n := len(h.marks); n > 0 {
		number = max(number, h.marks[n-1].number+1)
	}
	h.marks = append(h.marks, mark{number: number, version: version, place: place})
	if len(h.marks) > keptMarks {
		h.marks = append(h.marks[:0:0], h.marks[1:]...)
	}
	return number
}

// markOf returns what a viewer has at least who sends an id: that of an event, or one of a page,
// which has the epoch in front. Of several tabs a browser sends the smaller id, though a mark
// with a higher number may have an older snapshot, or news up to an earlier place: a page may
// be ahead of the streams. The oldest of both counts. h.mu is held.
func (h *Hub) markOf(id string) (m mark, known bool) {
	if epoch, number, isOfPage := strings.Cut(id, "."); isOfPage {
		if epoch != h.epoch {
			return mark{}, false
		}
		id = number
	}
	number, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return mark{}, false
	}
	first, known := slices.BinarySearchFunc(h.marks, number, func(m mark, n uint64) int {
		return cmp.Compare(m.number, n)
	})
	if !known {
		return mark{}, false
	}

	m = h.marks[first]
	for _, later := range h.marks[first:] {
		m.version = min(m.version, later.version)
		if later.place != 0 && later.place < m.place {
			m.place = later.place
		}
	}
	return m, true
}
