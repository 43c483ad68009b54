package incident

import (
	"supernats/consumer/alerts/member"
	"supernats/consumer/rules"
	"supernats/schema"
)

// What hosts can make a Book hold is bounded, since whoever may publish invents as many
// names as it likes. Beyond the bounds nothing is dropped, but reported together.

const (
	// maxOpen is how many alerts of one host there are at a time, those that have closed
	// within keepClosed too; maxIncidents is how many of all hosts. What matches beyond is
	// reported in one alert for each host and rule, see rules.Crowd.
	maxOpen      = 10_000
	maxIncidents = 200_000

	// maxMembers bounds the processes that keep an alert open.
	maxMembers = 10_000

	// maxListed is how many events are in one notification at most.
	maxListed = rules.MaxCount
	// maxFlapping is how many events of one process wait to be listed. What is between the
	// first and the last of them is only counted.
	maxFlapping = 4 * maxListed
	// maxHeld is how many events of one alert are kept while it is held back.
	maxHeld = 10_000

	// defaultRecord is how large the record of an alert may become by default: what NATS
	// takes in a message, with some to spare.
	defaultRecord = 1<<20 - 8<<10
	// seqSize and eventSize are what an event that is not reported yet takes in a record:
	// its sequence, or the description of a state.
	seqSize   = 21
	eventSize = 2 << 10
)

// limits bound an incident by what its record may take in bytes.
type limits struct{ record int }

// mostListed is how many events one notification of an incident has at most.
func (l limits) mostListed(inc *Incident) int { return min(maxListed, l.mostFitting(inc)) }

// mostKept is how many events of an incident are kept while it is held back.
func (l limits) mostKept(inc *Incident) int { return min(maxHeld, l.mostFitting(inc)) }

// mostFitting is how many events have room in the record: a quarter of it is for them.
func (l limits) mostFitting(inc *Incident) int {
	each := seqSize
	if inc.keepsStates() {
		each = eventSize
	}
	return max(1, l.record/4/each)
}

// haveRoom reports whether one more process may become a member: most of a record is for
// members.
func (l limits) haveRoom(inc *Incident, p *member.Process) bool {
	return inc.members.Len() < maxMembers && inc.members.Size()+member.SizeOf(inc.key, p) <= l.record*7/10
}

// keepsStates reports whether the record describes what is not reported yet: states and
// troubles may come from a record, and then are no event of the stream.
func (inc *Incident) keepsStates() bool {
	switch inc.rule.Kind {
	case schema.KindState, schema.KindQuorum, schema.KindTrouble:
		return true
	}
	return false
}
