package marks

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"supernats/bridge/spool/files"
)

// Tally is how much was ever appended and done. It shows that a segment is missing or cut,
// and how many events are lost with it. The bridge's own records are not events.
type Tally struct {
	// Next is the number of the record to be appended.
	Next uint64
	// From is the number of the first record whose events are counted; those before it
	// were appended without a tally.
	From uint64
	// Events is how many events were appended from there on, Settled how many of them are
	// done or reported as lost.
	Events, Settled uint64
	// Done is the checkpoint's Next.
	Done uint64
	// Memory is how many events wait in memory, see package queue.
	Memory uint64
	// Place is what the spool's Options.Event returned for the last event, on disk or in
	// memory.
	Place []byte
}

// The file is a shared mapping: an Append stores its tally there without a system call, and
// it survives the death of the process, as the record does. After a power cut it may be
// older than the segments, and is not used, or newer, and shows what was lost.
//
//	 0           4          8         16 …                    64        4096
//	┌───────────┬──────────┬─────────┬──────────────────────┬─────────┬──────
//	│ CRC32C of │ length   │ write   │ next from events     │ place   │ the
//	│ the rest  │ of place │ counter │ settled done memory  │         │ other
//	└───────────┴──────────┴─────────┴──────────────────────┴─────────┴──────
const (
	TallyName  = "tally"
	tallySlot  = 4096
	tallyHead  = 64
	tallySize  = 2 * tallySlot
	tallyPlace = tallySlot - tallyHead
)

// TallyFile is the mapping. A nil one keeps nothing. Calls of Store, Broken and Close may not
// overlap: the spool's lock sees to that.
type TallyFile struct {
	f       files.File
	b       []byte // the mapping
	unmap   func() error
	counter uint64 // of the slot written last
	broken  bool   // the mapping cannot be written to
}

// OpenTally maps the tally of a directory; known is false if there is none that is
// whole.
func OpenTally(fs files.System, dir string) (t *TallyFile, last Tally, known bool, err error) {
	f, err := fs.Open(filepath.Join(dir, TallyName), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, Tally{}, false, fmt.Errorf("open the tally: %w", err)
	}
	b, err := readTally(f)
	if err == nil {
		// All of it is written once, so that its room on the disk is taken now: writing to
		// a mapping beyond the end of the file would be a fault.
		_, err = f.WriteAt(b, 0)
	}
	if err == nil {
		err = f.Truncate(tallySize)
	}

	t = &TallyFile{f: f}
	if err == nil {
		t.b, t.unmap, err = fs.Map(f, tallySize)
	}
	if err != nil {
		_ = f.Close()
		return nil, Tally{}, false, fmt.Errorf("map the tally: %w", err)
	}

	last, t.counter, known = parseTally(b)
	return t, last, known, nil
}

// readTally returns the file's bytes, zeros after its end.
func readTally(f files.File) ([]byte, error) {
	b := make([]byte, tallySize)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, err
	}
	return b, nil
}

// parseTally finds the newer slot that is whole.
func parseTally(b []byte) (last Tally, counter uint64, known bool) {
	for at := 0; at < tallySize; at += tallySlot {
		s := b[at : at+tallySlot]
		n := binary.LittleEndian.Uint32(s[4:])
		if n > tallyPlace || crc32.Checksum(s[4:tallyHead+n], castagnoli) != binary.LittleEndian.Uint32(s) {
			continue
		}

		u := func(i int) uint64 { return binary.LittleEndian.Uint64(s[8+8*i:]) }
		if u(0) <= counter {
			continue
		}
		known = true
		counter = u(0)
		last = Tally{
			Next: u(1), From: u(2), Events: u(3), Settled: u(4), Done: u(5), Memory: u(6),
			Place: append([]byte(nil), s[tallyHead:tallyHead+n]...),
		}
	}
	return last, counter, known
}

// Store makes v the tally. It costs no system call.
//
// If the file system has no room even to overwrite (btrfs), or somebody cuts the file, the
// mapping cannot be written to: from then on nothing is kept.
func (t *TallyFile) Store(v *Tally) {
	if t == nil || t.broken {
		return
	}
	defer t.survive(debug.SetPanicOnFault(true))
	t.write(v)
}

// survive turns the fault of a write into broken. before is the setting to restore.
func (t *TallyFile) survive(before bool) {
	debug.SetPanicOnFault(before)
	if err := recover(); err != nil {
		t.broken = true
	}
}

// write writes the older slot.
func (t *TallyFile) write(v *Tally) {
	t.counter++
	s := t.b[int(t.counter%2)*tallySlot:][:tallySlot]
	place := v.Place
	if len(place) > tallyPlace {
		place = nil
	}

	binary.LittleEndian.PutUint32(s[4:], uint32(len(place)))
	for i, u := range [...]uint64{t.counter, v.Next, v.From, v.Events, v.Settled, v.Done, v.Memory} {
		binary.LittleEndian.PutUint64(s[8+8*i:], u)
	}
	n := copy(s[tallyHead:], place)
	binary.LittleEndian.PutUint32(s, crc32.Checksum(s[4:tallyHead+n], castagnoli))
}

// Close unmaps and closes the file.
func (t *TallyFile) Close() error {
	if t == nil {
		return nil
	}
	err := t.unmap()
	if cerr := t.f.Close(); err == nil {
		err = cerr
	}
	return err
}

// Removed reports whether the file no longer has a name.
func (t *TallyFile) Removed() bool { return t != nil && files.Unlinked(t.f) }

// Broken reports that nothing is kept, see Store.
func (t *TallyFile) Broken() bool { return t == nil || t.broken }

// LookTally reads the tally of a spool that may be in use.
func LookTally(fs files.System, dir string) (last Tally, known bool) {
	f, err := fs.Open(filepath.Join(dir, TallyName), os.O_RDONLY)
	if err != nil {
		return Tally{}, false
	}
	b, err := readTally(f)
	_ = f.Close()
	if err != nil {
		return Tally{}, false
	}
	last, _, known = parseTally(b)
	return last, known
}
