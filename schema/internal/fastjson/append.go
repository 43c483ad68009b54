// Package fastjson writes and reads JSON of a known form in a small part of the time of
// encoding/json: a bridge encodes each event on the machine that it happened on, and a
// consumer that starts reads days of them.
//
// What is appended is, byte for byte, what encoding/json writes without HTML escapes. The
// Scanner reads that form and refuses any other, which is then left to encoding/json. The
// fields of a type, and their order, are up to the caller. Nothing here allocates but what
// is returned, and no input makes it panic.
package fastjson

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// TimeFormat is how an instant is written: UTC, RFC 3339 with microseconds.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

var (
	firstTime = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
)

// Writable returns t in UTC, or the instant next to it that TimeFormat can write: RFC
// 3339 has the years 0 to 9999.
func Writable(t time.Time) time.Time {
	switch t = t.UTC(); {
	case t.Before(firstTime):
		return firstTime
	case t.After(lastTime):
		return lastTime
	}
	return t
}

// AppendTime appends an instant.
func AppendTime(b []byte, t time.Time) []byte {
	return Writable(t).AppendFormat(b, `"`+TimeFormat+`"`)
}

// AppendField appends a field with a text unless that is empty. A name has its comma,
// quotes and colon: `,"group":`.
func AppendField(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return AppendString(append(b, name...), value)
}

// AppendCount appends a field with a number unless that is 0.
func AppendCount(b []byte, name string, value uint64) []byte {
	if value == 0 {
		return b
	}
	return strconv.AppendUint(append(b, name...), value, 10)
}

// AppendInt appends a field with a number unless that is 0.
func AppendInt(b []byte, name string, value int) []byte {
	if value == 0 {
		return b
	}
	return strconv.AppendInt(append(b, name...), int64(value), 10)
}

// DropComma removes the comma before the first field of an object that was opened at
// start: each field brings one.
func DropComma(b []byte, start int) []byte {
	if len(b) == start {
		return b
	}
	return slices.Delete(b, start, start+1)
}

// AppendFloat appends a number. JSON has none that is not finite: for these a 0 is
// written, because an event must not be lost over one.
func AppendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, '0')
	}
	size := math.Abs(f)
	if size == 0 || size >= 1e-6 && size < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}

	start := len(b)
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if i := bytes.Index(b[start:], []byte("e-0")); i >= 0 { // e-09 is e-9
		i += start + len("e-")
		b = append(b[:i], b[i+1:]...)
	}
	return b
}

const lowerHex = "0123456789abcdef"

// AppendString appends a text. Bytes that are not UTF-8 become U+FFFD.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0 // of what is not appended yet
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = appendEscape(append(b, s[start:i]...), c)
			i++
			start = i
			continue
		}

		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029': // no line terminators in JavaScript
			b = append(append(b, s[start:i]...), '\\', 'u', '2', '0', '2', lowerHex[r&15])
			start = i + size
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}

// appendEscape appends a quote, a backslash or a control character.
func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\f':
		return append(b, '\\', 'f')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
}

// SizeOf returns how many bytes AppendString makes of one character.
func SizeOf(char []byte) int {
	switch c := char[0]; {
	case c == '"', c == '\\', '\b' <= c && c <= '\r' && c != '\v':
		return len(`\n`)
	case c < ' ', string(char) == "\u2028", string(char) == "\u2029":
		return len(`\u2028`)
	}
	return len(char)
}
