package spool

import (
	"errors"
	"fmt"
	"io"
	"os"

	"supernats/bridge/spool/marks"
)

// cursor is a place between two records: the number of the one after it, and
// where its frame begins.
type cursor struct {
	seg    *segment
	off    int64
	number uint64
	events uint64 // read since the spool was opened, of those that are counted
}

// Next returns the next record; it is valid until the next call of Next or
// Rewind. ok is false if there is none yet. io.EOF: there will never be one
// again. After any other error Next may be called again: a place that cannot be
// read for a while is given up as damaged. The reading side is used by one
// goroutine.
func (s *Spool) Next() (rec []byte, ok bool, err error) {
	for {
		if at := s.read; at.seg != s.seen.seg || at.off == s.seen.off {
			s.mu.Lock()
			s.seen = cursor{seg: at.seg, off: at.seg.end, number: at.seg.behind}
			next, finished := at.seg.next, s.finished
			lost := s.countLost(at)
			s.mu.Unlock()

			switch {
			case at.off != s.seen.off:
			case next != nil:
				if at, err = s.lose(at, s.seen.number, at.off); err != nil {
					return nil, false, err
				}
				s.pass(cursor{next, headerSize, at.number, at.events})
				continue
			case at.number < s.seen.number: // its end is missing
				if at, err = s.lose(at, s.seen.number, at.off); err != nil {
					return nil, false, err
				}
				s.pass(at)
				continue
			case lost > 0:
				s.opt.Lost(Loss{Events: lost})
				continue // the callee may have appended something
			case finished:
				return nil, false, io.EOF
			default:
				return nil, false, nil
			}
		}

		at, end := s.read, s.seen
		rec, number, begin, err := s.win.find(at.seg, at.off, end.off, at.number, end.number)
		if err != nil {
			return nil, false, fmt.Errorf("read the spool: %w", err)
		}
		if rec == nil {
			number = end.number
		}
		if begin > at.off || number != at.number {
			if at, err = s.lose(at, number, begin); err != nil {
				return nil, false, err
			}
		}
		if rec == nil {
			s.pass(at)
			continue
		}

		s.read = cursor{at.seg, begin + frameSize + int64(len(rec)), number + 1, at.events}
		if number >= s.tally.From && s.opt.Event(rec) != nil {
			s.read.events++
		}
		s.flying = append(s.flying, s.read)
		return rec, true, nil
	}
}

// countLost returns how many events are missing among those that were appended, if
// all that can be read is read, and not before. s.mu is held.
func (s *Spool) countLost(at cursor) (lost uint64) {
	if !s.suspect || at.number != s.next || at.off != at.seg.end || at.seg.next != nil {
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
func (s *Spool) pass(to cursor) {
	s.read = to
	if len(s.flying) == 0 {
		s.mu.Lock()
		s.setDone(to)
		s.mu.Unlock()
	}
}

func (s *Spool) setDone(to cursor) {
	s.tally.Settled += to.events - s.done.events
	s.done = to
	s.mark.Next = to.number
	s.tally.Done = to.number
	s.counted.Store(&s.tally)
	if to.number == s.next {
		s.signalRoom() // nothing waits: the next record is taken
	}
}

// lose continues at a place after records or bytes that cannot be read, and
// reports them, once.
func (s *Spool) lose(at cursor, number uint64, off int64) (cursor, error) {
	loss := Loss{First: at.number, Bytes: off - at.off}
	if number > at.number {
		loss.Records = number - at.number
	}

	behind := cursor{at.seg, off, max(at.number, number), at.events}
	if number > max(at.number, s.tally.From) {
		s.mu.Lock()
		s.suspect = true
		s.mu.Unlock()
		if loss.Later = at.number >= s.tally.From; !loss.Later {
			loss.Records = s.tally.From - at.number
		}
	}

	if loss.Records == 0 && at.seg == s.exactTail {
		return behind, nil // no number is missing
	}
	if loss.Records == 0 {
		// Bytes and no records: nothing, unless it is the end of a segment, where
		// the number of the records to come does not show what was there.
		if loss.Bytes == 0 || off < s.seen.off {
			return behind, nil
		}
		if torn, err := s.win.torn(at.seg, at.off, off, number); torn || err != nil {
			return behind, err
		}
	}

	if at.seg.first < s.told.number || at.seg.first == s.told.number && at.off < s.told.off {
		return behind, nil // a Rewind came back here
	}
	s.told = cursor{number: at.seg.first, off: off + 1}
	if loss.Bytes > 0 {
		loss.File = s.setAside(at.seg.name)
	}
	s.opt.Lost(loss)
	return behind, nil
}

// setAside keeps a damaged segment under another name, which it has when all its
// records are done and the segment is removed.
func (s *Spool) setAside(path string) string {
	kept := path[:len(path)-len(suffix)] + damaged
	if err := s.opt.FS.Link(path, kept); err != nil && !errors.Is(err, os.ErrExist) {
		s.opt.Failed(fmt.Errorf("set a damaged segment aside: %w", err))
		return path
	}
	return kept
}

// More receives a value when Next may have something again.
func (s *Spool) More() <-chan struct{} { return s.more }

// Ack says that the oldest n records that Next has returned and that are not
// done are so; seq is kept with the checkpoint unless it is 0.
//
// After an error they are done all the same, but not yet on disk: they come again
// if the process dies before the next Ack.
func (s *Spool) Ack(n int, seq uint64) error {
	if n == 0 {
		return nil
	}
	if n < 0 || n > len(s.flying) {
		return fmt.Errorf("ack %d records of %d", n, len(s.flying))
	}
	done := s.flying[n-1]
	if s.flying = append(s.flying[:0], s.flying[n:]...); len(s.flying) == 0 {
		done = s.read // and what was lost after the last one
	}

	s.mu.Lock()
	s.setDone(done)
	if seq != 0 {
		s.mark.Seq = seq
	}
	mark := s.mark
	s.mu.Unlock()

	if err := s.check.Write(mark); err != nil {
		return err
	}
	return s.removeDone()
}

// Rewind makes Next continue at the oldest record that is not done.
func (s *Spool) Rewind() error {
	s.read, s.flying = s.done, s.flying[:0]
	return nil
}

// removeDone removes the segments before the one that holds the last record that
// is done; it is kept, because there may be damage at its end that is not yet
// reported.
func (s *Spool) removeDone() error {
	s.mu.Lock()
	n := 0
	for n+1 < len(s.segments) && s.segments[n+1].first < s.mark.Next {
		n++
	}
	gone := append([]*segment(nil), s.segments[:n]...)
	stale := s.stale
	s.stale = nil
	s.mu.Unlock()

	for _, f := range stale {
		if s.win.f == f {
			_ = s.win.close()
		}
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

	var bytes int64
	for _, seg := range gone {
		bytes += seg.end
		if err := s.opt.FS.Remove(seg.name); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.opt.Failed(fmt.Errorf("remove a segment that is done: %w", err))
		}
		if f := seg.opened(); f != nil {
			if s.win.seg == seg {
				_ = s.win.close()
			}
			_ = f.Close()
		}
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = append(s.segments[:0], s.segments[n:]...)
	s.bytes -= bytes
	s.signalRoom()
	return nil
}

// dropAll removes all segments where all records are done, so that what they take is
// free for the next ones. The lock is held.
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
	if s.tail != nil {
		if err := s.tail.Close(); err != nil {
			s.opt.Failed(fmt.Errorf("close a segment: %w", err))
		}
		s.tail = nil
		s.dirty = false
	}

	for _, seg := range s.segments {
		if err := s.opt.FS.Remove(seg.name); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.opt.Failed(fmt.Errorf("remove a segment that is done: %w", err))
		}
		if f := seg.opened(); f != nil {
			s.stale = append(s.stale, f)
		}
	}

	empty := &segment{end: headerSize, behind: s.next}
	s.newest.next = empty
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
