package segment

import (
	"encoding/binary"
	"hash/crc32"
)

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
// The number shows how many records a damage took. It also distinguishes a frame from
// what only looks like one: a record may hold bytes of a spool (of a program that prints
// them), but they are those of older records. Since the head has a sum of its own, a
// damaged record costs that one alone, and the search for the next frame is quick. A
// length is never 0, so the zeros that a file system leaves after a power cut are not a
// frame.
const (
	magic = "snspool1"
	// HeaderSize is the size of a segment's header, FrameSize that of a frame without its
	// record, in bytes.
	HeaderSize = 20
	FrameSize  = 20
	// MaxRecord is the largest record that a frame can hold, in bytes.
	MaxRecord = 256 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendHeader appends the header of a segment to b.
func AppendHeader(b []byte, first uint64) []byte {
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint64(b, first)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[len(b)-16:], castagnoli))
}

// otherVersion reports whether b is the header of another version.
func otherVersion(b []byte) bool {
	return crc32.Checksum(b[:16], castagnoli) == binary.LittleEndian.Uint32(b[16:]) && string(b[:len(magic)]) != magic
}

// AppendFrame appends rec with its frame to b.
func AppendFrame(b []byte, number uint64, rec []byte) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(rec)))
	b = binary.LittleEndian.AppendUint64(b, number)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(rec, castagnoli))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
	return append(b, rec...)
}

// head is the head of a frame.
type head struct {
	size   int64 // of the whole frame
	number uint64
	sum    uint32 // of the record
}

// parseHead reads the head that b begins with; ok is false if b does not begin with one.
func parseHead(b []byte) (h head, ok bool) {
	n := binary.LittleEndian.Uint32(b)
	if n == 0 || n > MaxRecord || crc32.Checksum(b[:16], castagnoli) != binary.LittleEndian.Uint32(b[16:]) {
		return head{}, false
	}
	return head{FrameSize + int64(n), binary.LittleEndian.Uint64(b[4:]), binary.LittleEndian.Uint32(b[12:])}, true
}

// whole reports whether frame, of the size that h says, holds its record.
func (h head) whole(frame []byte) bool {
	return crc32.Checksum(frame[FrameSize:], castagnoli) == h.sum
}
