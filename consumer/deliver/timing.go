package deliver

import (
	"math/rand/v2"
	"time"

	"supernats/consumer/notify"
)

// timing is when a delivery tries again.
type timing struct {
	// first and last are the pauses after a try that may succeed later: it begins short,
	// since most outages are, and ends at a pace that a mail server bears.
	first, last time.Duration
	// patience is how often a try fails, and patienceFor how long, before the receiver
	// is asked whether it takes anything else.
	patience    int
	patienceFor time.Duration
	// spacing is how long after a try a notification that has just come may be the next
	// one.
	spacing time.Duration
	// trust is for how long something that was taken proves of others, which fail alone
	// and again a second later, that it is them and not the receiver.
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

// maxAsked is the longest pause that the other side may ask for.
const maxAsked = time.Hour

// pause returns how long to wait after a number of tries: what the other side asks for,
// or twice as long as before, drawn from a range of half of that.
func (t timing) pause(tries int, failure error) time.Duration {
	if asked, ok := notify.RetryAfter(failure); ok {
		return min(asked, maxAsked)
	}
	pause := min(t.last, t.first<<min(tries-1, 20))
	return pause - pause/4 + rand.N(pause/2+1)
}

// isAsked reports whether the other side has asked to be left alone for a while.
func isAsked(failure error) bool {
	_, asked := notify.RetryAfter(failure)
	return asked
}
