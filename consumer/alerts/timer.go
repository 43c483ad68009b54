package alerts

import (
	"container/heap"
	"time"

	"supernats/consumer/rules"
)

// timer is something that is due at a time. What is due at the same time comes
// in an order that does not depend on when it was made: after a restart it is
// the same.
type timer struct {
	at    time.Time
	rank  int
	key   rules.Key
	watch bool // of a host, and so after that of its alert
	index int  // in the heap; -1 if not set
	fire  func(at time.Time)
}

func (t *timer) before(u *timer) bool {
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

// timers is a heap of them.
type timers []*timer

func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].before(h[j]) }

func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timers) Push(x any) {
	t := x.(*timer)
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

// set makes a timer due at a time; the zero time stops it.
func (h *timers) set(t *timer, at time.Time) {
	switch {
	case at.IsZero() && t.index < 0, t.index >= 0 && at.Equal(t.at):
	case at.IsZero():
		heap.Remove(h, t.index)
	case t.index < 0:
		t.at = at
		heap.Push(h, t)
	default:
		t.at = at
		heap.Fix(h, t.index)
	}
}

// Next returns when the next timer is due.
func (g *Engine) Next() (at time.Time, ok bool) {
	if len(g.timers) == 0 {
		return time.Time{}, false
	}
	return g.timers[0].at, true
}

// Advance fires the timers that are due up to a time, in their order. It is for
// the time after which nothing more is to be read: a message stored at that very
// time has been handed in before. Time never goes back.
func (g *Engine) Advance(to time.Time) {
	if g.restored != nil && (g.seq >= g.floor.seq || !g.floor.at.After(g.resumed)) {
		g.catchUp()
	}
	g.run(instant(to), true)
}

// run fires what is due before a time and, if inclusive, at it.
func (g *Engine) run(to time.Time, inclusive bool) {
	for len(g.timers) > 0 {
		t := g.timers[0]
		if c := t.at.Compare(to); c > 0 || c == 0 && !inclusive {
			break
		}
		heap.Pop(&g.timers)
		if t.at.After(g.clock) {
			g.clock = t.at
		}
		t.fire(t.at)
	}
	if to.After(g.clock) {
		g.clock = to
	}
}

// instant drops what a record cannot hold: times are in microseconds there, and
// an engine that was restored must not see others than one that never stopped.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
