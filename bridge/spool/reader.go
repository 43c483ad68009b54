package spool

import (
	"errors"
	"fmt"
	"io"
	"os"

	"supernats/bridge/spool/marks"
	"supernats/bridge/spool/segment"
)

// cursor is a place between two records.
type cursor struct {
	seg    *segment.File
	off    int64  // where the frame of the record after it begins
	number uint64 // of that record
	events uint64 // read since the spool was opened, of those that are counted
}

// reader is the reading side of a spool. Its fields belong to the one goroutine that reads;
// what others see of it is in the spool, under its lock.
//
//   - Spool.done is before or at read: Rewind goes back to it. flying has a cursor for each
//     record between the two, so ack(n) is done = flying[n-1].
//   - What is lost between two records is done with the record after it; where nothing is
//     flying, at once.
//   - Damage is reported once, however often Rewind goes back before it.
type reader struct {
	s        *Spool
	read     cursor   // the next record to read
	seen     cursor   // how far its segment went when passEnd last looked
	flying   []cursor // after each record that is read and not done
	reported cursor   // up to where damage was reported; number is that of the segment
	win      segment.Window
}

// Next returns the next record; it is valid until the next call of Next or Rewind. ok is
// false if there is none yet. io.EOF: there will never be one again. After any other error
// Next may be called again: a place that cannot be read for a while is given up as damaged.
// The reading side is used by one goroutine.
func (s *Spool) Next() (rec []byte, ok bool, err error) { return s.reader.next() }

// Ack makes the oldest n records that Next has returned, and that are not done yet, done.
// seq is kept with the checkpoint unless it is 0.
//
// After an error they are done all the same, but the disk does not show it yet: they come
// again if the process dies before the next Ack.
func (s *Spool) Ack(n int, seq uint64) error { return s.reader.ack(n, seq) }

// Rewind makes Next continue at the oldest record that is not done.
func (s *Spool) Rewind() error {
	s.reader.rewind()
	return nil
}

func (r *reader) next() (rec []byte, ok bool, err error) {
	for {
		if at := r.read; at.seg != r.seen.seg || at.off == r.seen.off {
			if empty, err := r.passEnd(); empty || err != nil {
				return nil, false, err
			}
			continue
		}

		rec, err := r.readRecord()
		if rec != nil || err != nil {
			return rec, rec != nil, err
		}
	}
}

// passEnd looks how far the segment that is read goes by now. If nothing was added, and
// nothing will be, it continues after the segment's end. empty says that nothing is left to
// read for now; io.EOF, that nothing ever will be.
func (r *reader) passEnd() (empty bool, err error) {
	s := r.s
	at := r.read
	s.mu.Lock()
	r.seen = cursor{seg: at.seg, off: at.seg.End, number: at.seg.After}
	next := at.seg.Next
	finished := s.finished
	lost := r.countLost(at)
	s.mu.Unlock()

	switch {
	case at.off != r.seen.off:
		return false, nil // something was appended
	case next != nil || at.number < r.seen.number: // in the latter case its end is missing
		if at, err = r.lose(at, r.seen.number, at.off); err != nil {
			return false, err
		}
		if next != nil {
			at = cursor{seg: next, off: segment.HeaderSize, number: at.number, events: at.events}
		}
		r.pass(at)
		return false, nil
	case lost > 0:
		s.opt.Lost(Loss{Events: lost})
		return false, nil // the callee may have appended something
	case finished:
		return false, io.EOF
	}
	return true, nil
}

// readRecord reads the next record that is whole, after what is damaged before it. It is
// nil if there is none in what was seen of the segment.
func (r *reader) readRecord() ([]byte, error) {
	s := r.s
	at := r.read
	end := r.seen
	rec, number, begin, err := r.win.Find(at.seg, at.off, end.off, at.number, end.number)
	if err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}

	if rec == nil {
		number = end.number
	}
	if begin > at.off || number != at.number {
		if at, err = r.lose(at, number, begin); err != nil {
			return nil, err
		}
	}
	if rec == nil {
		r.pass(at)
		return nil, nil
	}

	r.read = cursor{at.seg, begin + segment.FrameSize + int64(len(rec)), number + 1, at.events}
	if number >= s.tally.From && s.opt.Event(rec) != nil {
		r.read.events++
	}
	r.flying = append(r.flying, r.read)
	return rec, nil
}

// countLost returns how many events are missing among those that were appended, if
// all that can be read is read, and not before. s.mu is held.
func (r *reader) countLost(at cursor) (lost uint64) {
	s := r.s
	if !s.suspect || at.number != s.next || at.off != at.seg.End || at.seg.Next != nil {
		return 0
	}
	s.suspect = false
	if had := s.base + at.events; s.tally.Events > had {
		lost = s.tally.Events - had
	}
	s.base += lost
	s.owed += lost
	return lost
}

// pass continues at a place with no record between. If all records before are done,
// so is what was lost there.
func (r *reader) pass(to cursor) {
	s := r.s
	r.read = to
	if len(r.flying) == 0 {
		s.mu.Lock()
		r.setDone(to)
		s.mu.Unlock()
	}
}

// setDone notes up to where all is done. The lock is held.
func (r *reader) setDone(to cursor) {
	s := r.s
	s.tally.Settled += to.events - s.done.events
	s.done = to
	s.mark.Next = to.number
	s.tally.Done = to.number
	s.counted.Store(&s.tally)
	if to.number == s.next {
		s.room.signal() // nothing waits: the next record is taken
	}
}

// lose continues at a place after records or bytes that cannot be read, and
// reports them, once.
func (r *reader) lose(at cursor, number uint64, off int64) (cursor, error) {
	s := r.s
	loss := Loss{First: at.number, Bytes: off - at.off}
	if number > at.number {
		loss.Records = number - at.number
	}

	// Events among what is lost are counted at the end, if the tally covers them.
	after := cursor{at.seg, off, max(at.number, number), at.events}
	if number > max(at.number, s.tally.From) {
		s.mu.Lock()
		s.suspect = true
		s.mu.Unlock()
		if loss.Later = at.number >= s.tally.From; !loss.Later {
			loss.Records = s.tally.From - at.number
		}
	}

	if loss.Records == 0 && at.seg == s.exactTail {
		return after, nil // no number is missing
	}
	if loss.Records == 0 {
		// Bytes but no records: nothing is lost, except perhaps at the end of a segment,
		// where no later record's number shows what was there.
		if loss.Bytes == 0 || off < r.seen.off {
			return after, nil
		}
		if torn, err := r.win.Torn(at.seg, at.off, off, number); torn || err != nil {
			return after, err
		}
	}

	if at.seg.First < r.reported.number || at.seg.First == r.reported.number && at.off < r.reported.off {
		return after, nil // a Rewind came back here
	}
	r.reported = cursor{number: at.seg.First, off: off + 1}
	if loss.Bytes > 0 {
		loss.File = r.setAside(at.seg)
	}
	s.opt.Lost(loss)
	return after, nil
}

// setAside keeps a damaged segment under another name, which it has when all its
// records are done and the segment is removed.
func (r *reader) setAside(seg *segment.File) string {
	s := r.s
	kept := seg.DamagedName()
	if err := s.opt.FS.Link(seg.Name, kept); err != nil && !errors.Is(err, os.ErrExist) {
		s.opt.Failed(fmt.Errorf("set a damaged segment aside: %w", err))
		return seg.Name
	}
	return kept
}

// More receives a value when Next may have something again.
func (s *Spool) More() <-chan struct{} { return s.more }

func (r *reader) ack(n int, seq uint64) error {
	s := r.s
	if n == 0 {
		return nil
	}
	if n < 0 || n > len(r.flying) {
		return fmt.Errorf("ack %d records of %d", n, len(r.flying))
	}

	done := r.flying[n-1]
	r.flying = append(r.flying[:0], r.flying[n:]...)
	if len(r.flying) == 0 {
		done = r.read // and what was lost after the last one
	}

	s.mu.Lock()
	r.setDone(done)
	if seq != 0 {
		s.mark.Seq = seq
	}
	mark := s.mark
	s.mu.Unlock()

	if err := s.check.Write(mark); err != nil {
		return err
	}
	return r.removeDone()
}

func (r *reader) rewind() {
	r.read = r.s.done
	r.flying = r.flying[:0]
}

// removeDone removes the segments before the one that holds the last record that
// is done; it is kept, because there may be damage at its end that is not yet
// reported.
func (r *reader) removeDone() error {
	s := r.s
	s.mu.Lock()
	n := 0
	for n+1 < len(s.segments) && s.segments[n+1].First < s.mark.Next {
		n++
	}
	gone := append([]*segment.File(nil), s.segments[:n]...)
	stale := s.stale
	s.stale = nil
	s.mu.Unlock()

	for _, f := range stale {
		r.win.LeaveFile(f)
		_ = f.Close()
	}
	if n == 0 {
		return nil
	}

	// An old checkpoint without the segments that it needs would look like a loss.
	if s.opt.Sync >= 0 {
		if err := s.check.Sync(); err != nil {
			return err
		}
	}

	bytes := int64(0)
	for _, seg := range gone {
		bytes += seg.End
		if err := s.opt.FS.Remove(seg.Name); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.opt.Failed(fmt.Errorf("remove a segment that is done: %w", err))
		}
		if f := seg.Opened(); f != nil {
			r.win.Leave(seg)
			_ = f.Close()
		}
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = append(s.segments[:0], s.segments[n:]...)
	s.bytes -= bytes
	s.room.signal()
	return nil
}

// dropAll removes all segments, so that the next ones have the room. All their records are
// done. The lock is held.
func (s *Spool) dropAll() {
	if len(s.segments) == 0 {
		return
	}
	if s.opt.Sync >= 0 { // see removeDone
		if err := errors.Join(s.check.Write(s.mark), s.check.Sync()); err != nil {
			s.opt.Failed(err)
			return
		}
	}
	if s.tail.f != nil {
		if err := s.tail.f.Close(); err != nil {
			s.opt.Failed(fmt.Errorf("close a segment: %w", err))
		}
		s.tail.f = nil
		s.tail.dirty = false
	}

	for _, seg := range s.segments {
		if err := s.opt.FS.Remove(seg.Name); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.opt.Failed(fmt.Errorf("remove a segment that is done: %w", err))
		}
		if f := seg.Opened(); f != nil {
			s.stale = append(s.stale, f)
		}
	}

	empty := &segment.File{End: segment.HeaderSize, After: s.next}
	s.newest.Next = empty
	s.newest = empty
	s.segments = s.segments[:0]
	s.bytes = 0
}

// Checkpoint returns how far the records are done.
func (s *Spool) Checkpoint() marks.Checkpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mark
}
