package spool

import (
	"errors"
	"io/fs"
	"path/filepath"

	"supernats/bridge/spool/files"
	"supernats/bridge/spool/marks"
	"supernats/bridge/spool/segment"
)

// Report describes a spool, as seen from outside.
type Report struct {
	Checkpoint marks.Checkpoint
	// Segments and Bytes cover all segments, also what is done in them.
	Segments int
	Bytes    int64
	// Records is how many are whole and not done; Oldest and Newest are the numbers of the
	// first and the last of them, 0 if there is none.
	Records        uint64
	Oldest, Newest uint64
	// Missing is how many records that are not done cannot be read.
	Missing uint64
	// Damaged are the files that were set aside.
	Damaged []string
}

// Inspect describes the spool in a directory. It reads all records that are not done. It
// takes no lock and changes nothing: a process may have the spool open, and what that one
// does meanwhile may be in the report or not.
func Inspect(dir string) (Report, error) {
	var r Report
	err := walk(files.Disk{}, dir, &r, func(number uint64, _ []byte) error {
		if r.Records++; r.Oldest == 0 {
			r.Oldest = number
		}
		r.Newest = number
		return nil
	})
	return r, err
}

// Dump calls visit for each record that is not done, oldest first, until it
// returns an error. rec is valid during the call. Like Inspect it needs no lock
// and changes nothing.
func Dump(dir string, visit func(number uint64, rec []byte) error) error {
	return walk(files.Disk{}, dir, new(Report), visit)
}

// Oldest returns the oldest record that is not done, nil if there is none. Any goroutine
// may call it, but not often: it reads from the disk, with a buffer of its own. A record
// that the reading side has done meanwhile may still be returned.
func (s *Spool) Oldest() (rec []byte, err error) {
	s.mu.Lock()
	at := s.done
	var segments []*segment.File
	if at.number < s.next {
		for seg := at.seg; seg != nil; seg = seg.Next {
			segments = append(segments, &segment.File{First: seg.First, After: seg.After, Name: seg.Name, End: seg.End})
		}
	}
	s.mu.Unlock()

	w := segment.NewWindow(s.opt.FS)
	defer func() { err = errors.Join(err, w.Close()) }()
	for _, seg := range segments {
		rec, _, _, err := w.Find(seg, at.off, seg.End, at.number, seg.After)
		if rec != nil || err != nil && !errors.Is(err, fs.ErrNotExist) { // done meanwhile
			return rec, err
		}
		at.off = segment.HeaderSize
	}
	return nil, nil
}

// walk calls visit for each record that is not done, oldest first, and fills in the
// report except for what visit counts.
func walk(
	fsys files.System, dir string, r *Report, visit func(number uint64, rec []byte) error,
) (err error) {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	for _, e := range names {
		if segment.IsDamaged(e.Name) {
			r.Damaged = append(r.Damaged, filepath.Join(dir, e.Name))
		}
	}

	segments, err := segment.List(fsys, dir)
	if err != nil {
		return err
	}
	// After the list: what was removed before it is done by this checkpoint.
	if r.Checkpoint, err = marks.ReadCheckpoint(fsys, dir); err != nil {
		return err
	}

	r.Segments = len(segments)
	w := segment.NewWindow(fsys)
	defer func() { err = errors.Join(err, w.Close()) }()
	next := r.Checkpoint.Next
	for i, seg := range segments {
		r.Bytes += seg.End
		if seg.After <= next {
			continue
		}
		if next == 0 {
			next = seg.First
		}
		last := i == len(segments)-1
		if next, err = r.walkSegment(&w, seg, next, last, visit); err != nil {
			return err
		}
	}
	return nil
}

// walkSegment calls visit for the records of a segment from the number next on, and
// returns the number after the last of them. last says that it is the newest segment.
func (r *Report) walkSegment(
	w *segment.Window, seg *segment.File, next uint64, last bool, visit func(number uint64, rec []byte) error,
) (uint64, error) {
	off := int64(segment.HeaderSize)
	from := seg.First
	for {
		rec, number, begin, err := w.Find(seg, off, seg.End, from, seg.After)
		if errors.Is(err, fs.ErrNotExist) {
			return max(next, seg.After), nil // done meanwhile
		}
		if err != nil && seg.MayRetry() {
			continue
		}
		if err != nil {
			return next, err
		}

		if rec == nil {
			// In the last segment this may be a record that is being written.
			if !last {
				r.Missing += seg.After - min(next, seg.After)
				next = max(next, seg.After)
			}
			return next, nil
		}

		off = begin + segment.FrameSize + int64(len(rec))
		from = number + 1
		if number < next {
			continue
		}
		r.Missing += number - next
		next = number + 1
		if err := visit(number, rec); err != nil {
			return next, err
		}
	}
}
