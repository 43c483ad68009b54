package schema

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// globSigns are the characters that make a glob more than a name.
const globSigns = `*?[{\`

// Glob is a pattern of names:
//
//   - * stands for any text, ? for one character;
//   - [a-z] is one character of a class, [^a-z] and [!a-z] one that is not in it;
//   - {a,b} is one of several texts, which may be patterns themselves;
//   - \ takes its meaning from the character after it.
//
// '/' is a character like others, because names are not paths. A text without any of
// these signs is compared as it is. The zero value matches the empty name.
type Glob struct {
	text string
	// prefix is what stands before the first sign: all of the text if there is none.
	prefix string
}

// ParseGlob returns the glob of a text, or an error that says what is allowed.
func ParseGlob(text string) (Glob, error) {
	if !isGlob(text) {
		return Glob{}, fmt.Errorf("invalid glob %q: want a name with *, ?, [a-z] and {a,b}", text)
	}
	return NewGlob(text), nil
}

// NewGlob returns the glob of a text that was checked. A malformed one, which ParseGlob
// refuses, matches what can be understood of it.
func NewGlob(text string) Glob {
	if i := strings.IndexAny(text, globSigns); i >= 0 {
		return Glob{text: text, prefix: text[:i]}
	}
	return Glob{text: text, prefix: text}
}

// HasGlobSigns reports whether a text is more than a name: * ? [ { or \ is in it.
func HasGlobSigns(text string) bool { return strings.ContainsAny(text, globSigns) }

// MatchGlob reports whether a name matches the glob of a text. A malformed one, which
// ParseGlob refuses, matches what can be understood of it, and never panics.
func MatchGlob(text, name string) bool { return NewGlob(text).Match(name) }

// MatchAny reports whether a name matches one of the globs, or there are none.
func MatchAny(globs []string, name string) bool {
	return len(globs) == 0 || slices.ContainsFunc(globs, func(g string) bool { return MatchGlob(g, name) })
}

// QuoteGlob returns the glob that matches a name and nothing else.
func QuoteGlob(name string) string { return globQuoter.Replace(name) }

var globQuoter = strings.NewReplacer(
	`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `{`, `\{`, `}`, `\}`,
)

// String returns the text of the glob.
func (g Glob) String() string { return g.text }

// IsPlain reports whether the glob matches one name only: its text.
func (g Glob) IsPlain() bool { return len(g.prefix) == len(g.text) }

// Match reports whether all of a name matches.
func (g Glob) Match(name string) bool {
	rest, ok := strings.CutPrefix(name, g.prefix)
	if !ok {
		return false
	}

	w := globWalk{pattern: g.text[len(g.prefix):], name: rest, star: -1}
	return w.match()
}

// globWalk is a pattern and a name of which a part has been compared.
type globWalk struct {
	pattern, name string
	// p and n are where the comparison stands in the pattern and in the name.
	p, n int
	// star is what follows the last *, -1 if there was none, and retry where in the name
	// that was tried the last time.
	star, retry int
}

// match compares what is left. Only the last * ever takes more of the name: whatever
// the ones before it could take instead, it can take itself.
func (w globWalk) match() bool {
	for {
		switch {
		case w.p == len(w.pattern) && w.n == len(w.name):
			return true
		case w.p == len(w.pattern): // more of the name is left
		case w.pattern[w.p] == '*':
			w.p++
			w.star, w.retry = w.p, w.n
			if w.p == len(w.pattern) {
				return true
			}
			continue
		case w.pattern[w.p] == '{':
			return w.matchAlternatives()
		case w.n < len(w.name):
			if size, width, ok := matchCharacter(w.pattern[w.p:], w.name[w.n:]); ok {
				w.p += size
				w.n += width
				continue
			}
		}

		if w.star < 0 || w.retry == len(w.name) {
			return false
		}
		_, width := utf8.DecodeRuneInString(w.name[w.retry:])
		w.retry += width
		w.p, w.n = w.star, w.retry
	}
}

// matchAlternatives continues with each of the texts within the braces that stand here.
func (w globWalk) matchAlternatives() bool {
	texts, rest, ok := cutBraces(w.pattern[w.p+1:])
	if !ok {
		return false
	}

	before := w.pattern[:w.p]
	for _, text := range texts {
		w.pattern = before + text + rest
		if w.match() {
			return true
		}
	}
	return false
}

// matchCharacter compares one character of a pattern that is no * and no brace with the
// first one of a name, and returns how many bytes each has.
func matchCharacter(pattern, name string) (size, width int, ok bool) {
	r, width := utf8.DecodeRuneInString(name)
	switch pattern[0] {
	case '?':
		return 1, width, true
	case '[':
		end := classEnd(pattern)
		if end < 0 {
			return 0, 0, false
		}
		return end, width, inClass(pattern[1:end-1], r)
	}

	start := 0
	if pattern[0] == '\\' {
		start = 1
	}
	want, size := utf8.DecodeRuneInString(pattern[start:])
	return start + size, width, size > 0 && want == r
}

// inClass reports whether a character is in the class within brackets. A - at an end of
// the class or after a range stands for itself.
func inClass(class string, r rune) bool {
	negated := class[0] == '^' || class[0] == '!'
	if negated {
		class = class[1:]
	}

	for class != "" {
		low, rest := cutCharacter(class)
		high := low
		if len(rest) > 1 && rest[0] == '-' {
			high, rest = cutCharacter(rest[1:])
		}
		if r == low || low <= r && r <= high { // a range that is reversed is its first character
			return !negated
		}
		class = rest
	}
	return negated
}

// cutCharacter returns the first character of a class, which a \ may stand before.
func cutCharacter(class string) (r rune, rest string) {
	class = strings.TrimPrefix(class, `\`)
	r, size := utf8.DecodeRuneInString(class)
	return r, class[size:]
}

// classEnd returns the length of the class at the beginning of a pattern, with its
// brackets, or -1 if it is empty or does not end.
func classEnd(pattern string) int {
	i := 1
	if i < len(pattern) && (pattern[i] == '^' || pattern[i] == '!') {
		i++
	}
	if i < len(pattern) && pattern[i] == ']' {
		return -1
	}

	for ; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case ']':
			return i + 1
		}
	}
	return -1
}

// cutBraces divides what follows an opening brace into the texts within the braces and
// what stands after them. ok is false if they are not closed.
func cutBraces(pattern string) (texts []string, rest string, ok bool) {
	depth, start := 0, 0
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case '[':
			if end := classEnd(pattern[i:]); end > 0 {
				i += end - 1
			}

		case '{':
			depth++
		case '}':
			if depth == 0 {
				return append(texts, pattern[start:i]), pattern[i+1:], true
			}
			depth--
		case ',':
			if depth == 0 {
				texts = append(texts, pattern[start:i])
				start = i + 1
			}
		}
	}
	return nil, "", false
}

// isGlob reports whether a text is well-formed: classes and braces are closed, and
// something follows each \.
func isGlob(text string) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if i++; i == len(text) {
				return false
			}
		case '[':
			end := classEnd(text[i:])
			if end < 0 {
				return false
			}
			i += end - 1

		case '{':
			depth++
		case '}':
			if depth--; depth < 0 {
				return false
			}
		}
	}
	return depth == 0
}
