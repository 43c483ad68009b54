package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"supernats/bridge/spool/files"
)

const (
	// ReadBuffer is how much is read from a segment at a time.
	ReadBuffer = 256 << 10
	// Patience is after how many failed reads of a segment what cannot be read counts as
	// damage: a bad sector must not hold up for ever all that follows it.
	Patience = 8
	// Sector is how many bytes are then given up at once.
	Sector = 4096
)

// Window is the part of a segment that is in memory. It belongs to one goroutine; its
// owner closes it.
type Window struct {
	fs  files.System
	seg *File      // nil while none is read
	f   files.File // where it is read from
	own bool       // f is not the segment's
	off int64      // where buf begins in the segment
	buf []byte
}

// NewWindow returns a window that reads nothing yet.
func NewWindow(fs files.System) Window { return Window{fs: fs} }

// Find returns the first whole record of a segment whose frame begins in [off, end) and
// whose number is in [from, limit); begin is where the frame begins. If there is none, rec
// is nil, begin is end, and number is that of the last frame of which only the head is
// whole. rec is valid until the window is used again.
func (w *Window) Find(
	seg *File, off, end int64, from, limit uint64,
) (rec []byte, number uint64, begin int64, err error) {
	start, from := off, max(from, seg.First)
	for off+FrameSize <= end {
		b, err := w.bytes(seg, off, end, FrameSize)
		if err != nil {
			return nil, 0, 0, err
		}
		h, ok := parseHead(b)

		// Each record missing before a frame took at least FrameSize+1 bytes.
		if !ok || h.number < from || h.number >= limit ||
			h.number-from > uint64(off-start)/(FrameSize+1) || h.size > end-off {
			off += 1 + skip(b[1:], from, uint64(end-start)/(FrameSize+1))
			continue
		}

		if b, err = w.bytes(seg, off, end, h.size); err != nil {
			return nil, 0, 0, err
		}
		if b = b[:h.size]; h.whole(b) {
			return b[FrameSize:], h.number, off, nil
		}
		off += h.size
		number = h.number
	}
	return nil, number, end, nil
}

// skip returns the offset in b before which no head with a number in [from, from+span]
// begins. It makes the search of 16 MiB a matter of a tenth of a second.
func skip(b []byte, from, span uint64) int64 {
	i := 0
	for ; i+FrameSize <= len(b); i++ {
		head := b[i : i+12]
		if binary.LittleEndian.Uint64(head[4:])-from <= span && binary.LittleEndian.Uint32(head)-1 < MaxRecord {
			break
		}
	}
	return int64(i)
}

// Torn reports whether the bytes from off to the end of a segment, which hold no record,
// are the rest of an append that failed or was interrupted, so that nothing is lost with
// them. limit is the number of the first record in the next segment.
func (w *Window) Torn(seg *File, off, end int64, limit uint64) (bool, error) {
	if end-off < FrameSize {
		return true, nil
	}
	b, err := w.bytes(seg, off, end, FrameSize)
	if err != nil {
		return false, err
	}
	h, ok := parseHead(b)
	return ok && (h.size > end-off || h.number >= limit), nil
}

// bytes returns at least need bytes of a segment from off on; it has that many before end.
func (w *Window) bytes(seg *File, off, end, need int64) ([]byte, error) {
	if w.seg == seg && off >= w.off && off+need <= w.off+int64(len(w.buf)) {
		return w.buf[off-w.off:], nil
	}

	// From here on the window holds another part, or nothing.
	n := int(min(end-off, max(need, ReadBuffer)))
	if err := w.open(seg); err != nil {
		if seg.failed++; seg.failed < Patience || !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		// Somebody has removed it: nothing of it can be read.
		_ = w.Close()
		w.buf = make([]byte, n)
		return w.buf, nil
	}

	if cap(w.buf) < n || cap(w.buf) > 4*max(n, ReadBuffer) {
		w.buf = make([]byte, max(n, ReadBuffer))
	}
	w.off = off
	w.buf = w.buf[:n]
	got, err := w.f.ReadAt(w.buf, off)
	if got >= int(need) {
		w.buf = w.buf[:got]
		return w.buf, nil
	}

	w.buf = w.buf[:0]
	if seg.failed++; seg.failed >= Patience {
		w.buf = w.buf[:n]
		w.readAround()
		return w.buf, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // it was longer when the spool was opened
	}
	return nil, fmt.Errorf("read %s: %w", seg.Name, err)
}

// readAround fills the window with what can be read, and the rest with zeros, which are
// never a frame.
func (w *Window) readAround() {
	for i := 0; i < len(w.buf); i += Sector {
		b := w.buf[i:min(i+Sector, len(w.buf))]
		n, _ := w.f.ReadAt(b, w.off+int64(i))
		clear(b[n:])
	}
}

// open makes seg the segment that is read.
func (w *Window) open(seg *File) error {
	if w.seg == seg {
		return nil
	}
	if err := w.Close(); err != nil {
		return err
	}

	f := seg.Opened()
	own := f == nil
	if own {
		var err error
		if f, err = w.fs.Open(seg.Name, os.O_RDONLY); err != nil {
			return err
		}
	}

	// The header says nothing that the name does not, so a damaged one costs nothing. But
	// the frames of another version must not be taken for damage.
	var b [HeaderSize]byte
	if _, err := f.ReadAt(b[:], 0); err == nil && otherVersion(b[:]) {
		err := fmt.Errorf("%s was written by another version", seg.Name)
		if own {
			err = errors.Join(err, f.Close())
		}
		return err
	}

	w.seg = seg
	w.f = f
	w.own = own
	w.off = 0
	return nil
}

// Forget makes the window read again what it holds: something else is written there.
func (w *Window) Forget() { w.buf = w.buf[:0] }

// Leave closes the window if it reads that segment.
func (w *Window) Leave(seg *File) {
	if w.seg == seg {
		_ = w.Close()
	}
}

// LeaveFile closes the window if it reads from that file.
func (w *Window) LeaveFile(f files.File) {
	if w.f == f {
		_ = w.Close()
	}
}

// Close closes what is read. The window can be used again.
func (w *Window) Close() error {
	f := w.f
	w.seg = nil
	w.f = nil
	w.buf = w.buf[:0]
	if f == nil || !w.own {
		return nil
	}
	return f.Close()
}
