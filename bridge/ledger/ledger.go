// Package ledger keeps account of a pool's events: which ones have been accepted, and
// which ones are lost. It knows no disk, no NATS and no clock; whoever stores the
// records of losses reports that here.
//
// supervisord gives each event of a pool a serial number when the event enters the
// pool's buffer (process.py, EventListenerPool._acceptEvent). A gap in these numbers is
// what supervisord dropped because the buffer was full.
//
// Under pressure: maxGaps ranges of missing numbers are known one by one, 1 KiB
// together. Beyond that the count of lost events stays right, but an event that is
// offered again later than it was reported missing is counted as lost.
package ledger

import (
	"slices"

	"supernats/schema"
)

// Causes of a loss.
const (
	CauseBuffer       = "supervisord-buffer"
	CauseFull         = "spool-full"
	CauseCorrupt      = "spool-corrupt"
	CauseNotListening = schema.LossNotListening
)

// Causes returns all causes of a loss.
func Causes() []string { return []string{CauseBuffer, CauseFull, CauseCorrupt, CauseNotListening} }

// Beginning stands for the header of the last event where there was none and the first
// event of the pool is expected.
const Beginning = "beginning"

// maxGaps bounds how many ranges of missing events are known one by one.
const maxGaps = 64

// Event is what the ledger needs to know of an event.
type Event struct {
	Name, Pool         string
	Serial, PoolSerial uint64
}

// Ledger is the account of one life of supervisord.
//
//   - An event is accounted for when it is stored or shed, once.
//   - Every number of the pool between the first and the last event that are accounted
//     for is stored, or is in a loss that is open or was reported.
//   - An open loss is reported by a record in the spool, and then forgotten: the next
//     run finds the account in the records, see History.
//
// The caller guards it with the lock under which it appends records.
type Ledger struct {
	boot string // of supervisord, 16 hex digits
	// fromStart says that nobody else has served the pool before: what is missing at its
	// beginning is lost.
	fromStart bool
	place     place
	first     place  // of the first event after those that nothing is known of
	header    []byte // header line of the last event that is accounted for

	open []*schema.Loss // losses that are not reported yet, oldest first
	gaps []gap          // the numbers missing among them, of this boot
}

// place is how far the events of a pool are accounted for.
type place struct {
	known      bool
	pool       string
	poolSerial uint64
	// serial is the highest number so far. It distinguishes a pool that begins again,
	// after a reload, from an event that is offered again.
	serial uint64
}

// gap is a range of pool serials that are missing.
type gap struct{ first, last uint64 }

// firstSerial is the number of the pool's first event: the Go port counts from 1.
func (p place) firstSerial() uint64 {
	if p.poolSerial == 1 && p.serial == 1 {
		return 1
	}
	return 0
}

// Boot is the life of supervisord that the ledger is of.
func (l *Ledger) Boot() string { return l.boot }

// Header returns the header line of the last event that is accounted for: empty if
// there is none, Beginning if the first one of the pool is expected. It is valid until
// the next event.
func (l *Ledger) Header() []byte { return l.header }

// Account takes note of an event with its header line. It reports whether the event is
// new: one that was accounted for before may be offered again.
//
// A pool that began again and has by now lost more events than the one before it ever
// had cannot be distinguished from that one: then less is counted than was lost.
func (l *Ledger) Account(e Event, header []byte) bool {
	p, next := &l.place, l.place.poolSerial+1
	switch {
	case !p.known && !l.fromStart:
		next = e.PoolSerial // what was before us, we cannot know

	case !p.known, e.Pool != p.pool:
		next = 0
		if e.PoolSerial == 1 && e.Serial == 1 {
			next = 1 // the Go port counts from 1: no loss of each start
		}

	case e.PoolSerial <= p.poolSerial && e.Serial <= p.serial:
		// Offered again: after a death of ours, or after somebody else's FAIL
		// (process.py, handle_rejected).
		l.removeMissing(e.PoolSerial)
		return false

	case e.PoolSerial <= p.poolSerial:
		next = 0 // reloaded
	}

	unknown := !p.known && !l.fromStart
	*p = place{true, e.Pool, e.PoolSerial, max(p.serial, e.Serial)}
	if unknown {
		l.first = *p
	}
	if e.PoolSerial > next {
		l.addMissing(next, e.PoolSerial-1)
	}
	l.header = append(l.header[:0], header...)
	return true
}

// Shed counts an event that was accounted for and then dropped for want of room.
func (l *Ledger) Shed(e Event) {
	loss := l.openLoss(CauseFull, e.Pool)
	loss.Count++
	extendSpan(loss, e.PoolSerial, e.PoolSerial)

	if loss.Events == nil {
		loss.Events = map[string]int{}
	}
	loss.Events[e.Name]++
}

// Corrupt counts events that the spool could not give back. 0 is an unknown number of
// them.
func (l *Ledger) Corrupt(events uint64) {
	l.openLoss(CauseCorrupt, l.place.pool).Count += events
}

// Add opens a loss that was found elsewhere.
func (l *Ledger) Add(loss *schema.Loss) { l.open = append(l.open, loss) }

// TakeOpen returns the losses that are not reported yet, and leaves none.
func (l *Ledger) TakeOpen() []*schema.Loss {
	open := l.open
	l.open = nil
	return open
}

// Open returns how many losses are not reported yet.
func (l *Ledger) Open() int { return len(l.open) }

// Oldest returns the oldest loss that is not reported yet, nil if there is none.
func (l *Ledger) Oldest() *schema.Loss {
	if len(l.open) == 0 {
		return nil
	}
	return l.open[0]
}

// OldestReported closes the loss that Oldest returns: its record is stored.
func (l *Ledger) OldestReported() {
	if l.open[0].Cause == CauseBuffer {
		l.gaps = nil
	}
	l.open = l.open[1:]
}

// addMissing counts events that supervisord dropped.
func (l *Ledger) addMissing(first, last uint64) {
	loss := l.openLoss(CauseBuffer, l.place.pool)
	loss.Count += last - first + 1
	extendSpan(loss, first, last)
	if len(l.gaps) < maxGaps {
		l.gaps = append(l.gaps, gap{first, last})
	}
}

// removeMissing takes an event out of what is missing and not yet reported. An event
// that a listener died with, also one of another pool with our priority, is put at the
// head of the buffer (process.py, handle_rejected), before those that it came after.
func (l *Ledger) removeMissing(poolSerial uint64) {
	i := slices.IndexFunc(l.gaps, func(g gap) bool { return g.first <= poolSerial && poolSerial <= g.last })
	j := slices.IndexFunc(l.open, func(loss *schema.Loss) bool {
		return loss.Boot == l.boot && loss.Pool == l.place.pool && loss.Cause == CauseBuffer
	})
	if i < 0 || j < 0 {
		return
	}

	g := l.gaps[i]
	l.gaps = slices.Delete(l.gaps, i, i+1)
	if g.first < poolSerial {
		l.gaps = append(l.gaps, gap{g.first, poolSerial - 1})
	}
	if poolSerial < g.last {
		l.gaps = append(l.gaps, gap{poolSerial + 1, g.last})
	}

	if l.open[j].Count--; l.open[j].Count == 0 {
		l.open = slices.Delete(l.open, j, j+1)
	}
}

// openLoss returns the open loss of a cause, which may be a new one.
func (l *Ledger) openLoss(cause, pool string) *schema.Loss {
	for _, loss := range l.open {
		if loss.Boot == l.boot && loss.Pool == pool && loss.Cause == cause {
			return loss
		}
	}
	loss := &schema.Loss{Boot: l.boot, Pool: pool, Cause: cause}
	l.open = append(l.open, loss)
	return loss
}

// extendSpan extends a loss over numbers of its pool.
func extendSpan(loss *schema.Loss, first, last uint64) {
	if loss.FirstPoolSerial == nil {
		loss.FirstPoolSerial = &first
	}
	loss.LastPoolSerial = &last
}
