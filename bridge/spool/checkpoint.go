package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// Checkpoint is how far the spool's records are in the stream.
type Checkpoint struct {
	// Next is the number of the first record that is not.
	Next uint64
	// Seq is the sequence in the stream of the last acknowledgement, 0 if it is
	// not known.
	Seq uint64
}

// The file holds two slots that are written in turn, so that one is whole
// whatever happens while the other is written. A checkpoint that is lost, or
// older than it could be, makes records come again, and loses none.
//
//	 0         8         16        24          28
//	┌─────────┬─────────┬─────────┬───────────┬─────────┐
//	│ write   │ Next    │ Seq     │ CRC32C of │ padding │ × 2
//	│ counter │         │         │ the three │         │
//	└─────────┴─────────┴─────────┴───────────┴─────────┘
const (
	slotSize = 32
	slotSum  = 24
)

type checkpointFile struct {
	f       file
	counter uint64
}

func openCheckpoint(fs files, dir string) (*checkpointFile, Checkpoint, error) {
	f, err := fs.Open(filepath.Join(dir, checkName), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	c := &checkpointFile{f: f}
	var last Checkpoint
	for slot := range int64(2) {
		var b [slotSize]byte
		if n, _ := f.ReadAt(b[:], slot*slotSize); n < slotSize ||
			crc32.Checksum(b[:slotSum], castagnoli) != binary.LittleEndian.Uint32(b[slotSum:]) {
			continue
		}
		if counter := binary.LittleEndian.Uint64(b[:]); counter > c.counter {
			c.counter = counter
			last = Checkpoint{binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])}
		}
	}
	return c, last, nil
}

// write makes p the checkpoint. It is not flushed: see above.
func (c *checkpointFile) write(p Checkpoint) error {
	var b [slotSize]byte
	c.counter++
	binary.LittleEndian.PutUint64(b[:], c.counter)
	binary.LittleEndian.PutUint64(b[8:], p.Next)
	binary.LittleEndian.PutUint64(b[16:], p.Seq)
	binary.LittleEndian.PutUint32(b[slotSum:], crc32.Checksum(b[:slotSum], castagnoli))
	if _, err := c.f.WriteAt(b[:], int64(c.counter%2)*slotSize); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

func (c *checkpointFile) close() error { return errors.Join(c.f.Sync(), c.f.Close()) }
