package bridge

import (
	"sync"
	"time"

	"supernats/schema"
)

// Causes of a loss.
const (
	causeBuffer  = "supervisord-buffer"
	causeFull    = "spool-full"
	causeCorrupt = "spool-corrupt"
)

// lossEvery is the least time between two records of losses: a buffer that
// overflows does so for many events.
const lossEvery = time.Second

// losses collects what is lost until it is told.
type losses struct {
	mu      sync.Mutex
	open    map[string]*schema.Loss // by cause
	told    time.Time
	started bool
	pool    string
	last    uint64 // the last poolserial
}

// seen looks for a gap in the serial of our pool, which supervisord gives when an
// event enters the buffer: what is missing was thrown away. It returns how many.
func (l *losses) seen(pool string, serial uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.last + 1
	switch {
	case !l.started || pool != l.pool:
		// What was before us, we cannot know.
		next = serial
	case serial == l.last:
		// Offered again after a death of ours, or after somebody else's FAIL.
		return 0
	case serial < l.last:
		next = 0 // reloaded: it begins anew
	}
	l.started, l.pool, l.last = true, pool, serial
	if serial == next {
		return 0
	}
	last := serial - 1
	l.note(causeBuffer, pool, "", next, last, serial-next)
	return serial - next
}

// shed remembers an event that was let go for want of room.
func (l *losses) shed(pool, event string, serial uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(causeFull, pool, event, serial, serial, 1)
}

// corrupt remembers records that the spool could not give back. 0 is an unknown
// number of them.
func (l *losses) corrupt(records uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	loss := l.of(causeCorrupt)
	loss.Count += records
}

func (l *losses) of(cause string) *schema.Loss {
	if l.open == nil {
		l.open = map[string]*schema.Loss{}
	}
	loss := l.open[cause]
	if loss == nil {
		loss = &schema.Loss{Cause: cause, Pool: l.pool}
		l.open[cause] = loss
	}
	return loss
}

func (l *losses) note(cause, pool, event string, first, last, count uint64) {
	loss := l.of(cause)
	loss.Pool, loss.Count = pool, loss.Count+count
	if loss.FirstPoolSerial == nil {
		loss.FirstPoolSerial = &first
	}
	loss.LastPoolSerial = &last
	if event != "" {
		if loss.Events == nil {
			loss.Events = map[string]int{}
		}
		loss.Events[event]++
	}
}

// due returns what is to be told now, and forgets it when told is called.
func (l *losses) due(now time.Time) []*schema.Loss {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) == 0 || now.Sub(l.told) < lossEvery {
		return nil
	}
	l.told = now
	var due []*schema.Loss
	for _, cause := range []string{causeBuffer, causeFull, causeCorrupt} {
		if loss := l.open[cause]; loss != nil {
			due = append(due, loss)
		}
	}
	l.open = nil
	return due
}
