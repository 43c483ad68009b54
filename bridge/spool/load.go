package spool

import (
	"errors"
	"path/filepath"

	"supernats/bridge/spool/marks"
	"supernats/bridge/spool/segment"
)

// loader opens a spool: it finds where the log ends and where reading continues. Nothing
// else uses the spool yet, so it holds no lock.
type loader struct {
	s     *Spool
	whole uint64 // the number after the last record that is whole
}

// load finds the segments, the end of the log and the checkpoint.
func (l *loader) load() (err error) {
	s := l.s
	if s.opt.Sync >= 0 {
		// The directory itself may be new. That of its parent is not always ours to
		// open, so its flush is an attempt.
		_ = s.opt.FS.SyncDir(filepath.Dir(s.opt.Dir))
	}

	if s.check, s.mark, err = marks.OpenCheckpoint(s.opt.FS, s.opt.Dir); err != nil {
		return err
	}
	if s.segments, err = segment.List(s.opt.FS, s.opt.Dir); err != nil {
		return err
	}
	for _, seg := range s.segments {
		s.bytes += seg.End
	}

	if err := l.findNewest(); err != nil {
		return err
	}

	l.openFiles()
	l.loadTally()
	return l.seek()
}

// findNewest finds the newest segment, and where it ends.
func (l *loader) findNewest() error {
	s := l.s
	l.whole = 1
	n := len(s.segments)
	if n == 0 {
		s.newest = &segment.File{End: segment.HeaderSize}
		return nil
	}

	s.newest = s.segments[n-1]
	if err := l.findEnd(s.newest); err != nil {
		return err
	}
	if n > 1 && s.newest.After == s.newest.First {
		// A process began it that stored nothing: the last records are in the one before.
		if _, _, _, err := l.last(s.segments[n-2]); err != nil {
			return err
		}
	}
	return nil
}

// loadTally determines the number of the next record, and notes it in the tally.
func (l *loader) loadTally() {
	s := l.s
	counted, last, known, err := marks.OpenTally(s.opt.FS, s.opt.Dir)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		s.opt.Failed(err)
	}
	s.counted = counted
	if known {
		s.left.Memory = last.Memory
	}

	// After a power cut the checkpoint may know of records that are gone. Their
	// numbers are not used again.
	s.next = max(1, s.newest.After, s.mark.Next)
	// The tally is exact unless it is older than the segments, as after a power cut.
	exact := known && last.Next >= max(l.whole, s.mark.Next)
	s.left.Damaged = !exact && (s.left.Damaged || s.newest.After > l.whole)
	if exact {
		s.exactTail = s.newest
		s.next = last.Next
		s.newest.After = last.Next
		s.left.Place = last.Place
	}

	if exact && s.mark.Next <= last.Done {
		s.tally = last
		s.mark.Next = last.Done
	} else {
		s.tally = marks.Tally{Next: s.next, From: s.next, Done: max(1, s.mark.Next), Place: s.left.Place}
	}
	s.tally.Memory = s.left.Memory // until that is reported
	s.base = s.tally.Settled
	s.suspect = s.tally.Events > s.tally.Settled
}

// openFiles opens the segments for reading, as far as descriptors go: what is in a
// file that somebody removes can be read as long as it is open.
func (l *loader) openFiles() {
	s := l.s
	for _, seg := range s.segments[:min(len(s.segments), keepOpen)] {
		seg.Open(s.opt.FS)
	}
}

// last passes the records of a segment to Options.Last, and returns the number
// after the last of them, that after the last one that is whole, and where it ends.
func (l *loader) last(seg *segment.File) (next, whole uint64, off int64, err error) {
	s := l.s
	next, off = seg.First, segment.HeaderSize
	for {
		rec, number, begin, err := s.reader.win.Find(seg, off, seg.End, next, seg.After)
		if err != nil {
			return 0, 0, 0, err
		}
		if rec == nil {
			return max(next, number+1), next, off, nil // one that is damaged had this number
		}
		s.opt.Last(number, rec)
		off = begin + segment.FrameSize + int64(len(rec))
		next = number + 1
	}
}

// findEnd finds the number after the last record of the newest segment, and that after the
// last one that is whole.
func (l *loader) findEnd(seg *segment.File) error {
	s := l.s
	next, whole, off, err := l.last(seg)
	if err != nil {
		return err
	}
	l.whole = whole

	torn, err := s.reader.win.Torn(seg, off, seg.End, seg.After)
	if err != nil {
		return err
	}
	if torn {
		s.bytes -= seg.End - off
		seg.End = off
		s.reader.win.Forget() // it has what will be overwritten
	}

	s.left.Damaged = seg.End > off
	if seg.End > segment.HeaderSize {
		// A segment that holds nothing but damage held a record: no other segment gets
		// its name.
		next = max(next, seg.First+1)
	}
	seg.After = next
	return nil
}

// seek puts the cursors after what is done according to the checkpoint.
func (l *loader) seek() error {
	s := l.s
	at := cursor{seg: s.newest, off: segment.HeaderSize, number: s.next}
	if len(s.segments) > 0 {
		at = cursor{seg: s.segments[0], off: segment.HeaderSize, number: s.segments[0].First}
	}
	// From the segment that holds the last record that is done.
	for _, seg := range s.segments {
		if seg.First < s.mark.Next {
			at = cursor{seg: seg, off: segment.HeaderSize, number: seg.First}
		}
	}

	for at.number < s.mark.Next {
		rec, number, begin, err := s.reader.win.Find(at.seg, at.off, at.seg.End, at.number, at.seg.After)
		if err != nil {
			return err
		}
		if rec == nil && at.seg.After <= s.mark.Next {
			at.off = at.seg.End // what is damaged here was done
		}
		if rec == nil || number >= s.mark.Next {
			break
		}
		at.off = begin + segment.FrameSize + int64(len(rec))
		at.number = number + 1
	}

	if s.mark.Next > 0 {
		at.number = s.mark.Next
	}
	s.mark.Next = at.number
	s.reader.read = at
	s.done = at
	s.tally.Done = at.number
	s.counted.Store(&s.tally)
	return s.reader.removeDone()
}
