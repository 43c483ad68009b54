package wording

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible reports whether r may stand in a message as it is. Whatever moves the cursor,
// ends a line or changes the direction of writing may not.
func Visible(r rune) bool {
	const zwnj, zwj = '\u200c', '\u200d' // emoji and several scripts need them
	return unicode.IsGraphic(r) || r == zwnj || r == zwj
}

// escape writes a character as Go does: "\n", "\x1b", "\u202e".
func escape(r rune) string { return strings.Trim(strconv.QuoteRune(r), "'") }

// Clip makes s one visible line of at most max characters. What is not Visible is
// escaped as in Go ("\r\n", "\x1b", "\u202e"), and the rest is cut off.
func Clip(s string, max int) string {
	if len(s) <= max && isPlain(s) {
		return s
	}

	s, cut := begin(s, max)
	var b strings.Builder
	count := 0
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		piece := string(r)
		if !Visible(r) {
			piece = escape(r)
		}
		// An escape is never cut in two.
		if count += utf8.RuneCountInString(piece); count > max {
			cut = true
			break
		}
		b.WriteString(piece)
	}

	if cut {
		b.WriteString("…")
	}
	return b.String()
}

// Cell is Clip for a name or a value in a table or a sentence: spaces in it cannot make
// it look like the next column.
func Cell(s string, max int) string {
	if len(s) <= max && isPlain(s) && !strings.Contains(s, "  ") {
		return s
	}

	s, cut := begin(s, max)
	var b strings.Builder
	space := false
	for _, r := range s {
		if blank := unicode.Is(unicode.Zs, r); !blank {
			b.WriteRune(r)
			space = false
		} else if !space {
			b.WriteByte(' ')
			space = true
		}
	}

	text := Clip(b.String(), max)
	if cut && !strings.HasSuffix(text, "…") {
		text += "…"
	}
	return text
}

// Lines are those of a text of others, each a visible one: at most maxLines of at most
// maxLine characters. An empty text has none.
func Lines(s string, maxLines, maxLine int) []string {
	s, _ = begin(strings.TrimSpace(s), maxLines*maxLine)
	if s == "" {
		return nil
	}

	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	if len(lines) > maxLines {
		lines = append(lines[:maxLines], "…")
	}
	for i, line := range lines {
		lines[i] = strings.TrimRight(Cell(line, maxLine), " ")
	}
	return lines
}

// begin is as much of s as max characters can come from, even if some of it becomes
// shorter: what is cut off need not be looked at. cut says that there is more.
func begin(s string, max int) (head string, cut bool) {
	n := 16 * (max + 1)
	if len(s) <= n {
		return s, false
	}

	for range utf8.UTFMax - 1 {
		if !utf8.RuneStart(s[n]) {
			n--
		}
	}
	return s[:n], true
}

// isPlain reports whether s is printable ASCII.
func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
