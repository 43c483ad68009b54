package mail

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxSubjectName and maxSubject bound the subject, in characters: a mailbox
	// shows some 80, and a hostile name must not push the rest out of sight.
	maxSubjectName = 60
	maxSubject     = 200
	// maxField is the longest value in the list of a body and in a header, where
	// RFC 5322 ends a line at 998 bytes.
	maxField = 200
	// maxSentence bounds the first sentence of a digest.
	maxSentence = 500
	// maxReason is the longest reason in a line of a table.
	maxReason = 120
	// maxParagraph and maxParagraphLine bound the annotation description.
	maxParagraph     = 20
	maxParagraphLine = 500
	// maxLogs is how much of all logs together goes into a mail, in bytes, maxLog
	// how much of one log. The bridge sends 4 KiB of each unless told otherwise.
	maxLogs = 64 << 10
	maxLog  = maxLogs / 2
	// maxLogAlerts is how many alerts of a digest show their logs, maxDigestLog
	// how much of each log.
	maxLogAlerts = 5
	maxDigestLog = 4 << 10
	// maxGlob is how much of a name stands in a command before a "*".
	maxGlob = 100
)

// visible reports whether r may stand in a mail as it is. Names and logs come
// from processes: whatever moves the cursor, ends a line or changes the
// direction of writing is escaped.
func visible(r rune) bool {
	const zwnj, zwj = '\u200c', '\u200d' // emoji and several scripts need them
	return unicode.IsGraphic(r) || r == zwnj || r == zwj
}

// clip makes s one visible line of at most max characters: the rest is escaped
// as in Go ("\r\n", "\x1b", "\u202e") or cut off.
func clip(s string, max int) string {
	if n := len(s); n <= max && isPlain(s) {
		return s
	}
	s, cut := begin(s, max)
	var b strings.Builder
	count := 0
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		piece := string(r)
		if !visible(r) {
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

// begin is as much of s as max characters can come from, even if some of it is
// made shorter: what is cut off need not be looked at. cut says that there is
// more.
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

func escape(r rune) string {
	return strings.Trim(strconv.QuoteRune(r), "'")
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

// cleanLog makes what a process wrote readable: its end, with lines, without
// the colours and cursor movements of a terminal, in at most max bytes.
func cleanLog(s string, max int) string {
	const cutMark = "…\n"
	max -= len(cutMark)
	cut := len(s) > max
	if cut {
		s = lastLines(s, max)
	}
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.ReplaceAll(s, "\r\n", "\n")
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		if n := ansi(s[i:]); n > 0 {
			i += n
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case r == '\n' || r == '\t' || visible(r):
			b.WriteRune(r)
		case r == '\r':
			// A progress bar that draws over itself.
			b.WriteByte('\n')
		default:
			b.WriteString(escape(r))
		}
	}
	s = strings.Trim(b.String(), "\n")
	if len(s) > max {
		// Escapes are longer than what they stand for.
		cut, s = true, strings.ToValidUTF8(lastLines(s, max), "")
	}
	if cut {
		return cutMark + s
	}
	return s
}

// blank reports whether nothing is left of a log when it is clean: only line ends, and
// what steers a terminal.
func blank(s string) bool {
	for i := 0; i < len(s); {
		if n := ansi(s[i:]); n > 0 {
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

// lastLines is the end of s, which is longer, in at most max bytes: whole lines,
// unless a line is longer than that.
func lastLines(s string, max int) string {
	s = s[len(s)-max-1:]
	if _, rest, ok := strings.Cut(s, "\n"); ok && rest != "" {
		return rest
	}
	return s[1:]
}

// ansi returns the length of the control sequence that s begins with: ESC [ …
// (colours) or ESC ] … BEL or ESC \ (titles, links).
func ansi(s string) int {
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

// option writes an option of a command to be pasted into a shell: its value is a
// glob that matches this name only, or what begins like it if it is very long.
func option(name, value string) string {
	long := utf8.RuneCountInString(value) > maxGlob
	if long {
		value = string([]rune(value)[:maxGlob])
	}
	value = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `{`, `\{`, `}`, `\}`).Replace(value)
	if long {
		value += "*"
	}
	sep := " "
	if strings.HasPrefix(value, "-") {
		// Else it would be taken for the next option.
		sep = "="
	}
	return " --" + name + sep + quote(value)
}

// quote quotes s for a shell. What cannot be seen is escaped as bash, zsh and
// ksh understand it ($'\r').
func quote(s string) string {
	word := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_@%+=:,./-", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !word(r) }) {
		return s
	}
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !visible(r) }) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == utf8.RuneError && size == 1, !visible(r):
			for _, c := range []byte(s[i : i+size]) {
				const hex = "0123456789abcdef"
				b.WriteString(`\x` + string(hex[c>>4]) + string(hex[c&15]))
			}
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String() + "'"
}

// cell is clip for a name or a value in a table or a sentence: spaces in it
// cannot make it look like the next column.
func cell(s string, max int) string {
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
	text := clip(b.String(), max)
	if cut && !strings.HasSuffix(text, "…") {
		text += "…"
	}
	return text
}

// paragraph is a text of few lines, each a visible one.
func paragraph(s string) []string {
	s, _ = begin(strings.TrimSpace(s), maxParagraph*maxParagraphLine)
	if s == "" {
		return nil
	}
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	if len(lines) > maxParagraph {
		lines = append(lines[:maxParagraph], "…")
	}
	for i, line := range lines {
		lines[i] = strings.TrimRight(cell(line, maxParagraphLine), " ")
	}
	return lines
}
