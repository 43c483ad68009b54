package spool

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"supernats/bridge/spool/files"
	"supernats/bridge/spool/marks"
)

// loader opens a spool: it finds where the log ends and where reading continues. Nobody
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
	if s.segments, err = listSegments(s.opt.FS, s.opt.Dir); err != nil {
		return err
	}
	for _, seg := range s.segments {
		s.bytes += seg.end
	}

	l.whole = 1
	if n := len(s.segments); n > 0 {
		s.newest = s.segments[n-1]
		if err = l.findEnd(s.newest); err != nil {
			return err
		}
		if n > 1 && s.newest.after == s.newest.first {
			// Begun by a process that stored nothing.
			if _, _, _, err := l.last(s.segments[n-2]); err != nil {
				return err
			}
		}
	} else {
		s.newest = &segment{end: headerSize}
	}

	l.openFiles()
	l.loadTally()
	return l.seek()
}

// loadTally finds out how far was appended, and puts that on record.
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
	// numbers are not given again.
	s.next = max(1, s.newest.after, s.mark.Next)
	exact := known && last.Next >= max(l.whole, s.mark.Next)
	s.left.Damaged = !exact && (s.left.Damaged || s.newest.after > l.whole)
	if exact {
		s.exactTail = s.newest
		s.next = last.Next
		s.newest.after = last.Next
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
		seg.openFile(s.opt.FS)
	}
}

// listSegments returns the segments in a directory, oldest first. Where the last
// one ends is not known yet. What is damaged in one, the header too, is found
// when it is read: the name says what is needed.
func listSegments(fs files.System, dir string) ([]*segment, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("list the segments: %w", err)
	}
	var all []*segment
	for _, e := range names {
		first, ok := parseName(e.Name)
		if !ok {
			continue
		}

		seg := &segment{
			first: first, after: math.MaxUint64, name: filepath.Join(dir, e.Name), end: max(headerSize, e.Size),
		}
		if n := len(all); n > 0 {
			all[n-1].next = seg
			all[n-1].after = first
		}
		all = append(all, seg)
	}
	return all, nil
}

// last passes the records of a segment to Options.Last, and returns the number
// after the last of them, that after the last one that is whole, and where it ends.
func (l *loader) last(seg *segment) (next, whole uint64, off int64, err error) {
	s := l.s
	next, off = seg.first, headerSize
	for {
		rec, number, begin, err := s.reader.win.find(seg, off, seg.end, next, seg.after)
		if err != nil {
			return 0, 0, 0, err
		}
		if rec == nil {
			return max(next, number+1), next, off, nil // one that is damaged had this number
		}
		s.opt.Last(number, rec)
		off, next = begin+frameSize+int64(len(rec)), number+1
	}
}

// findEnd finds the number after the last record of the newest segment, and that after the
// last one that is whole.
func (l *loader) findEnd(seg *segment) error {
	s := l.s
	next, whole, off, err := l.last(seg)
	if err != nil {
		return err
	}
	l.whole = whole

	torn, err := s.reader.win.torn(seg, off, seg.end, seg.after)
	if err != nil {
		return err
	}
	if torn {
		s.bytes -= seg.end - off
		seg.end = off
		s.reader.win.buf = s.reader.win.buf[:0] // it has what will be overwritten
	}

	s.left.Damaged = seg.end > off
	if seg.end > headerSize {
		// A segment that is nothing but damage had a record: no other one gets
		// this file's name.
		next = max(next, seg.first+1)
	}
	seg.after = next
	return nil
}

// seek puts the cursors after what the checkpoint says is done.
func (l *loader) seek() error {
	s := l.s
	at := cursor{seg: s.newest, off: headerSize, number: s.next}
	if len(s.segments) > 0 {
		at = cursor{seg: s.segments[0], off: headerSize, number: s.segments[0].first}
	}
	for _, seg := range s.segments {
		if seg.first < s.mark.Next {
			at = cursor{seg: seg, off: headerSize, number: seg.first}
		}
	}

	for at.number < s.mark.Next {
		rec, number, begin, err := s.reader.win.find(at.seg, at.off, at.seg.end, at.number, at.seg.after)
		if err != nil {
			return err
		}
		if rec == nil && at.seg.after <= s.mark.Next {
			at.off = at.seg.end // what is damaged here was done
		}
		if rec == nil || number >= s.mark.Next {
			break
		}
		at.off, at.number = begin+frameSize+int64(len(rec)), number+1
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
