package schema

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// scanner reads JSON of a known form. What is not of that form makes it bad, and
// what it returns from then on is worth nothing.
type scanner struct {
	b   []byte
	s   string // the same
	i   int
	bad bool
	// first says that an object was opened and has no field yet.
	first bool
}

// has goes on behind want if it stands here.
func (c *scanner) has(want string) bool {
	if len(c.s)-c.i < len(want) || c.s[c.i:c.i+len(want)] != want {
		return false
	}
	c.i += len(want)
	return true
}

func (c *scanner) must(want string) {
	if !c.has(want) {
		c.bad = true
	}
}

func (c *scanner) open() {
	c.must(`{`)
	c.first = true
}

// next goes on behind the name of a field, and the comma before it unless it is
// the first one.
func (c *scanner) next(name string) bool {
	i := c.i
	if !c.first && !c.has(`,`) {
		return false
	}
	if !c.has(name) {
		c.i = i
		return false
	}
	c.first = false
	return true
}

func (c *scanner) bool() bool {
	if c.has(`true`) {
		return true
	}
	c.must(`false`)
	return false
}

func (c *scanner) uint() (n uint64) {
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

func (c *scanner) int64() int64 {
	if !c.has(`-`) {
		n := c.uint()
		c.bad = c.bad || n > math.MaxInt64
		return int64(n)
	}
	n := c.uint()
	c.bad = c.bad || n > -math.MinInt64
	return -int64(n)
}

func (c *scanner) int() int {
	n := c.int64()
	c.bad = c.bad || n != int64(int(n))
	return int(n)
}

// float reads a number of JSON.
func (c *scanner) float() float64 {
	start := c.i
	c.has(`-`)
	c.whole()
	if c.has(`.`) {
		c.someDigits()
	}
	if c.has(`e`) || c.has(`E`) {
		if !c.has(`+`) {
			c.has(`-`)
		}
		c.someDigits()
	}
	if c.bad {
		return 0
	}
	f, err := strconv.ParseFloat(c.s[start:c.i], 64)
	c.bad = err != nil
	return f
}

// whole passes the digits before the point: a 0 is the only one that begins with 0.
func (c *scanner) whole() {
	if !c.has(`0`) {
		c.someDigits()
	}
}

func (c *scanner) someDigits() {
	start := c.i
	for c.i < len(c.b) && '0' <= c.b[c.i] && c.b[c.i] <= '9' {
		c.i++
	}
	c.bad = c.bad || c.i == start
}

// time reads a time as Time.MarshalJSON writes it.
func (c *scanner) time() Time {
	const form = `"2006-01-02T15:04:05.000000Z"`
	if len(c.b)-c.i < len(form) {
		c.bad = true
		return Time{}
	}
	b := c.b[c.i : c.i+len(form)]
	c.i += len(form)
	c.bad = c.bad || b[0] != '"' || b[5] != '-' || b[8] != '-' || b[11] != 'T' || b[14] != ':' || b[17] != ':' || b[20] != '.' || b[27] != 'Z' || b[28] != '"'
	year, month, day := c.digits(b[1:5]), c.digits(b[6:8]), c.digits(b[9:11])
	hour, minute, second, micros := c.digits(b[12:14]), c.digits(b[15:17]), c.digits(b[18:20]), c.digits(b[21:27])
	if c.bad || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		c.bad = true
		return Time{}
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, micros*1000, time.UTC)
	c.bad = day > 28 && t.Day() != day // there is no such day in that month
	return Time{t}
}

func (c *scanner) digits(b []byte) (n int) {
	for _, d := range b {
		c.bad = c.bad || d < '0' || d > '9'
		n = 10*n + int(d-'0')
	}
	return n
}

// text reads a string.
func (c *scanner) text() string {
	if c.bad || c.i >= len(c.b) || c.b[c.i] != '"' {
		c.bad = true
		return ""
	}
	start := c.i + 1
	end := plainEnd(c.b, start)
	if end < len(c.b) && c.b[end] == '"' {
		c.i = end + 1
		return c.s[start:end]
	}
	return c.hardText(start, end)
}

// hardText reads a string from start that has something else than plain ASCII at i.
func (c *scanner) hardText(start, i int) string {
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
			r, size := unescaped(c.s[i:])
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
				c.bad = true // encoding/json refuses the one and mends the other
				return ""
			}
			i += size
		}
	}
	c.bad = true
	return ""
}

// unescaped reads an escape that appendString writes; size is 0 for any other.
func unescaped(s string) (r rune, size int) {
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
		if len(s) < 6 {
			return 0, 0
		}
		for _, d := range []byte(s[2:6]) {
			v := strings.IndexByte(lowerHex, d)
			if v < 0 {
				return 0, 0
			}
			r = r<<4 | rune(v)
		}
		if r >= 0xD800 && r < 0xE000 { // half of a pair
			return 0, 0
		}
		return r, 6
	}
	return 0, 0
}

// plainEnd returns where the next byte is that is not one of a string's ASCII
// characters which stand for themselves: the closing quote, mostly.
func plainEnd(b []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		// Eight bytes at a time; a byte's top bit tells that it is below 0x20, a
		// quote, a backslash or above 0x7F. One above such a byte may be told too.
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		if ((w-ones*0x20)|(quote-ones)|(slash-ones)|w)&tops != 0 {
			break
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' && b[i] < utf8.RuneSelf {
		i++
	}
	return i
}
