package schema

import (
	"fmt"
	"slices"
	"strings"

	"supernats/schema/internal/glob"
)

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
	if !glob.Valid(text) {
		return Glob{}, fmt.Errorf("invalid glob %q: want a name with *, ?, [a-z] and {a,b}", text)
	}
	return NewGlob(text), nil
}

// NewGlob returns the glob of a text that was checked. A malformed one, which ParseGlob
// refuses, matches what can be understood of it.
func NewGlob(text string) Glob {
	if i := strings.IndexAny(text, glob.Signs); i >= 0 {
		return Glob{text: text, prefix: text[:i]}
	}
	return Glob{text: text, prefix: text}
}

// HasGlobSigns reports whether a text is more than a name: * ? [ { or \ is in it.
func HasGlobSigns(text string) bool { return strings.ContainsAny(text, glob.Signs) }

// MatchGlob reports whether a name matches the glob of a text. A malformed one, which
// ParseGlob refuses, matches what can be understood of it, and never panics.
func MatchGlob(text, name string) bool { return NewGlob(text).Match(name) }

// MatchAny reports whether a name matches one of the globs, or there are none.
func MatchAny(globs []string, name string) bool {
	return len(globs) == 0 || slices.ContainsFunc(globs, func(g string) bool { return MatchGlob(g, name) })
}

// QuoteGlob returns the glob that matches a name and nothing else, in a list with commas
// too.
func QuoteGlob(name string) string { return globQuoter.Replace(name) }

var globQuoter = strings.NewReplacer(
	`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `{`, `\{`, `}`, `\}`, `,`, `\,`,
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

	return glob.Match(g.text[len(g.prefix):], rest)
}

// SplitGlobs splits what was given at the commas, as supervisor splits events=, but not at
// those in {a,b} or after a backslash.
func SplitGlobs(given []string) []string { return glob.Split(given) }
