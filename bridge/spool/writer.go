package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"supernats/bridge/spool/segment"
)

const (
	// keepFrame is the largest buffer that Append keeps.
	keepFrame = 1 << 20
	// keepOpen is how many segments are open for reading before it is their turn.
	keepOpen = 96
)

// ErrDiskFull is returned while the file system has no room. It is an ErrFull.
var ErrDiskFull = fmt.Errorf("the file system has no room: %w", ErrFull)

// ErrTooBig is returned for a record that no frame can hold.
var ErrTooBig = fmt.Errorf("record is larger than %d bytes", segment.MaxRecord)

// ErrRemoved is returned while files of the spool are removed and cannot be restored.
var ErrRemoved = errors.New("the files of the spool were removed")

// Append stores a record at the end.
//
// Errors: ErrFull, ErrRemoved, ErrFinished, ErrTooBig, or one of the file system. In all
// cases Append may be called again; nothing of the record is stored, unless the
// process dies before the next Append.
func (s *Spool) Append(rec []byte) error { return s.AppendReporting(rec, Nothing) }

// append appends a record, which reports a loss. The lock is held.
func (s *Spool) append(rec []byte, loss Reported) error {
	s.frame = segment.AppendFrame(s.frame[:0], s.next, rec)
	size := int64(len(s.frame))
	if err := s.makeRoom(size); err != nil {
		return err
	}

	last := s.newest
	_, err := s.tail.f.WriteAt(s.frame, last.End)
	if err == nil && s.opt.Sync == 0 {
		err = s.tail.f.Sync()
	}
	if err != nil {
		// What that file holds now is not known, and after a flush that failed the
		// system does not write its bytes again. So the next record goes into another
		// file. A frame that stays here, whole, has the same number as one there.
		_ = s.tail.f.Truncate(last.End)
		s.tail.retire()
		return s.space.failed("append to the spool", err)
	}

	s.tail.dirty = true
	s.next++
	last.End += size
	last.After = s.next
	s.bytes += size
	s.space.unseen += size

	if place := s.opt.Event(rec); place != nil {
		s.tally.Events++
		s.tally.Place = append(s.tally.Place[:0], place...)
	}
	s.tally.Next = s.next
	s.settleReported(loss)
	s.counted.Store(&s.tally)
	if cap(s.frame) > keepFrame {
		s.frame = nil
	}
	notify(s.more)
	return nil
}

// notify puts a value into a channel that holds one.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// makeRoom checks that a frame of that size may be written, and begins a segment if the
// newest one would become too large.
func (s *Spool) makeRoom(size int64) error {
	roll := s.tail.f == nil || s.newest.End > segment.HeaderSize && s.newest.End+size > s.opt.SegmentBytes
	want := size
	if roll {
		want += segment.HeaderSize
	}

	if s.bytes+want > s.opt.Max {
		if s.mark.Next < s.next {
			return ErrFull
		}
		// Nothing waits: one record is taken whatever its size, so that no record
		// is refused for ever. With a new segment the old one can be removed.
		roll = true
	}

	if s.space.isDue(size) {
		err := s.space.check(want)
		if err != nil && s.mark.Next == s.next && len(s.segments) > 0 {
			// Nothing waits: the room of the records that are done may be enough.
			s.dropAll()
			roll = true
			err = s.space.check(want)
		}
		if err != nil {
			return err
		}
	}

	if roll {
		return s.addSegment()
	}
	return nil
}

// addSegment begins a segment with the number of the next record.
func (s *Spool) addSegment() error {
	s.tail.retire()

	path := filepath.Join(s.opt.Dir, segment.Name(s.next))
	// A file of this name holds no record: the number was never given, or its
	// Append failed.
	f, err := s.opt.FS.Open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return s.space.failed("begin a segment", err)
	}
	_, err = f.WriteAt(segment.AppendHeader(nil, s.next), 0)
	if err == nil && s.opt.Sync >= 0 {
		err = s.opt.FS.SyncDir(s.opt.Dir)
	}
	if err != nil {
		_ = f.Close()
		return s.space.failed("begin a segment", err)
	}

	s.tail.f = f
	s.tail.dirty = true
	if last := s.newest; last.First == s.next {
		return nil // the last one is still empty
	}

	seg := &segment.File{First: s.next, After: s.next, Name: path, End: segment.HeaderSize}
	if len(s.segments) < keepOpen {
		seg.Open(s.opt.FS)
	}
	s.newest.Next = seg
	s.newest = seg
	s.segments = append(s.segments, seg)
	s.bytes += segment.HeaderSize
	return nil
}

// Room returns a channel that is closed when Append may have room again. To miss nothing,
// call it before the Append that returns ErrFull. Room in the file system, which others
// use too, is not signalled: try again.
func (s *Spool) Room() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room.wait()
}

// Used returns the fraction of Options.Max that is in use.
func (s *Spool) Used() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return float64(s.bytes) / float64(s.opt.Max)
}
