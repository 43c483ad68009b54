package state

import "time"

// table is a process table of which parts have come.
type table struct {
	at       time.Time
	serial   uint64
	parts    int
	seen     map[int]bool
	round    uint64
	conflict conflict
	over     int // rows for which there was no room
}

// maxParts is more than the parts of any table are: each is remembered.
const maxParts = 10_000

func (t *table) complete() bool { return len(t.seen) >= t.parts }

// table returns the one that a snapshot is, or is a part of.
func (f *Fleet) table(h *host, s *snapshot) *table {
	if s.Parts <= 1 || s.Part < 1 || s.Part > s.Parts {
		f.round++
		return &table{round: f.round}
	}
	if s.Parts > maxParts {
		f.round++
		return &table{round: f.round, parts: s.Parts} // its rows are applied, and it is never complete
	}
	t := h.tables[s.boot]
	if t == nil || !t.at.Equal(s.at.Time) || t.serial != s.Serial || t.parts != s.Parts {
		f.round++
		t = &table{at: s.at.Time, serial: s.Serial, parts: s.Parts, seen: map[int]bool{}, round: f.round}
		if h.tables == nil || len(h.tables) >= maxLives {
			h.tables = map[string]*table{}
		}
		h.tables[s.boot] = t
	}
	t.seen[s.Part] = true
	return t
}
