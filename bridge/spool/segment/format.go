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
// The number says exactly how many records a damage took, and keeps apart a
// frame and what only looks like one: a record may well hold bytes of a spool
// (a program that prints them), but those of older records. The sum of the head
// makes a damaged record cost that one alone, and a search for the next frame
// quick. 0 is no length, so the zeros that a file system leaves after a
// power cut are no frame.
const (
	magic = "snspool1"
	// HeaderSize is how many bytes a segment's header takes, FrameSize how many those of a
	// frame beside the record.
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

// otherVersion reports whether b is a header, and not one of ours.
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

// head is that of a frame; size is of all of the frame.
type head struct {
	size   int64
	number uint64
	sum    uint32
}

// parseHead reads the head that b begins with; ok is false if it is none.
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
