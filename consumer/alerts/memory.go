package alerts

import "supernats/schema"

// Records returns what is to be stored of every alert now, whether it has changed or
// not, for a bucket that has lost its records. Changed returns what it would have.
func (g *Engine) Records() []Change {
	all := make([]Change, 0, len(g.incidents))
	for k, inc := range g.incidents {
		all = append(all, Change{g.recordKey(k), inc.record(g.lost)})
	}
	return all
}

// Unsent returns the events that matched and are in no notification yet, by their
// sequences: for Restore, if the stream does not have them any more.
func (g *Engine) Unsent() map[uint64]schema.AlertEvent {
	events := map[uint64]schema.AlertEvent{}
	for _, inc := range g.incidents {
		for _, ev := range inc.unsent.events {
			if ev.Seq == 0 {
				continue
			}
			// One that is listed says whose it is only where that is not the alert's.
			if !inc.many() {
				ev.Host, ev.Group, ev.Process = inc.rec.Host, inc.rec.Group, inc.rec.Process
			}
			events[ev.Seq] = ev
		}
	}
	return events
}

// LostUpTo says that the stream does not have messages up to a sequence: records of
// alerts hold them in full, in place of their sequences.
func (g *Engine) LostUpTo(seq uint64) { g.lost = seq }
