package wording

import (
	"strings"
	"unicode/utf8"
)

// logCut is the first line of a log of which the beginning is cut off.
const logCut = "…\n"

// Log makes what a process wrote readable: its end, in lines, without the colours and
// cursor movements of a terminal, in at most max bytes. Other invisible characters are
// escaped as by Clip.
func Log(s string, max int) string {
	max -= len(logCut)
	cut := len(s) > max
	if cut {
		s = lastLines(s, max)
	}

	s = strings.ToValidUTF8(s, "\ufffd")
	s = escapeLog(strings.ReplaceAll(s, "\r\n", "\n"))

	s = strings.Trim(s, "\n")
	if len(s) > max {
		// Escapes are longer than what they stand for.
		cut, s = true, strings.ToValidUTF8(lastLines(s, max), "")
	}
	if cut {
		return logCut + s
	}
	return s
}

// escapeLog removes the control sequences and escapes what else is not visible.
func escapeLog(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		if n := ansiLength(s[i:]); n > 0 {
			i += n
			continue
		}

		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case r == '\n' || r == '\t' || Visible(r):
			b.WriteRune(r)
		case r == '\r':
			// A progress bar that draws over itself.
			b.WriteByte('\n')
		default:
			b.WriteString(escape(r))
		}
	}
	return b.String()
}

// IsBlankLog reports whether Log leaves nothing of s: it has only line ends and control
// sequences.
func IsBlankLog(s string) bool {
	for i := 0; i < len(s); {
		if n := ansiLength(s[i:]); n > 0 {
			i += n
			continue
		}
		if s[i] != '\n' && s[i] != '\r' {
			return false
		}
		i++
	}
	return true
}

// lastLines is the end of s, which is longer, in at most max bytes: whole lines, unless
// a line is longer than that.
func lastLines(s string, max int) string {
	s = s[len(s)-max-1:]
	if _, rest, ok := strings.Cut(s, "\n"); ok && rest != "" {
		return rest
	}
	return s[1:]
}

// ansiLength is the length of the control sequence that s begins with, 0 if there is
// none: ESC [ … (colours), ESC ] … BEL or ESC ] … ESC \ (titles, links).
func ansiLength(s string) int {
	if len(s) < 2 || s[0] != 0x1b {
		return 0
	}

	switch s[1] {
	case '[':
		for i := 2; i < len(s); i++ {
			if c := s[i]; '@' <= c && c <= '~' {
				return i + 1
			} else if c < ' ' || c > '~' {
				return 0
			}
		}
	case ']':
		for i := 2; i < len(s) && s[i] != '\n'; i++ {
			if s[i] == 0x07 {
				return i + 1
			}
			if s[i] == 0x1b && i+1 < len(s) && s[i+1] == '\\' {
				return i + 2
			}
		}
	}
	return 0
}
