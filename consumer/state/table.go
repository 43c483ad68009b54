package state

import (
	"time"

	"supernats/consumer/state/lives"
)

// table is a process table of which parts have come.
type table struct {
	at       time.Time
	serial   uint64
	parts    int
	seen     map[int]bool
	round    uint64
	conflict lives.Conflict
	excess   int // rows for which there was no room
}

// maxParts is more than the parts of any table are: each is remembered.
const maxParts = 10_000

func (t *table) isComplete() bool { return len(t.seen) >= t.parts }

// isOf reports whether a snapshot is a part of the table.
func (t *table) isOf(s *snapshot) bool {
	return t.at.Equal(s.at.Time) && t.serial == s.message.Serial && t.parts == s.message.Parts
}

// tableOf returns the one that a snapshot is, or is a part of.
func (f *Fleet) tableOf(h *host, s *snapshot) *table {
	part, parts := s.message.Part, s.message.Parts
	if parts <= 1 || part < 1 || part > parts {
		f.round++
		return &table{round: f.round}
	}
	if parts > maxParts {
		f.round++
		return &table{round: f.round, parts: parts} // its rows are applied, and it is never complete
	}

	t := h.tables[s.boot]
	if t == nil || !t.isOf(s) {
		f.round++
		t = &table{at: s.at.Time, serial: s.message.Serial, parts: parts, seen: map[int]bool{}, round: f.round}
		if h.tables == nil || len(h.tables) >= lives.MaxLives {
			h.tables = map[string]*table{}
		}
		h.tables[s.boot] = t
	}
	t.seen[part] = true
	return t
}
