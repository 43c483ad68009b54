// Package marks has the two small files beside the segments of a spool: the checkpoint
// says how far its records are done, the tally how many there were. Each has two slots that
// are overwritten in turn, so that one is whole whatever happens to the other.
package marks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"

	"supernats/bridge/spool/files"
)

// Checkpoint is how far the spool's records are in the stream.
type Checkpoint struct {
	// Next is the number of the first record that is not in the stream.
	Next uint64
	// Seq is the stream's sequence of the last acknowledgement, 0 if it is not known.
	Seq uint64
}

// The file holds two slots, each in a block of its own. A checkpoint that is lost, or that
// is out of date, makes records come again; none is lost.
//
//	 0         8         16        24          28          4096
//	┌─────────┬─────────┬─────────┬───────────┬───────────┬───────────────
//	│ write   │ Next    │ Seq     │ CRC32C of │ nothing   │ the other slot
//	│ counter │         │         │ the three │           │
//	└─────────┴─────────┴─────────┴───────────┴───────────┴───────────────
const (
	// CheckpointName is the file's.
	CheckpointName = "checkpoint"

	slotSize  = 28
	slotSum   = 24
	slotEvery = 4096

	// patience is how many attempts are made to read a slot.
	patience = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CheckpointFile is the open file.
type CheckpointFile struct {
	mu      sync.Mutex // guards what follows
	f       files.File
	counter uint64 // of the slot written last
}

// OpenCheckpoint opens the checkpoint of a directory, or creates it.
func OpenCheckpoint(fs files.System, dir string) (*CheckpointFile, Checkpoint, error) {
	f, err := fs.Open(filepath.Join(dir, CheckpointName), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	c := &CheckpointFile{f: f}
	last := c.read()
	if c.counter == 0 {
		// Its room on the disk is taken now, while there is some: then records can be
		// removed on a full disk. An error here comes again at the first write.
		_, _ = f.WriteAt(make([]byte, slotEvery+slotSize), 0)
	}
	return c, last, nil
}

// read returns the newer slot that is whole, the zero Checkpoint if there is none.
func (c *CheckpointFile) read() (last Checkpoint) {
	for slot := range int64(2) {
		var b [slotSize]byte
		if !c.readSlot(b[:], slot*slotEvery) ||
			crc32.Checksum(b[:slotSum], castagnoli) != binary.LittleEndian.Uint32(b[slotSum:]) {
			continue
		}
		if counter := binary.LittleEndian.Uint64(b[:]); counter > c.counter {
			c.counter = counter
			last = Checkpoint{binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])}
		}
	}
	return last
}

// readSlot reads a slot. It returns false if the file ends before it, or if it cannot be
// read after several attempts.
func (c *CheckpointFile) readSlot(b []byte, off int64) bool {
	for range patience {
		n, err := c.f.ReadAt(b, off)
		if n == len(b) {
			return true
		}
		if errors.Is(err, io.EOF) {
			break
		}
	}
	return false
}

// Write makes p the checkpoint. It does not flush: an old one loses nothing.
func (c *CheckpointFile) Write(p Checkpoint) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b [slotSize]byte
	binary.LittleEndian.PutUint64(b[:], c.counter+1)
	binary.LittleEndian.PutUint64(b[8:], p.Next)
	binary.LittleEndian.PutUint64(b[16:], p.Seq)
	binary.LittleEndian.PutUint32(b[slotSum:], crc32.Checksum(b[:slotSum], castagnoli))
	if _, err := c.f.WriteAt(b[:], int64((c.counter+1)%2)*slotEvery); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	c.counter++
	return nil
}

// Replace continues in the file of f, in place of one that was removed.
func (c *CheckpointFile) Replace(f *CheckpointFile) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.f
	c.f = f.f
	c.counter = f.counter
	return old.Close()
}

// Removed reports whether the file no longer has a name.
func (c *CheckpointFile) Removed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return files.Unlinked(c.f)
}

// Sync flushes the checkpoint to the platter.
func (c *CheckpointFile) Sync() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.f.Sync(); err != nil {
		return fmt.Errorf("flush checkpoint: %w", err)
	}
	return nil
}

// Close closes the file.
func (c *CheckpointFile) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.f.Close()
}

// ReadCheckpoint reads the checkpoint of a spool that may be in use.
func ReadCheckpoint(fs files.System, dir string) (Checkpoint, error) {
	f, err := fs.Open(filepath.Join(dir, CheckpointName), os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return Checkpoint{}, nil
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	c := &CheckpointFile{f: f}
	return c.read(), f.Close()
}
