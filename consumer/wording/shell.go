package wording

import (
	"strings"
	"unicode/utf8"

	"supernats/schema"
)

// maxGlob is how many characters of a name stand in a command before a "*".
const maxGlob = 100

// Option is an option of a command to paste into a shell, after a space: " --host web1".
// Its value is a glob that matches this name only, or all names that begin like a very
// long one.
func Option(name, value string) string {
	long := utf8.RuneCountInString(value) > maxGlob
	if long {
		value = string([]rune(value)[:maxGlob])
	}
	value = schema.QuoteGlob(value)
	if long {
		value += "*"
	}

	separator := " "
	if strings.HasPrefix(value, "-") {
		// The command would take it for the next option.
		separator = "="
	}
	return " --" + name + separator + ShellQuote(value)
}

// ShellQuote quotes s where it needs quotes. What is not Visible is escaped as bash,
// zsh and ksh understand it ($'\r').
func ShellQuote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isBareWord(r) }) {
		return s
	}
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !Visible(r) }) {
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
		case r == utf8.RuneError && size == 1, !Visible(r):
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

// isBareWord reports whether no shell takes r for more than a character.
func isBareWord(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' ||
		strings.ContainsRune("_@%+=:,./-", r)
}
