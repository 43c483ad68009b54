package spool

import (
	"os"
	"path/filepath"
	"strings"
)

// noteMemory puts into the tally what waits in memory.
func (s *Spool) noteMemory(events uint64, place []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.memory = s.left.Memory + events
	if len(place) > 0 {
		s.tally.place = append(s.tally.place[:0], place...)
	}
	s.counted.store(&s.tally)
}

// settle says that a record that reports events as lost is stored elsewhere.
func (s *Spool) settle(loss reported) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(loss)
	s.counted.store(&s.tally)
}

// newSegment makes the next record begin one.
func (s *Spool) newSegment() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail != nil && s.newest.end > headerSize {
		s.retire()
	}
}

// behind reports that something is left to read. It is for the reading side.
func (s *Spool) behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read.number < s.next
}

// drained reports that all that was appended is done.
func (s *Spool) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mark.Next >= s.next
}

// appendAll appends records, to a spool that is finished too, and returns how many it
// took.
func (s *Spool) appendAll(recs [][]byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed {
		return 0, ErrRemoved
	}
	for _, rec := range recs {
		if err := s.append(rec, nothing); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// dismiss closes a spool that is all published, and removes what is left of it.
func (s *Spool) dismiss() error {
	dir := s.opt.Dir
	s.settle(ofDamage)
	s.mu.Lock()
	s.dropAll()
	s.mu.Unlock()
	_ = os.Remove(filepath.Join(dir, ownerName))
	if strings.HasPrefix(filepath.Base(dir), slotPrefix) {
		// Nobody can have locked it: it is ours until Close, and has no name then.
		for _, name := range []string{checkName, tallyName, lockName} {
			_ = os.Remove(filepath.Join(dir, name))
		}
		_ = os.Remove(dir)
	}
	return s.Close()
}
