package deliver

import (
	"math/rand/v2"
	"time"

	"supernats/consumer/notify"
)

// timing is when a delivery tries again.
type timing struct {
	// first and last are the shortest and the longest pause after a failed try. Pauses
	// begin short, since most outages are, and end at a pace that a mail server bears.
	first, last time.Duration
	// patience is after how many failed tries the receiver is probed, patienceFor after
	// what time.
	patience    int
	patienceFor time.Duration
	// spacing is the shortest time between a try and that of a notification that has just
	// arrived.
	spacing time.Duration
	// trust is how long the acceptance of one notification proves that others, which fail
	// alone and again a second later, are at fault and not the receiver.
	trust time.Duration
	// parkedFirst and parkedMax are the pauses between tries of what is parked.
	parkedFirst, parkedMax time.Duration
	// idle is how often to check whether something was lost on the way.
	idle time.Duration
}

func defaultTiming() timing {
	return timing{
		first: time.Second, last: 5 * time.Minute,
		patience: 3, patienceFor: 10 * time.Second, spacing: 5 * time.Second, trust: 10 * time.Second,
		parkedFirst: 5 * time.Minute, parkedMax: time.Hour,
		idle: 2 * time.Second,
	}
}

// maxAsked is the longest pause that a receiver may ask for.
const maxAsked = time.Hour

// pause returns how long to wait after a number of tries: what the receiver asked for, or
// first · 2^(tries-1), at most last, drawn from ± 25 % of that.
func (t timing) pause(tries int, failure error) time.Duration {
	if asked, ok := notify.RetryAfter(failure); ok {
		return min(asked, maxAsked)
	}
	pause := min(t.last, t.first<<min(tries-1, 20))
	return pause - pause/4 + rand.N(pause/2+1)
}

// isAsked reports whether the receiver has asked for a pause.
func isAsked(failure error) bool {
	_, asked := notify.RetryAfter(failure)
	return asked
}
