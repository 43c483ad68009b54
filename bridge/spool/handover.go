package spool

import (
	"errors"
	"os"
	"path/filepath"

	"supernats/bridge/spool/files"
	"supernats/bridge/spool/marks"
	"supernats/bridge/spool/segment"
)

// What a Queue, which keeps records in memory while the disk takes none, needs beside
// Append and Next.

// Reported is which loss a record reports: that one need not be reported again.
type Reported int

// What is reported.
const (
	Nothing  Reported = iota
	OfDamage          // what Options.Lost was called for
	OfMemory          // Left.Memory
)

// AppendReporting is Append for a record that may report events as lost.
func (s *Spool) AppendReporting(rec []byte, loss Reported) error {
	if err := CheckSize(rec); err != nil {
		return err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished {
		return ErrFinished
	}
	if s.restorer.failed {
		s.refused = ErrRemoved
		return s.refused
	}
	s.refused = s.append(rec, loss)
	return s.refused
}

// AppendLeft appends records, also to a spool that is finished, and returns how many it
// stored.
func (s *Spool) AppendLeft(recs [][]byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.restorer.failed {
		return 0, ErrRemoved
	}

	for _, rec := range recs {
		if err := s.append(rec, Nothing); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// NoteMemory notes in the tally how many events wait in memory, and the place of the last
// one that supervisord has an answer to.
func (s *Spool) NoteMemory(events uint64, place []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.tally.Memory = s.left.Memory + events
	if len(place) > 0 {
		s.tally.Place = append(s.tally.Place[:0], place...)
	}
	s.counted.Store(&s.tally)
}

// Settle notes that a record that reports lost events is stored elsewhere.
func (s *Spool) Settle(loss Reported) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.settleReported(loss)
	s.counted.Store(&s.tally)
}

// settleReported notes what is reported. The lock is held.
func (s *Spool) settleReported(loss Reported) {
	switch loss {
	case OfDamage:
		s.tally.Settled += s.owed
		s.owed = 0
	case OfMemory:
		s.tally.Memory -= s.left.Memory
		s.left.Memory = 0
	}
}

// BeginSegment makes the next record begin a segment.
func (s *Spool) BeginSegment() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail.f != nil && s.newest.End > segment.HeaderSize {
		s.tail.retire()
	}
}

// Unread reports that something is left to read. It is for the reading side.
func (s *Spool) Unread() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reader.read.number < s.next
}

// Drained reports that all that was appended is done.
func (s *Spool) Drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mark.Next >= s.next
}

// Dismiss closes a spool whose records are all done. It removes the segments, the files
// named by others and, if all is set, the spool's other files and the directory.
func (s *Spool) Dismiss(all bool, others ...string) error {
	s.Settle(OfDamage)
	s.mu.Lock()
	s.dropAll()
	s.mu.Unlock()

	if all {
		// Nobody else can hold the lock: it is ours until Close, and then has no name.
		others = append(others, marks.CheckpointName, marks.TallyName, files.LockName)
	}
	for _, name := range others {
		_ = os.Remove(filepath.Join(s.opt.Dir, name))
	}
	if all {
		_ = os.Remove(s.opt.Dir)
	}
	return s.Close()
}

// IsSpool reports whether a directory holds anything of a spool.
func IsSpool(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		_, isSegment := segment.ParseName(e.Name())
		if isSegment || e.Name() == files.LockName || e.Name() == marks.CheckpointName {
			return true
		}
	}
	return false
}

// MayWait reports whether something may wait in a directory. It needs no lock.
func MayWait(dir string) bool {
	segments, err := segment.List(files.Disk{}, dir)
	if err != nil || len(segments) == 0 {
		return false
	}
	t, known := marks.LookTally(files.Disk{}, dir)
	return !known || t.Done < t.Next
}

// CheckSize returns ErrTooBig, or an error for a record that is empty.
func CheckSize(rec []byte) error {
	switch {
	case len(rec) == 0:
		return errors.New("record is empty")
	case len(rec) > segment.MaxRecord:
		return ErrTooBig
	}
	return nil
}
