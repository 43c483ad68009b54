package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Append stores a record at the end. It is called by one goroutine.
//
// Errors: ErrFull, ErrFinished, ErrTooBig, or one of the file system; in all
// cases the spool is as it was and Append may be called again.
func (s *Spool) Append(rec []byte) error {
	if len(rec) == 0 || len(rec) > maxRecord {
		return ErrTooBig
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished {
		return ErrFinished
	}
	s.frame = appendFrame(s.frame[:0], rec)
	if err := s.makeRoom(int64(len(s.frame))); err != nil {
		return err
	}
	last := s.segments[len(s.segments)-1]
	if _, err := last.f.WriteAt(s.frame, last.end); err != nil {
		_ = last.f.Truncate(last.end) // what is behind end is never read anyway
		return s.failed("append to the spool", err)
	}
	if s.opt.Sync == 0 {
		if err := last.f.Sync(); err != nil {
			_ = last.f.Truncate(last.end)
			return s.failed("flush the spool", err)
		}
	} else {
		s.dirty[last] = true
	}
	last.end += int64(len(s.frame))
	s.bytes += int64(len(s.frame))
	s.unseen += int64(len(s.frame))
	s.next++
	if cap(s.frame) > keepFrame {
		s.frame = nil
	}
	s.signal()
	return nil
}

// keepFrame is the largest buffer that Append keeps.
const keepFrame = 1 << 20

// signal wakes the reader.
func (s *Spool) signal() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// failed wraps an error of a write; want of room is ErrFull.
func (s *Spool) failed(what string, err error) error {
	if isFull(err) {
		s.diskFull = true
		return ErrFull
	}
	return fmt.Errorf("%s: %w", what, err)
}

// makeRoom makes sure that a frame may be written, in a segment that is not too
// large.
func (s *Spool) makeRoom(size int64) error {
	last := s.segments[len(s.segments)-1]
	fits := func() bool { return s.bytes+size <= s.opt.Max || s.next == s.mark.Next && size > s.opt.Max }
	if !fits() && s.next == s.mark.Next && last.end > headerSize {
		// All is done, only nothing has been removed yet.
		if err := s.addSegment(); err != nil {
			return err
		}
		s.removeBefore(s.segments[len(s.segments)-1])
		last = s.segments[len(s.segments)-1]
	}
	if !fits() {
		return ErrFull
	}
	if s.diskFull || s.unseen >= spaceEvery || size >= spaceEvery {
		free, total, err := s.opt.fs.Space(s.opt.Dir)
		if err != nil {
			return fmt.Errorf("look at the space for the spool: %w", err)
		}
		s.diskFull = free < total/reserve+uint64(size)+spaceEvery
		if s.diskFull {
			return ErrFull
		}
		s.unseen = 0
	}
	if last.end > headerSize && last.end+size > s.opt.SegmentBytes {
		return s.addSegment()
	}
	return nil
}

// addSegment begins a new segment with the number of the next record.
func (s *Spool) addSegment() error {
	path := filepath.Join(s.opt.Dir, segmentName(s.next))
	f, err := s.opt.fs.Open(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return s.failed("begin a segment", err)
	}
	_, err = f.WriteAt(appendHeader(nil, s.next), 0)
	if err == nil && s.opt.Sync >= 0 {
		err = s.opt.fs.SyncDir(s.opt.Dir)
	}
	if err != nil {
		return errors.Join(s.failed("begin a segment", err), f.Close(), s.opt.fs.Remove(path))
	}
	seg := &segment{first: s.next, name: path, f: f, end: headerSize}
	s.segments = append(s.segments, seg)
	s.bytes += headerSize
	s.dirty[seg] = true
	if s.read.seg != nil && s.read.number == s.next && s.next == s.mark.Next {
		// Nothing is left behind: the reader goes on here.
		s.read = cursor{seg, headerSize, s.next}
		s.done = s.read
	}
	return nil
}

// removeBefore removes the segments that are older than one.
func (s *Spool) removeBefore(keep *segment) {
	n := 0
	for ; n < len(s.segments) && s.segments[n] != keep; n++ {
		seg := s.segments[n]
		s.bytes -= seg.end
		delete(s.dirty, seg)
		if err := errors.Join(seg.f.Close(), s.opt.fs.Remove(seg.name)); err != nil {
			s.opt.Failed(fmt.Errorf("remove a segment that is done: %w", err))
		}
	}
	if n == 0 {
		return
	}
	s.segments = append(s.segments[:0], s.segments[n:]...)
	close(s.room)
	s.room = make(chan struct{})
}

// Room returns a channel that is closed when segments have been removed. Room in
// the file system shows only by trying again.
func (s *Spool) Room() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room
}

// Used tells what part of Options.Max is in use.
func (s *Spool) Used() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return float64(s.bytes) / float64(s.opt.Max)
}

func (s *Spool) syncLoop() {
	defer s.synced.Done()
	t := time.NewTicker(s.opt.Sync)
	defer t.Stop()
	for {
		select {
		case <-s.stopSync:
			return
		case <-t.C:
			if err := s.flush(); err != nil {
				s.opt.Failed(err)
			}
		}
	}
}

// flush brings to the platter what was appended.
func (s *Spool) flush() error {
	s.mu.Lock()
	dirty := s.dirty
	s.dirty = map[*segment]bool{}
	s.mu.Unlock()
	var errs []error
	for seg := range dirty {
		// Removed meanwhile is as good as flushed.
		if err := seg.f.Sync(); err != nil && !errors.Is(err, os.ErrClosed) {
			errs = append(errs, fmt.Errorf("flush the spool: %w", err))
		}
	}
	return errors.Join(errs...)
}
