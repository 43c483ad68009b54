package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// A spool directory holds
//
//	lock                          held by the process that has the spool open
//	checkpoint                    what is done, see checkpoint.go
//	00000000000000000001.segment  records 1, 2, …
//	00000000000000004711.segment  records 4711, 4712, …
//	00000000000000000815.damaged  what was set aside, for a person to look at
//
// A segment is a header and frames; numbers are little-endian.
//
//	 0                 8                16          20
//	┌─────────────────┬────────────────┬───────────┬────────┬────────┬───
//	│ "snspool1"      │ number of the  │ CRC32C of │ frame  │ frame  │ …
//	│                 │ first record   │ both      │        │        │
//	└─────────────────┴────────────────┴───────────┴────────┴────────┴───
//
//	 0              4                8
//	┌──────────────┬────────────────┬───────────────────────────────────┐
//	│ length of    │ CRC32C of      │ record                            │
//	│ the record   │ length, record │                                   │
//	└──────────────┴────────────────┴───────────────────────────────────┘
//
// The length is part of the sum, and 0 is no length, so that a tail of zeros,
// which a file system leaves behind after a power cut, is no record.
const (
	magic      = "snspool1"
	headerSize = 20
	frameSize  = 8
	suffix     = ".segment"
	damaged    = ".damaged"
	nameDigits = 20
	lockName   = "lock"
	checkName  = "checkpoint"
	dirMode    = 0o750
	fileMode   = 0o640
	maxRecord  = 256 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errTorn is a frame that is not whole: cut short, or not what was written.
var errTorn = errors.New("frame is torn")

// ErrTooBig is returned for a record that no frame can hold.
var ErrTooBig = fmt.Errorf("record is larger than %d bytes", maxRecord)

func appendHeader(b []byte, first uint64) []byte {
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint64(b, first)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[len(b)-16:], castagnoli))
}

// appendFrame appends rec with its frame to b.
func appendFrame(b, rec []byte) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(rec)))
	sum := crc32.Update(crc32.Checksum(b[at:at+4], castagnoli), castagnoli, rec)
	b = binary.LittleEndian.AppendUint32(b, sum)
	return append(b, rec...)
}

// parseFrame returns the record at the beginning of b, which may hold more or
// less than a frame; size is that of the frame. If b is too short, need tells
// how long it must be.
func parseFrame(b []byte) (rec []byte, size, need int, err error) {
	if len(b) < frameSize {
		return nil, 0, frameSize, nil
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n == 0 || n > maxRecord {
		return nil, 0, 0, errTorn
	}
	if len(b) < frameSize+n {
		return nil, 0, frameSize + n, nil
	}
	rec = b[frameSize : frameSize+n]
	if crc32.Update(crc32.Checksum(b[:4], castagnoli), castagnoli, rec) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, 0, 0, errTorn
	}
	return rec, frameSize + n, 0, nil
}

func segmentName(first uint64) string { return fmt.Sprintf("%0*d%s", nameDigits, first, suffix) }

// parseName returns the number of a segment's first record.
func parseName(name string) (first uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != nameDigits {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil && first > 0
}
