package queue

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"supernats/bridge/spool"
)

// Next returns the next record, as that of a Spool does; also ErrEarlier.
func (q *Queue) Next() (rec []byte, ok bool, err error) {
	if q.again.Load() {
		return nil, false, ErrEarlier
	}
	q.mu.Lock()
	disk, earlier := q.disk, q.earlier
	q.mu.Unlock()
	for _, s := range earlier {
		rec, ok, err := s.Next()
		if ok {
			q.hand(s)
			return rec, true, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, false, err
		}
	}
	for {
		if disk != nil {
			rec, ok, err := disk.Next()
			if ok {
				q.hand(disk)
				return rec, true, nil
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, false, err
			}
		}
		rec, ok, retry, err := q.nextInMemory(disk)
		if !retry {
			return rec, ok, err
		}
	}
}

// nextInMemory is Next of what is in memory; retry says that the disk has got
// something meanwhile, which goes first.
func (q *Queue) nextInMemory(disk *spool.Spool) (rec []byte, ok, retry bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if disk != nil && q.mem.read < len(q.mem.recs) && disk.Unread() {
		return nil, false, true, nil
	}
	rec, ok, err = q.mem.next()
	if ok {
		q.hand(nil)
	}
	return rec, ok, false, err
}

func (q *Queue) hand(from *spool.Spool) {
	if n := len(q.runs); n > 0 && q.runs[n-1].from == from {
		q.runs[n-1].n++
		return
	}
	q.runs = append(q.runs, handed{from, 1})
}

// More receives a value when Next may have something again.
func (q *Queue) More() <-chan struct{} { return q.more }

// Ack says that the oldest n records that Next has returned and that are not done are
// so, see Spool.Ack.
func (q *Queue) Ack(n int, seq uint64) (err error) {
	for n > 0 {
		if len(q.runs) == 0 {
			return fmt.Errorf("ack %d records more than were handed out", n)
		}
		run := &q.runs[0]
		k := min(n, run.n)
		if run.from == nil {
			if q.hasMoved() {
				return errors.Join(err, errMoved)
			}
			q.ackMemory(k)
		} else {
			err = errors.Join(err, run.from.Ack(k, seq))
		}
		n -= k
		if run.n -= k; run.n == 0 {
			q.runs = slices.Delete(q.runs, 0, 1)
		}
	}
	err = errors.Join(err, q.closeDrained())
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
	return err
}

// moveAfter is how long nothing of what is in memory is acknowledged before it is
// moved to a disk that takes records again.
const moveAfter = time.Second

var errMoved = errors.New("records have been moved from memory to the disk")

// move appends to the disk what waits in memory and does not get away. What of it was
// handed out is handed out again: Next returns ErrEarlier.
func (q *Queue) move(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.disk == nil || len(q.mem.recs) == 0 || now.Sub(q.mem.moved) < moveAfter || now.Before(q.retry) {
		return
	}
	q.disk.BeginSegment() // see ackMemory
	handedOut := q.mem.read
	n, _ := q.disk.AppendLeft(q.mem.recs) // the next Append meets the error too
	if n == 0 {
		q.retry = now.Add(diskRetry)
		return
	}

	q.mem.read = max(n, handedOut)
	q.mem.ack(n, q.opt.Spool.Event)
	q.mem.read = max(0, handedOut-n)
	if len(q.mem.recs) == 0 {
		q.diskErr = nil
		q.settleOwed()
	}
	q.noteSafe()
	if handedOut > 0 {
		q.moved = true
		q.again.Store(true)
	}
	q.signal()
}

func (q *Queue) ackMemory(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mem.ack(n, q.opt.Spool.Event)
	q.noteSafe()
	if len(q.mem.recs) > 0 {
		return
	}
	q.settleOwed()
	if q.disk != nil {
		// The next record on disk is not the one after the last there: what an
		// earlier run has left is read as of one piece, segment by segment.
		q.disk.BeginSegment()
	}
	q.wake()
}

// settleOwed says that the loss records that were in memory are stored. The lock is
// held.
func (q *Queue) settleOwed() {
	for _, loss := range q.owed {
		if q.disk != nil {
			q.disk.Settle(loss)
		}
		if loss == spool.OfDamage {
			q.settleEarlier()
		}
	}
	q.owed = nil
}

func (q *Queue) hasMoved() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.moved
}

// closeDrained lets go of the spools of others that are all published.
func (q *Queue) closeDrained() (err error) {
	q.mu.Lock()
	earlier := q.earlier
	q.mu.Unlock()
	for _, s := range earlier {
		if !s.Drained() || slices.ContainsFunc(q.runs, func(h handed) bool { return h.from == s }) {
			continue
		}
		q.mu.Lock()
		q.earlier = slices.DeleteFunc(slices.Clone(q.earlier), func(o *spool.Spool) bool { return o == s })
		q.mu.Unlock()
		err = errors.Join(err, dismiss(s))
	}
	return err
}

// dismiss closes a spool that is all published, and removes what is left of it.
func dismiss(s *spool.Spool) error {
	own := strings.HasPrefix(filepath.Base(s.Dir()), slotPrefix)
	return s.Dismiss(own, ownerName)
}

// Rewind makes Next continue with the oldest record that is not done.
func (q *Queue) Rewind() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.again.Store(false)
	q.runs = q.runs[:0]
	q.mem.read, q.moved = 0, false
	var errs []error
	for _, s := range q.earlier {
		errs = append(errs, s.Rewind())
	}
	if q.disk != nil {
		errs = append(errs, q.disk.Rewind())
	}
	return errors.Join(errs...)
}

// Doubt returns how many records have come to be the oldest since the queue was
// opened, or since the last call, that an earlier run may have sent, and the sequence
// of its last acknowledgement. Call it after Rewind.
func (q *Queue) Doubt() (records int, seq uint64) {
	q.mu.Lock()
	late := q.late
	q.late = nil
	q.mu.Unlock()
	for i, s := range late {
		st := s.Stats()
		if records += int(st.Records); i == 0 || st.Seq < seq {
			seq = st.Seq
		}
	}
	return records, seq
}
