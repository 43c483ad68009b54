package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Checkpoint is how far the spool's records are in the stream.
type Checkpoint struct {
	// Next is the number of the first record that is not.
	Next uint64
	// Seq is the sequence in the stream of the last acknowledgement, 0 if it is
	// not known.
	Seq uint64
}

// The file holds two slots that are written in turn, each in a block of its own,
// so that one is whole whatever happens while the other is written. A checkpoint
// that is lost, or older than it could be, makes records come again, and loses
// none.
//
//	 0         8         16        24          28          4096
//	┌─────────┬─────────┬─────────┬───────────┬───────────┬───────────────
//	│ write   │ Next    │ Seq     │ CRC32C of │ nothing   │ the other slot
//	│ counter │         │         │ the three │           │
//	└─────────┴─────────┴─────────┴───────────┴───────────┴───────────────
const (
	slotSize  = 28
	slotSum   = 24
	slotEvery = 4096
)

type checkpointFile struct {
	mu      sync.Mutex
	f       file
	counter uint64
}

func openCheckpoint(fs files, dir string) (*checkpointFile, Checkpoint, error) {
	f, err := fs.Open(filepath.Join(dir, checkName), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	c := &checkpointFile{f: f}
	last := c.read()
	if c.counter == 0 {
		// Its place on the disk is taken now, when there is some: records can be
		// removed on a disk that is full. What fails here shows at the first write.
		_, _ = f.WriteAt(make([]byte, slotEvery+slotSize), 0)
	}
	return c, last, nil
}

// read finds the newer slot; none is no checkpoint at all.
func (c *checkpointFile) read() (last Checkpoint) {
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

// readSlot reports whether the file has the slot. One that cannot be read is as
// good as none in the end, but not at the first attempt.
func (c *checkpointFile) readSlot(b []byte, off int64) bool {
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

// write makes p the checkpoint. It is not flushed: see above.
func (c *checkpointFile) write(p Checkpoint) error {
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

// replace makes f the file, in the place of one that was removed.
func (c *checkpointFile) replace(f *checkpointFile) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.f
	c.f, c.counter = f.f, f.counter
	return old.Close()
}

func (c *checkpointFile) removed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return unlinked(c.f)
}

func (c *checkpointFile) sync() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.f.Sync(); err != nil {
		return fmt.Errorf("flush checkpoint: %w", err)
	}
	return nil
}

// readCheckpoint looks at the checkpoint of a spool that may be in use.
func readCheckpoint(fs files, dir string) (Checkpoint, error) {
	f, err := fs.Open(filepath.Join(dir, checkName), os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return Checkpoint{}, nil
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	c := &checkpointFile{f: f}
	return c.read(), f.Close()
}
