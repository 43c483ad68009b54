package schema

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// What Event.AppendJSON writes is read here in a small part of encoding/json's
// time: a consumer that starts reads days of events. Anything else, the same
// fields in another order or with white space, is left to encoding/json, and so is
// what is wrong: the errors are its own.

// scanned is all of an event but its strings, so that it is allocated at once.
type scanned struct {
	ce       CloudEvent[*Event]
	e        Event
	exit     Exit
	expected bool
	tries    int
	when     int64
	code     int
}

// scanEvent returns what encoding/json would, or false. The strings are parts of
// one copy of the payload, but for those of a few values, which are our own.
func scanEvent(payload []byte) (*CloudEvent[*Event], bool) {
	const head = `{"specversion":"` + specVersion + `","id":`
	if len(payload) < len(head) || string(payload[:len(head)]) != head {
		return nil, false
	}
	c := scanner{b: payload, s: string(payload), i: len(head)}
	d := &scanned{}
	ce := &d.ce
	ce.SpecVersion, ce.DataContentType, ce.DataSchema, ce.Data = specVersion, dataContentTypeJSON, schemaEvent, &d.e
	ce.ID = c.text()
	c.must(`,"source":`)
	ce.Source = c.text()
	c.must(`,"type":`)
	ce.Type = c.text()
	if c.has(`,"subject":`) {
		ce.Subject = c.text()
	}
	c.must(`,"time":`)
	ce.Time = c.time()
	c.must(`,"datacontenttype":"` + dataContentTypeJSON + `","dataschema":"` + schemaEvent + `","data":`)
	c.event(d)
	c.must(`}`)
	return ce, !c.bad && c.i == len(c.b) && ce.ID != "" && ce.Type != ""
}

// event follows the fields of Event in their order, as Event.appendData does.
func (c *scanner) event(d *scanned) {
	e := &d.e
	c.must(`{"event":`)
	e.Event = own(c.text())
	c.must(`,"host":`)
	e.Host = c.text()
	c.must(`,"server":`)
	e.Server = c.text()
	c.must(`,"boot":`)
	e.Boot = c.text()
	c.must(`,"serial":`)
	e.Serial = c.uint()
	c.must(`,"pool":`)
	e.Pool = c.text()
	c.must(`,"poolserial":`)
	e.PoolSerial = c.uint()
	if c.has(`,"group":`) {
		e.Group = c.text()
	}
	if c.has(`,"process":`) {
		e.Process = c.text()
	}
	if c.has(`,"from_state":`) {
		e.FromState = own(c.text())
	}
	if c.has(`,"expected":`) {
		d.expected = c.bool()
		e.Expected = &d.expected
	}
	if c.has(`,"pid":`) {
		e.PID = c.int()
	}
	if c.has(`,"tries":`) {
		d.tries = c.int()
		e.Tries = &d.tries
	}
	c.rare(d)
	c.must(`}`)
}

// rare follows the fields that most changes of state do not have.
func (c *scanner) rare(d *scanned) {
	e := &d.e
	if c.has(`}`) {
		c.i--
		return
	}
	if c.has(`,"channel":`) {
		e.Channel = c.text()
	}
	if c.has(`,"type":`) {
		e.Type = c.text()
	}
	if c.has(`,"when":`) {
		d.when = c.int64()
		e.When = &d.when
	}
	if c.has(`,"data":`) {
		e.Data = new(c.text())
	}
	if c.has(`,"data_base64":`) {
		b, err := base64.StdEncoding.DecodeString(c.text())
		e.DataBase64, c.bad = b, c.bad || err != nil
	}
	if c.has(`,"exit":`) {
		c.exit(d)
	}
	if c.has(`,"log":`) {
		e.Log = &Log{}
		c.open()
		if c.next(`"stdout":`) {
			e.Log.Stdout = c.text()
		}
		if c.next(`"stderr":`) {
			e.Log.Stderr = c.text()
		}
		c.must(`}`)
	}
	if c.has(`,"part":`) {
		e.Part = c.int()
	}
	if c.has(`,"parts":`) {
		e.Parts = c.int()
	}
	if c.has(`,"extra":`) {
		e.Extra = map[string]string{}
		c.open()
		for !c.bad && c.next(`"`) {
			c.i--
			key := c.text()
			c.must(`:`)
			e.Extra[key] = c.text()
		}
		c.must(`}`)
	}
}

func (c *scanner) exit(d *scanned) {
	x := &d.exit
	d.e.Exit = x
	c.open()
	if c.next(`"code":`) {
		d.code = c.int()
		x.Code = &d.code
	}
	if c.next(`"signal":`) {
		x.Signal = c.text()
	}
	if c.next(`"core":`) {
		x.Core = c.bool()
	}
	if c.next(`"spawnerr":`) {
		x.SpawnErr = c.text()
	}
	c.must(`}`)
}

// own returns our own string for a name that many events have, so that who keeps
// it does not keep the payload.
func own(s string) string {
	if o, ok := owned[s]; ok {
		return o
	}
	return s
}

var owned = func() map[string]string {
	m := map[string]string{}
	for _, n := range concrete {
		m[n] = n
		if state, ok := strings.CutPrefix(n, "PROCESS_STATE_"); ok {
			m[state] = state
		}
	}
	return m
}()

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
