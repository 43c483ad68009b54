package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// A spool directory holds
//
//	lock                          held by the process that has the spool open
//	checkpoint                    what is done, see package marks
//	tally                         how much there was, see package marks
//	owner                         whose it is, see package queue
//	slot-2, slot-3, …             directories of the same kind, of other bridges
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
//	 0          4            12          16                20
//	┌──────────┬────────────┬───────────┬─────────────────┬──────────────
//	│ length   │ number of  │ CRC32C of │ CRC32C of the   │ record
//	│ of the   │ the record │ the       │ three before    │
//	│ record   │            │ record    │                 │
//	└──────────┴────────────┴───────────┴─────────────────┴──────────────
//
// The number says exactly how many records a damage took, and keeps apart a
// frame and what only looks like one: a record may well hold bytes of a spool
// (a program that prints them), but those of older records. The sum of the head
// makes a damaged record cost that one alone, and a search for the next frame
// quick. 0 is no length, so the zeros that a file system leaves after a
// power cut are no frame.
const (
	magic      = "snspool1"
	headerSize = 20
	frameSize  = 20
	suffix     = ".segment"
	damaged    = ".damaged"
	nameDigits = 20
	maxRecord  = 256 << 20
	// maxFirst is far above what a supervisord can say, and far below an overflow.
	maxFirst = 1 << 62
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrTooBig is returned for a record that no frame can hold.
var ErrTooBig = fmt.Errorf("record is larger than %d bytes", maxRecord)

func appendHeader(b []byte, first uint64) []byte {
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint64(b, first)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[len(b)-16:], castagnoli))
}

// otherVersion reports whether b is a header, and not one of ours.
func otherVersion(b []byte) bool {
	return crc32.Checksum(b[:16], castagnoli) == binary.LittleEndian.Uint32(b[16:]) && string(b[:len(magic)]) != magic
}

// appendFrame appends rec with its frame to b.
func appendFrame(b []byte, number uint64, rec []byte) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(rec)))
	b = binary.LittleEndian.AppendUint64(b, number)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(rec, castagnoli))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
	return append(b, rec...)
}

// head is that of a frame; size is of all of the frame.
type head struct {
	size   int64
	number uint64
	sum    uint32
}

// parseHead reads the head that b begins with; ok is false if it is none.
func parseHead(b []byte) (h head, ok bool) {
	n := binary.LittleEndian.Uint32(b)
	if n == 0 || n > maxRecord || crc32.Checksum(b[:16], castagnoli) != binary.LittleEndian.Uint32(b[16:]) {
		return head{}, false
	}
	return head{frameSize + int64(n), binary.LittleEndian.Uint64(b[4:]), binary.LittleEndian.Uint32(b[12:])}, true
}

// whole reports whether frame, of the size that h says, holds its record.
func (h head) whole(frame []byte) bool {
	return crc32.Checksum(frame[frameSize:], castagnoli) == h.sum
}

func segmentName(first uint64) string { return fmt.Sprintf("%0*d%s", nameDigits, first, suffix) }

// parseName returns the number of a segment's first record.
func parseName(name string) (first uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != nameDigits {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil && first > 0 && first <= maxFirst
}
