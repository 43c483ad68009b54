// Package glob compares names with patterns, see schema.Glob for their form. Braces are
// tried one alternative after the other, so a pattern with many of them takes long; it is
// written by an operator, not by a host. Only braces allocate.
package glob

import (
	"strings"
	"unicode/utf8"
)

// Signs are the characters that make a pattern more than a name.
const Signs = `*?[{\`

// Match reports whether all of a name matches a pattern. A malformed one, see Valid, matches
// what can be understood of it.
func Match(pattern, name string) bool {
	return walk{pattern: pattern, name: name, star: -1}.match()
}

// walk is a pattern and a name of which a part has been compared.
type walk struct {
	pattern, name string
	// p and n are where the comparison stands in the pattern and in the name.
	p, n int
	// star is what follows the last *, -1 if there was none, and retry where in the name
	// that was tried the last time.
	star, retry int
}

// match compares what is left. Only the last * ever takes more of the name: whatever
// the ones before it could take instead, it can take itself.
func (w walk) match() bool {
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
func (w walk) matchAlternatives() bool {
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

// Valid reports whether a pattern is well-formed: classes and braces are closed, and
// something follows each \.
func Valid(pattern string) bool {
	depth := 0
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			if i++; i == len(pattern) {
				return false
			}
		case '[':
			end := classEnd(pattern[i:])
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
