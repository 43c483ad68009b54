package app

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"supernats/consumer/notify"
)

// timing is when a delivery tries again.
type timing struct {
	// first and last are the pauses after a try that may succeed later: it begins
	// short, since most outages are, and ends at a pace that a mail server bears.
	first, last time.Duration
	// patience is how often a try fails, and patienceFor how long, before the receiver
	// is asked whether it takes anything else.
	patience    int
	patienceFor time.Duration
	// spacing is how long after a try a notification that has just come may be the
	// next one.
	spacing time.Duration
	// trust is for how long something that was taken proves of others, which fail alone
	// and again a second later, that it is them and not the receiver.
	trust time.Duration
	// parkedFirst and parkedMax are the pauses between tries of what is parked.
	parkedFirst, parkedMax time.Duration
	// idle is how often to look whether something was lost on the way.
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

// again returns the pause after a number of tries.
func (t timing) again(tries int, err error) time.Duration {
	if asked, ok := notify.RetryAfter(err); ok {
		return min(asked, maxAsked)
	}
	pause := min(t.last, t.first<<min(tries-1, 20))
	return pause - pause/4 + rand.N(pause/2+1)
}

// deliverySnapshot is how a delivery stands.
type deliverySnapshot struct {
	// Receiver is its name with the address, Name that of the configuration.
	Receiver, Name string
	// Sent counts notifications and Batches how they went out, Failed the tries
	// that did not succeed; since the start.
	Sent, Batches, Failed uint64
	// Queue is how many wait, Oldest since when the first of them does; zero if
	// none was read yet.
	Queue  uint64
	Oldest time.Time
	// Parked is how many are parked.
	Parked int
	// LastError is that of the last try; empty if it succeeded.
	LastError string
	LastSent  time.Time
}

// counters are what others may read while a delivery works.
type counters struct {
	mu   sync.Mutex
	snap deliverySnapshot
}

func (c *counters) count(n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.snap.Failed++
		c.snap.LastError = err.Error()
		return
	}
	c.snap.Sent += uint64(n)
	c.snap.Batches++
	c.snap.LastError, c.snap.LastSent = "", time.Now()
}

func (c *counters) setParked(more int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.snap.Parked += more
}

func (c *counters) resetParked(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.snap.Parked = n
}

func (c *counters) setOldest(rest []*item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.snap.Oldest = (time.Time{}); len(rest) > 0 {
		c.snap.Oldest = rest[0].stored
	}
}

// Snapshot asks the server how many wait. While it does not answer, Queue is what
// it was.
func (d *delivery) Snapshot(ctx context.Context) deliverySnapshot {
	queue, err := d.inbox.waiting(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.snap.Queue = queue
	}
	d.snap.Receiver, d.snap.Name = d.to.Name(), d.to.name
	return d.snap
}
