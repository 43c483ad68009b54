// Package record is what an event becomes: bytes in the spool, and later messages on its
// subject. An event is kept as it was read, with what cannot be found out later; it
// becomes JSON when it is published, off supervisord's path. How long a class of events stays
// in the stream is said by the writer, in each message: see retention.go.
//
// Under pressure: what is too large for one message is made smaller, in an order that
// keeps names, numbers and ids, see limits.go. Memory is that of one record and its
// messages.
package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"supernats/schema"
)

// A record is what the spool holds of one event or of one message of our own.
//
//	 0       1                9               17
//	┌──────┬────────────────┬───────────────┬──────────────────────────┐
//	│ kind │ time read,     │ boot          │ event: header line, \n,  │
//	│      │ Unix µs, LE    │               │        payload, facts    │
//	│      │                │               │ message: header line, \n,│
//	│      │                │               │        subject, \n,      │
//	│      │                │               │        id, \n, JSON      │
//	└──────┴────────────────┴───────────────┴──────────────────────────┘
//
// The header line of a message is that of the last event before it that was stored or
// shed; empty, or "beginning", if there was none: the next run continues from there.
const (
	kindEvent   = 'e'
	kindMessage = 'm'
	headSize    = 1 + 8 + BootSize
)

// BootSize is the size of a boot, in bytes.
const BootSize = 8

// ErrMalformed is the error of a record that cannot be taken apart.
var ErrMalformed = errors.New("record of the spool is malformed")

func appendHead(b []byte, kind byte, at time.Time, boot [BootSize]byte) []byte {
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint64(b, uint64(at.UnixMicro()))
	return append(b, boot[:]...)
}

// AppendEvent appends the record of an event, which was read at a time, to b.
func AppendEvent(b []byte, at time.Time, boot [BootSize]byte, header, payload []byte) []byte {
	b = appendHead(b, kindEvent, at, boot)
	b = append(append(b, header...), '\n')
	return append(b, payload...)
}

// AppendMessage appends a record that is published as it is. header is that of the last
// event before it.
func AppendMessage(b []byte, at time.Time, boot [BootSize]byte, header []byte, subject, id string, json []byte) []byte {
	b = appendHead(b, kindMessage, at, boot)
	b = append(append(b, header...), '\n')
	b = append(append(b, subject...), '\n')
	b = append(append(b, id...), '\n')
	return append(b, json...)
}

// View is a record taken apart; its slices are parts of the record.
type View struct {
	kind byte
	// Boot is the boot of the supervisord that the record is of, in BootSize bytes.
	Boot []byte
	// Header is the header line: of the event, or of the last one before a message.
	Header []byte
	// Body is what follows: payload and facts of an event; subject, id and JSON of a
	// message.
	Body []byte
}

// Parse takes a record apart; false if it is shorter than its head.
func Parse(rec []byte) (View, bool) {
	if len(rec) < headSize {
		return View{}, false
	}
	header, body, _ := bytes.Cut(rec[headSize:], []byte("\n"))
	return View{kind: rec[0], Boot: rec[headSize-BootSize : headSize], Header: header, Body: body}, true
}

// IsEvent reports whether the record is one of an event.
func (v View) IsEvent() bool { return v.kind == kindEvent }

// IsMessage reports whether the record is one of our own.
func (v View) IsMessage() bool { return v.kind == kindMessage }

// Message returns subject and JSON of a record of our own.
func (v View) Message() (subject, json []byte) {
	subject, rest, _ := bytes.Cut(v.Body, []byte("\n"))
	_, json, _ = bytes.Cut(rest, []byte("\n"))
	return subject, json
}

// IsTable reports whether the record is a process table.
func (v View) IsTable() bool {
	return v.IsMessage() && bytes.HasPrefix(v.Body, []byte(schema.SnapshotPrefix))
}

// EventPlace returns boot and header line of the record of an event: that is how far the
// events are accounted for with it. nil of any other record.
func EventPlace(rec []byte) []byte {
	if len(rec) < headSize || rec[0] != kindEvent {
		return nil
	}
	end := bytes.IndexByte(rec[headSize:], '\n')
	if end < 0 {
		return nil
	}
	return rec[headSize-BootSize : headSize+end]
}

// Time returns when the event of a record was read from supervisord.
func Time(rec []byte) (time.Time, error) {
	if len(rec) < headSize {
		return time.Time{}, ErrMalformed
	}
	return time.UnixMicro(int64(binary.LittleEndian.Uint64(rec[1:]))), nil
}
