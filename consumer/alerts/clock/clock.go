// Package clock is the time of an engine of alerts: what is due, and when. It is not the
// machine's time. It moves only as it is set, by the times at which the stream
// stored its messages, so that the same messages fire the same timers in the same order.
//
// What is due at one time fires in an order that does not depend on when it was set:
// after a restart it is the same. A timer costs some 100 bytes, and setting it O(log n).
package clock

import (
	"container/heap"
	"time"

	"supernats/consumer/rules"
)

// Clock has a time and the timers that are set. Its zero value is ready to use.
type Clock struct {
	now    time.Time
	timers timers
}

// Timer fires once at the time for which it is set.
type Timer struct {
	at    time.Time
	rank  int
	key   rules.Key
	watch bool // of a host, and so after that of the host's alert
	index int  // in the heap, -1 if it is not set
	fire  func(at time.Time)
}

// NewTimer returns a timer of an alert that is not set. Of timers that are due at one
// time, those of the rules of lower rank fire first. fire must not be nil.
func NewTimer(r *rules.Rule, k rules.Key, fire func(at time.Time)) Timer {
	return Timer{index: -1, rank: r.Rank, key: k, fire: fire}
}

// NewWatch returns a timer that fires after that of NewTimer.
func NewWatch(r *rules.Rule, k rules.Key, fire func(at time.Time)) Timer {
	t := NewTimer(r, k, fire)
	t.watch = true
	return t
}

// Key is that of the alert.
func (t *Timer) Key() rules.Key { return t.key }

func (t *Timer) before(u *Timer) bool {
	if c := t.at.Compare(u.at); c != 0 {
		return c < 0
	}
	if t.rank != u.rank {
		return t.rank < u.rank
	}
	if c := t.key.Compare(u.key); c != 0 {
		return c < 0
	}
	return !t.watch && u.watch
}

// Now is the time up to which timers have fired.
func (c *Clock) Now() time.Time { return c.now }

// Start sets the time without firing anything.
func (c *Clock) Start(at time.Time) { c.now = at }

// Set makes a timer due at a time; the zero time stops it.
func (c *Clock) Set(t *Timer, at time.Time) {
	switch {
	case at.IsZero() && t.index < 0, t.index >= 0 && at.Equal(t.at):
	case at.IsZero():
		heap.Remove(&c.timers, t.index)
	case t.index < 0:
		t.at = at
		heap.Push(&c.timers, t)
	default:
		t.at = at
		heap.Fix(&c.timers, t.index)
	}
}

// Next returns when the next timer is due.
func (c *Clock) Next() (at time.Time, ok bool) {
	if len(c.timers) == 0 {
		return time.Time{}, false
	}
	return c.timers[0].at, true
}

// RunBefore fires what is due before a time, and moves the clock there. A timer that is
// due at the very time waits: another message may have been stored then.
func (c *Clock) RunBefore(to time.Time) { c.run(to, false) }

// RunUntil fires what is due at a time too.
func (c *Clock) RunUntil(to time.Time) { c.run(to, true) }

func (c *Clock) run(to time.Time, inclusive bool) {
	for len(c.timers) > 0 {
		t := c.timers[0]
		if order := t.at.Compare(to); order > 0 || order == 0 && !inclusive {
			break
		}

		heap.Pop(&c.timers)
		c.now = Later(c.now, t.at)
		t.fire(t.at)
	}
	c.now = Later(c.now, to)
}

// Later returns the later of two times.
func Later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// timers is a heap of them.
type timers []*Timer

func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].before(h[j]) }

func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timers) Push(x any) {
	t := x.(*Timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timers) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = -1
	return t
}
