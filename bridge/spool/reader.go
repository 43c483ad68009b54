package spool

import (
	"errors"
	"fmt"
	"io"
)

// cursor is a place between two records: the number of the one behind it, and
// where its frame begins.
type cursor struct {
	seg    *segment
	off    int64
	number uint64
}

// readBuffer is how much is read from a segment at a time.
const readBuffer = 256 << 10

// window is a part of a segment in memory.
type window struct {
	seg *segment
	off int64 // where buf begins in the segment
	buf []byte
}

// Next returns the next record; it is valid until the next call of Next or
// Rewind. ok is false if there is none yet. io.EOF: there will never be one
// again. The reading side is used by one goroutine.
func (s *Spool) Next() (rec []byte, ok bool, err error) {
	for {
		s.mu.Lock()
		at, end, finished := s.read, s.read.seg.end, s.finished
		var next *segment
		for i, seg := range s.segments[:len(s.segments)-1] {
			if seg == at.seg {
				next = s.segments[i+1]
			}
		}
		s.mu.Unlock()
		rec, size, skipped, err := s.win.frame(at.seg, at.off, end)
		switch {
		case err != nil:
			return nil, false, fmt.Errorf("read the spool: %w", err)
		case skipped > 0:
			s.damage(at.seg, skipped, next != nil)
			s.move(cursor{at.seg, at.off + skipped, at.number})
			continue
		case rec != nil:
			at = cursor{at.seg, at.off + int64(size), at.number + 1}
			s.move(at)
			s.flying = append(s.flying, at)
			return rec, true, nil
		case next != nil:
			s.leave(at, next)
			continue
		case finished:
			return nil, false, io.EOF
		}
		return nil, false, nil
	}
}

// More receives a value when Next may have something again.
func (s *Spool) More() <-chan struct{} { return s.more }

// Ack says that the oldest n records that Next has returned are done; seq is
// kept with the checkpoint.
func (s *Spool) Ack(n int, seq uint64) error {
	if n == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = s.flying[n-1]
	s.flying = append(s.flying[:0], s.flying[n:]...)
	s.mark = Checkpoint{Next: s.done.number, Seq: max(seq, s.mark.Seq)}
	err := s.check.write(s.mark)
	s.removeBefore(s.done.seg)
	return err
}

// Rewind makes Next go on at the oldest record that is not done.
func (s *Spool) Rewind() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read, s.flying = s.done, s.flying[:0]
	return nil
}

// Checkpoint returns how far the records are done.
func (s *Spool) Checkpoint() Checkpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mark
}

func (s *Spool) move(to cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = to
}

// leave goes on to the next segment. Its number says how many records this one
// had.
func (s *Spool) leave(at cursor, next *segment) {
	if bytes := s.damaged[at.seg]; bytes > 0 || at.number < next.first {
		s.setAside(at.seg.name, next.first-at.number, bytes)
		delete(s.damaged, at.seg)
	}
	s.move(cursor{next, headerSize, next.first})
}

// damage remembers bytes of a segment that are no records. How many records
// they were, only a later segment tells.
func (s *Spool) damage(seg *segment, bytes int64, later bool) {
	if !later {
		s.setAside(seg.name, 0, bytes)
		return
	}
	if s.damaged == nil {
		s.damaged = map[*segment]int64{}
	}
	s.damaged[seg] += bytes
}

// frame returns the record at off of a segment that ends at end: nil if off is
// the end. If there is no whole frame, skipped is how far the next one is, or
// the end.
func (w *window) frame(seg *segment, off, end int64) (rec []byte, size int, skipped int64, err error) {
	for need := frameSize; ; {
		if off == end {
			return nil, 0, 0, nil
		}
		if off+int64(need) > end {
			break // cut short
		}
		b, err := w.bytes(seg, off, end, need)
		if err != nil {
			return nil, 0, 0, err
		}
		var torn error
		rec, size, need, torn = parseFrame(b)
		if torn != nil {
			break
		}
		if need == 0 {
			return rec, size, 0, nil
		}
	}
	next, err := w.resync(seg, off+1, end)
	return nil, 0, next - off, err
}

// maxResync is the longest record that is looked for behind damage: a larger
// length is taken for damage itself, and so the search stays quick.
const maxResync = 1 << 20

// resync returns where the first whole frame behind off begins, or end.
func (w *window) resync(seg *segment, off, end int64) (int64, error) {
	for ; off+frameSize < end; off++ {
		b, err := w.bytes(seg, off, end, frameSize)
		if err != nil {
			return 0, err
		}
		_, _, need, torn := parseFrame(b)
		if torn != nil || need > maxResync || off+int64(need) > end {
			continue
		}
		if need > 0 {
			if b, err = w.bytes(seg, off, end, need); err != nil {
				return 0, err
			}
			_, _, _, torn = parseFrame(b)
		}
		if torn == nil {
			return off, nil
		}
	}
	return end, nil
}

// bytes returns at least need bytes of a segment from off, which it has.
func (w *window) bytes(seg *segment, off, end int64, need int) ([]byte, error) {
	if w.seg == seg && off >= w.off && off+int64(need) <= w.off+int64(len(w.buf)) {
		return w.buf[off-w.off:], nil
	}
	n := int(min(end-off, int64(max(need, readBuffer))))
	if cap(w.buf) < n || cap(w.buf) > 4*max(n, readBuffer) {
		w.buf = make([]byte, max(n, readBuffer))
	}
	w.seg, w.off, w.buf = seg, off, w.buf[:n]
	if got, err := seg.f.ReadAt(w.buf, off); got < n {
		w.buf = w.buf[:0]
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return w.buf, nil
}

// cutTail finds the end of the newest segment, cuts off what is no record, and
// returns the number of the record to come.
func (s *Spool) cutTail(seg *segment) (next uint64, err error) {
	var w window
	at := cursor{seg, headerSize, seg.first}
	good := at.off
	for at.off < seg.end {
		rec, size, skipped, err := w.frame(seg, at.off, seg.end)
		if err != nil {
			return 0, err
		}
		at.off += int64(size) + skipped
		if rec != nil {
			at.number++
			good = at.off
		}
	}
	if good < seg.end {
		if err := seg.f.Truncate(good); err != nil {
			return 0, fmt.Errorf("cut the torn tail of %s: %w", seg.name, err)
		}
		s.bytes -= seg.end - good
		seg.end = good
	}
	return at.number, nil
}

// seek puts the cursors behind what the checkpoint says is done.
func (s *Spool) seek() error {
	seg := s.segments[0]
	for _, later := range s.segments[1:] {
		if later.first <= s.mark.Next {
			seg = later
		}
	}
	at := cursor{seg, headerSize, seg.first}
	for at.number < s.mark.Next && at.off < seg.end {
		rec, size, skipped, err := s.win.frame(seg, at.off, seg.end)
		if err != nil {
			return err
		}
		at.off += int64(size) + skipped
		if rec != nil {
			at.number++
		}
	}
	s.mark.Next = max(s.mark.Next, at.number)
	s.read, s.done = at, at
	s.removeBefore(seg)
	return nil
}
