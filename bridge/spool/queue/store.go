package queue

import (
	"errors"
	"os"
	"slices"
	"time"

	"supernats/bridge/spool"
)

func (q *Queue) append(rec []byte, loss spool.Reported, safe bool) (settled <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.finished {
		return nil, spool.ErrFinished
	}
	if err := spool.CheckSize(rec); err != nil {
		return nil, err
	}

	settled, q.refused = q.store(rec, loss, safe)
	if !q.appended.Load() {
		q.appended.Store(true)
	}
	return settled, q.refused
}

// store stores a record on disk or, if that takes nothing, in memory. The lock is held.
func (q *Queue) store(rec []byte, loss spool.Reported, safe bool) (settled <-chan struct{}, err error) {
	now := time.Now()
	if q.disk != nil && len(q.mem.recs) == 0 && (q.diskErr == nil || now.After(q.retry)) {
		err := q.storeOnDisk(rec, loss)
		if err == nil {
			return nil, nil
		}
		if errors.Is(err, spool.ErrFull) && !errors.Is(err, spool.ErrDiskFull) {
			noteError(&q.refused, err, q.kick)
			return nil, err
		}
		q.retry = time.Now().Add(diskRetry)
		noteError(&q.diskErr, err, q.kick)
	}

	if !q.mem.fits(len(rec), now) {
		noteError(&q.refused, spool.ErrFull, q.kick)
		return nil, spool.ErrFull
	}
	return q.storeInMemory(rec, loss, safe, now), nil
}

// storeOnDisk appends a record to the spool. The lock is held.
func (q *Queue) storeOnDisk(rec []byte, loss spool.Reported) error {
	err := q.disk.AppendReporting(rec, loss)
	if errors.Is(err, os.ErrNotExist) {
		// The directory is gone: it is restored before anything else happens.
		if found, cerr := q.disk.Check(); found && cerr == nil {
			q.reporter.removed = time.Now()
			notify(q.kick)
			err = q.disk.AppendReporting(rec, loss)
		}
	}
	if err != nil {
		return err
	}

	if loss == spool.OfDamage {
		q.settleEarlier()
	}
	if q.diskErr != nil {
		q.diskErr = nil
		notify(q.kick)
	}
	return nil
}

// storeInMemory puts a record, for which there is room, into memory. settled is closed when
// it is safe; nil if nobody waits for that. The lock is held.
func (q *Queue) storeInMemory(rec []byte, loss spool.Reported, safe bool, now time.Time) (settled <-chan struct{}) {
	place := q.opt.Spool.Event(rec)
	q.mem.append(rec, place != nil, now)
	switch {
	case place != nil && safe:
		w := settling{q.mem.safe + uint64(len(q.mem.recs)), make(chan struct{})}
		q.settled = append(q.settled, w)
		settled = w.done
		q.unsure = unsure{w.records, append(q.unsure.place[:0], place...)}
	case place != nil:
		q.place = append(q.place[:0], place...)
	}

	if loss != spool.Nothing {
		q.owed = append(q.owed, loss)
	}
	q.noteMemory()
	notify(q.more)
	return settled
}

// noteSafe notes that records have left the memory, and ends the wait for them. The lock is
// held.
func (q *Queue) noteSafe() {
	if u := &q.unsure; u.records > 0 && u.records <= q.mem.safe {
		q.place = append(q.place[:0], u.place...)
		u.records = 0
	}
	q.noteMemory()
	q.settled = slices.DeleteFunc(q.settled, func(w settling) bool {
		if w.records > q.mem.safe {
			return false
		}
		close(w.done)
		return true
	})
}

// settleEarlier notes that the losses of other bridges' spools are reported. The lock is
// held.
func (q *Queue) settleEarlier() {
	for _, s := range q.earlier {
		s.Settle(spool.OfDamage)
	}
}

// noteMemory notes in the spool's tally what is in memory. The lock is held.
func (q *Queue) noteMemory() {
	if q.disk == nil {
		return
	}
	answered := q.mem.events
	if q.unsure.records > 0 {
		answered--
	}
	q.disk.NoteMemory(uint64(answered), q.place)
}

// noteError keeps an error, and wakes the loop if it differs from the last one. The lock is
// held.
func noteError(kept *error, err error, kick chan struct{}) {
	if *kept == nil || (*kept).Error() != err.Error() {
		notify(kick)
	}
	*kept = err
}
