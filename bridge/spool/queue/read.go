package queue

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

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
			q.runs.add(s)
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
				q.runs.add(disk)
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

// nextInMemory is Next for what is in memory; retry says that the disk has received
// something meanwhile, which goes first.
func (q *Queue) nextInMemory(disk *spool.Spool) (rec []byte, ok, retry bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if disk != nil && q.mem.read < len(q.mem.recs) && disk.Unread() {
		return nil, false, true, nil
	}
	rec, ok, err = q.mem.next()
	if ok {
		q.runs.add(nil)
	}
	return rec, ok, false, err
}

// handedOut is the records that were handed out and are not acknowledged, oldest first.
type handedOut []handed

// add notes one more record, of a spool, or of memory if that is nil.
func (h *handedOut) add(from *spool.Spool) {
	runs := *h
	if n := len(runs); n > 0 && runs[n-1].from == from {
		runs[n-1].n++
		return
	}
	*h = append(runs, handed{from, 1})
}

// More receives a value when Next may have something again.
func (q *Queue) More() <-chan struct{} { return q.more }

// Ack makes the oldest n records that Next has returned, and that are not done yet, done;
// see Spool.Ack.
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
		run.n -= k
		if run.n == 0 {
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

var errMoved = errors.New("records have been moved from memory to the disk")

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
		// The next record on disk does not follow the last one there, so it begins a
		// segment: what a run left is read in one piece, segment by segment.
		q.disk.BeginSegment()
	}
	notify(q.kick)
}

// settleOwed notes that the records in memory that report losses are stored. The lock is
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

// closeDrained closes the spools of other bridges of which all is published.
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

// dismiss closes a spool of which all is published, and removes its files.
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
	q.mem.read = 0
	q.moved = false

	var errs []error
	for _, s := range q.earlier {
		errs = append(errs, s.Rewind())
	}
	if q.disk != nil {
		errs = append(errs, q.disk.Rewind())
	}
	return errors.Join(errs...)
}

// Doubt returns how many records of earlier runs, which may have been sent, have come to
// light since the last call, and the stream's sequence of the last acknowledgement among
// them. Call it after Rewind.
func (q *Queue) Doubt() (records int, seq uint64) {
	q.mu.Lock()
	late := q.late
	q.late = nil
	q.mu.Unlock()
	for i, s := range late {
		st := s.Stats()
		records += int(st.Records)
		if i == 0 || st.Seq < seq {
			seq = st.Seq
		}
	}
	return records, seq
}
