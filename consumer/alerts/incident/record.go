package incident

import (
	"slices"
	"time"

	"supernats/consumer/alerts/member"
	"supernats/schema"
)

// Write writes down all that there is to know about an incident. Events up to the sequence
// lost are not in the stream any more.
func (inc *Incident) Write(lost uint64) *schema.Alert {
	rec := inc.rec
	rec.Due = timeOf(inc.due)
	rec.HeldUntil = timeOf(inc.retry)
	rec.Unsent, rec.UnsentStates = unsentOf(inc, lost)

	rec.Matched = nil
	for _, t := range inc.matched {
		rec.Matched = append(rec.Matched, schema.Time{Time: t})
	}

	rec.Members = nil
	for _, mem := range inc.members.All() {
		n := member.Unlike(mem.Process.Name, inc.key)
		since, state := mem.Waiting()
		rec.Members = append(rec.Members, schema.AlertMember{
			Host: n.Host, Group: n.Group, Process: n.Process,
			Since: timeOf(since), State: state, Well: timeOf(mem.Well()), Matched: mem.Seq, Began: timeOf(mem.Began),
		})
	}
	return &rec
}

// unsentOf returns what is not reported yet: the sequences of events, and in full what
// the stream does not have.
func unsentOf(inc *Incident, lost uint64) (sequences []uint64, states []schema.AlertEvent) {
	if inc.keepsStates() {
		return nil, slices.Clone(inc.unsent.Events)
	}

	for i := range inc.unsent.Events {
		ev := inc.unsent.Events[i]
		if ev.Seq > lost {
			sequences = append(sequences, ev.Seq)
			continue
		}
		ev.Log = nil // a record has to fit into a message
		states = append(states, ev)
	}
	return sequences, states[max(0, len(states)-maxListed):] // no more than these are listed
}

// timeOf is a time as records have it, nil for the zero time.
func timeOf(t time.Time) *schema.Time {
	if t.IsZero() {
		return nil
	}
	return &schema.Time{Time: t}
}
