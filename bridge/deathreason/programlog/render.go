package programlog

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// render returns what a terminal would show of a program's output: colours and
// titles leave nothing, a carriage return or a backspace lets the next characters
// overwrite, a cursor that goes up changes lines again. Bytes that are no UTF-8, and
// control characters that XML and JSON readers stumble over, become U+FFFD.
//
// A terminal of any width and height is meant: nothing wraps, nothing scrolls away.
func render(raw string) string {
	if strings.IndexFunc(raw, isSpecial) < 0 {
		return raw // as nearly all logs
	}
	t := terminal{lines: [][]rune{nil}}
	for i := 0; i < len(raw); {
		if n := t.escape(raw[i:]); n > 0 {
			i += n
			continue
		}
		c, n := utf8.DecodeRuneInString(raw[i:])
		i += n
		t.write(c)
	}

	var b strings.Builder
	for i, l := range t.lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(string(l))
	}
	return b.String()
}

// isSpecial reports whether a character does more than to stand there. U+FFFD may
// stand for an escape: XML-RPC has none.
func isSpecial(c rune) bool {
	isControl := c < 0x20 && c != '\n' && c != '\t' || c >= 0x7F && c < 0xA0
	return isControl || c == utf8.RuneError || !isLegal(c)
}

// isLegal reports whether XML 1.0 has the character.
func isLegal(c rune) bool {
	return (c >= 0x20 || c == '\t' || c == '\n' || c == '\r') && c != 0xFFFE && c != 0xFFFF
}

// terminal is what is shown, and where the cursor is.
type terminal struct {
	lines    [][]rune
	row, col int
}

// maxColumn limits where a cursor can be sent: a program may ask for any column.
const maxColumn = 1000

func (t *terminal) write(c rune) {
	switch c {
	case '\n':
		if t.row++; t.row == len(t.lines) {
			t.lines = append(t.lines, nil)
		}
		t.col = 0
		return
	case '\r':
		t.col = 0
		return
	case '\b':
		t.col = max(t.col-1, 0)
		return
	case '\a', 0x0E, 0x0F, 0x7F: // bell, character sets, delete
		return
	}
	if c >= 0x80 && c < 0xA0 {
		return // control characters of eight bits
	}
	if !isLegal(c) {
		c = utf8.RuneError
	}

	l := t.lines[t.row]
	for len(l) < t.col {
		l = append(l, ' ')
	}
	if t.col < len(l) {
		l[t.col] = c
	} else {
		l = append(l, c)
	}
	t.lines[t.row] = l
	t.col++
}

// escape returns the length of the escape sequence that s begins with, 0 if there is
// none, and does what it asks for. One that does not end is cut off with the rest of
// its line.
func (t *terminal) escape(s string) int {
	rest, ok := strings.CutPrefix(s, "\x1b")
	if !ok {
		// What XML-RPC has left of ESC [.
		if rest, ok = strings.CutPrefix(s, "\uFFFD"); !ok || rest == "" || rest[0] != '[' {
			return 0
		}
		if end := endOfCSI(rest[1:]); end < 0 {
			return 0
		}
	}
	begin := len(s) - len(rest)
	if rest == "" {
		return begin
	}

	switch c := rest[0]; {
	case c == '[':
		end := endOfCSI(rest[1:])
		if end < 0 {
			return begin + 1
		}
		t.control(rest[1:1+end], rest[1+end])
		return begin + 1 + end + 1
	case strings.IndexByte("]PX^_", c) >= 0: // OSC, DCS and others: to BEL or ESC \
		return begin + endOfString(rest)
	case c >= 0x20 && c < 0x30: // a character set: intermediate bytes and one more
		n := 1
		for n < len(rest) && rest[n] >= 0x20 && rest[n] < 0x30 {
			n++
		}
		return begin + min(n+1, len(rest))
	case c >= 0x30 && c < 0x7F:
		return begin + 1
	}
	return begin // a lone escape
}

// endOfCSI returns where the final byte of a control sequence stands, -1 if it has
// none.
func endOfCSI(s string) int {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 0x40 && c < 0x7F:
			return i
		case c < 0x20 || c >= 0x40:
			return -1
		}
	}
	return -1
}

// endOfString returns the length of a string sequence with its end; up to the end of
// the line if it has none.
func endOfString(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\a':
			return i + 1
		case s[i] == '\x1b':
			if i+1 < len(s) && s[i+1] == '\\' {
				return i + 2
			}
			return i
		case s[i] == '\n':
			return i
		}
	}
	return len(s)
}

// control does what a control sequence asks for, as far as it moves the cursor or
// erases.
func (t *terminal) control(params string, final byte) {
	n, given := 0, false
	for _, c := range []byte(params) {
		if c < '0' || c > '9' {
			break
		}
		n, given = min(n*10+int(c-'0'), maxColumn), true
	}

	count := max(n, 1)
	switch final {
	case 'A', 'F':
		t.row = max(t.row-count, 0)
	case 'B', 'E':
		t.row = min(t.row+count, len(t.lines)-1)
	case 'C':
		t.col = min(t.col+count, maxColumn)
	case 'D':
		t.col = max(t.col-count, 0)
	case 'G':
		t.col = count - 1
	case 'K':
		t.erase(n, given)
	case 'J':
		if n == 0 {
			t.erase(0, false)
			t.lines = t.lines[:t.row+1]
		}
		// What clears the screen is not obeyed: the log is to be read.
	}
	if final == 'E' || final == 'F' {
		t.col = 0
	}
}

// erase erases in the cursor's line: to its end, from its beginning, or all.
func (t *terminal) erase(what int, given bool) {
	l := t.lines[t.row]
	switch {
	case !given || what == 0:
		t.lines[t.row] = l[:min(t.col, len(l))]
	case what == 1:
		for i := range min(t.col+1, len(l)) {
			l[i] = ' '
		}
	case what == 2:
		t.lines[t.row] = slices.Delete(l, 0, len(l))
	}
}
