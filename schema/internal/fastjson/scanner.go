package fastjson

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Scanner reads JSON of a known form from left to right.
//
//   - What is not of that form makes it bad; it stays so.
//   - What a bad one returns is worth nothing; it may be called on, and ends soon.
//   - Texts are parts of one copy of the payload, unless an escape is in them.
type Scanner struct {
	b   []byte
	s   string // a copy of b
	i   int    // what is before it has been read
	bad bool
	// first says that an object was opened and has no field yet.
	first bool
}

// NewScanner returns a Scanner of a payload, which it does not change.
func NewScanner(payload []byte) Scanner { return Scanner{b: payload, s: string(payload)} }

// AtEnd reports whether all of the payload has been read and is of the form.
func (c *Scanner) AtEnd() bool { return !c.bad && c.i == len(c.b) }

// Refuse makes the Scanner bad.
func (c *Scanner) Refuse() { c.bad = true }

// Has reads a text if it stands here.
func (c *Scanner) Has(text string) bool {
	if len(c.s)-c.i < len(text) || c.s[c.i:c.i+len(text)] != text {
		return false
	}
	c.i += len(text)
	return true
}

// Must reads a text, which has to stand here.
func (c *Scanner) Must(text string) {
	if !c.Has(text) {
		c.bad = true
	}
}

// IsAt reports whether a character stands here.
func (c *Scanner) IsAt(char byte) bool { return c.i < len(c.b) && c.b[c.i] == char }

// Open reads the beginning of an object of which any field may be missing: see Next.
func (c *Scanner) Open() {
	c.Must(`{`)
	c.first = true
}

// Next reads the name of a field, `"code":`, and the comma before it unless it is the
// first one, if that field stands here.
func (c *Scanner) Next(name string) bool {
	before := c.i
	if !c.first && !c.Has(`,`) {
		return false
	}
	if !c.Has(name) {
		c.i = before
		return false
	}
	c.first = false
	return true
}

// NextKey reads the name of any field if there is another one.
func (c *Scanner) NextKey() (key string, ok bool) {
	if c.bad || !c.Next(`"`) {
		return "", false
	}
	c.i-- // the quote is a part of the text
	key = c.Text()
	c.Must(`:`)
	return key, true
}

// Bool reads a truth value.
func (c *Scanner) Bool() bool {
	if c.Has(`true`) {
		return true
	}
	c.Must(`false`)
	return false
}

// Uint reads a number from 0 on.
func (c *Scanner) Uint() (n uint64) {
	start := c.i
	for c.i < len(c.b) && '0' <= c.b[c.i] && c.b[c.i] <= '9' {
		digit := uint64(c.b[c.i] - '0')
		if n > (math.MaxUint64-digit)/10 {
			c.bad = true
			return 0
		}
		n = 10*n + digit
		c.i++
	}

	if c.i == start || c.b[start] == '0' && c.i > start+1 {
		c.bad = true
	}
	return n
}

// Int64 reads a whole number.
func (c *Scanner) Int64() int64 {
	if !c.Has(`-`) {
		n := c.Uint()
		c.bad = c.bad || n > math.MaxInt64
		return int64(n)
	}
	n := c.Uint()
	c.bad = c.bad || n > -math.MinInt64
	return -int64(n)
}

// Int reads a whole number.
func (c *Scanner) Int() int {
	n := c.Int64()
	c.bad = c.bad || n != int64(int(n))
	return int(n)
}

// Float reads any number.
func (c *Scanner) Float() float64 {
	start := c.i
	c.Has(`-`)
	if !c.Has(`0`) { // the only one that begins with a 0
		c.passDigits()
	}
	if c.Has(`.`) {
		c.passDigits()
	}
	if c.Has(`e`) || c.Has(`E`) {
		if !c.Has(`+`) {
			c.Has(`-`)
		}
		c.passDigits()
	}
	if c.bad {
		return 0
	}

	f, err := strconv.ParseFloat(c.s[start:c.i], 64)
	c.bad = err != nil
	return f
}

// passDigits passes one digit or more.
func (c *Scanner) passDigits() {
	start := c.i
	for c.i < len(c.b) && '0' <= c.b[c.i] && c.b[c.i] <= '9' {
		c.i++
	}
	c.bad = c.bad || c.i == start
}

// Time reads an instant as AppendTime writes it.
func (c *Scanner) Time() time.Time {
	const form = `"` + TimeFormat + `"`
	if len(c.b)-c.i < len(form) {
		c.bad = true
		return time.Time{}
	}
	b := c.b[c.i : c.i+len(form)]
	c.i += len(form)

	c.bad = c.bad || b[0] != '"' || b[5] != '-' || b[8] != '-' || b[11] != 'T' ||
		b[14] != ':' || b[17] != ':' || b[20] != '.' || b[27] != 'Z' || b[28] != '"'
	year, month, day := c.digits(b[1:5]), c.digits(b[6:8]), c.digits(b[9:11])
	hour, minute, second := c.digits(b[12:14]), c.digits(b[15:17]), c.digits(b[18:20])
	micros := c.digits(b[21:27])
	if c.bad || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		c.bad = true
		return time.Time{}
	}

	t := time.Date(year, time.Month(month), day, hour, minute, second, micros*1000, time.UTC)
	c.bad = day > 28 && t.Day() != day // that month has no such day
	return t
}

func (c *Scanner) digits(b []byte) (n int) {
	for _, d := range b {
		c.bad = c.bad || d < '0' || d > '9'
		n = 10*n + int(d-'0')
	}
	return n
}

// Text reads a text.
func (c *Scanner) Text() string {
	if c.bad || !c.IsAt('"') {
		c.bad = true
		return ""
	}
	start := c.i + 1
	end := plainEnd(c.b, start)
	if end < len(c.b) && c.b[end] == '"' {
		c.i = end + 1
		return c.s[start:end]
	}
	return c.textFrom(start, end)
}

// textFrom reads a text that begins at start. At i is the first byte of it that is not
// plain ASCII.
func (c *Scanner) textFrom(start, i int) string {
	var b strings.Builder
	for ; i < len(c.b); i = plainEnd(c.b, i) {
		switch ch := c.b[i]; {
		case ch == '"':
			c.i = i + 1
			if b.Cap() == 0 {
				return c.s[start:i]
			}
			b.WriteString(c.s[start:i])
			return b.String()
		case ch == '\\':
			if b.Cap() == 0 {
				b.Grow(len(c.s) - start) // the longest texts stand at the end
			}
			b.WriteString(c.s[start:i])
			r, size := unescape(c.s[i:])
			if size == 0 {
				c.bad = true
				return ""
			}
			b.WriteRune(r)
			i += size
			start = i
		default:
			r, size := utf8.DecodeRune(c.b[i:])
			if ch < ' ' || r == utf8.RuneError && size == 1 {
				c.bad = true // encoding/json refuses the one and replaces the other
				return ""
			}
			i += size
		}
	}

	c.bad = true
	return ""
}

// unescape reads an escape that AppendString writes; size is 0 for any other.
func unescape(s string) (r rune, size int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '"', '\\':
		return rune(s[1]), 2

	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2

	case 'u':
		return unescapeHex(s)
	}
	return 0, 0
}

// unescapeHex reads \u and four digits, unless they are half of a pair.
func unescapeHex(s string) (r rune, size int) {
	const length = len(`\u0000`)
	if len(s) < length {
		return 0, 0
	}
	for _, d := range []byte(s[2:length]) {
		v := strings.IndexByte(lowerHex, d)
		if v < 0 {
			return 0, 0
		}
		r = r<<4 | rune(v)
	}
	if r >= 0xD800 && r < 0xE000 {
		return 0, 0
	}
	return r, length
}

// plainEnd returns where the next byte is that is not an ASCII character which stands for
// itself in a text: mostly the closing quote.
func plainEnd(b []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		// Eight bytes at a time. The top bit of a byte is set if it is below 0x20, a
		// quote, a backslash or above 0x7F; that of the byte after such a one may be
		// set too.
		w := binary.LittleEndian.Uint64(b[i:])
		quote := w ^ (ones * '"')
		slash := w ^ (ones * '\\')
		if ((w-ones*0x20)|(quote-ones)|(slash-ones)|w)&tops != 0 {
			break
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' && b[i] < utf8.RuneSelf {
		i++
	}
	return i
}
