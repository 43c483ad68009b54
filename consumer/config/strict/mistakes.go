package strict

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// KeyError is what is wrong with the value of a key, or with a section.
type KeyError struct {
	// Path is that of the key in the file: "mail.from".
	Path string
	// Err may hold several mistakes, a line for each. A line that is indented belongs
	// to the line before. A section may name its own key first: "smarthost: missing".
	Err error
}

func (e *KeyError) Error() string { return e.Path + ": " + e.Err.Error() }
func (e *KeyError) Unwrap() error { return e.Err }

// mistake is one line of the file's error.
type mistake struct {
	at      *token.Token // nil: it has no place
	message string
}

// maxMistakes is how many are reported at once.
const maxMistakes = 100

// Fail records a mistake in the value of a key, at the place of the key.
func (f *File) Fail(key string, err error) { f.fail(f.keys[key], key, "%v", err) }

// fail records a mistake in the value of a key, or one that belongs to no key. A
// mistake that several aliases lead to is one.
func (f *File) fail(t *token.Token, key, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if key != "" {
		f.failed[key] = true
		message = key + ": " + message
	}
	f.add(t, message)
}

func (f *File) add(t *token.Token, message string) {
	same := mistake{t, message}
	if _, rest, ok := strings.Cut(message, ": "); ok && t != nil {
		same.message = rest
	}
	if !f.reported[same] {
		f.reported[same] = true
		f.mistakes = append(f.mistakes, mistake{t, message})
	}
}

// Add records what is wrong with the decoded values, each at the place of its key or of
// the section around it. What only follows from a value that could not be decoded is left
// out.
func (f *File) Add(found []*KeyError) {
	// All are located before the first one is recorded: a mistake follows from what could
	// not be decoded, and not from another one of these.
	var list []mistake
	for _, e := range found {
		for message := range strings.SplitSeq(e.Err.Error(), "\n") {
			if n := len(list); n > 0 && strings.HasPrefix(message, " ") {
				list[n-1].message += "\n" + message
				continue
			}
			list = append(list, f.locate(e.Path, message))
		}
	}

	for _, m := range list {
		if m.message != "" {
			f.add(m.at, m.message)
		}
	}
}

// ownKey is how a section names the key that its message is about.
var ownKey = regexp.MustCompile(`^[a-z_]+(\[\d+\]|\.[a-z_]+)*$`)

// locate returns a mistake at the position of its key, or of the section around it,
// or an empty one if it only follows from another mistake.
func (f *File) locate(path, message string) mistake {
	where, about := path, message
	if inner, rest, ok := strings.Cut(message, ":"); ok && ownKey.MatchString(inner) {
		where = Below(path, inner)
		about = ""
		if f.keys[where] != nil {
			path, message = where, strings.TrimPrefix(rest, " ")
		}
	}
	if f.followsFromFailed(where, about) {
		return mistake{}
	}

	// A list may be written as one text.
	if whole, ok := strings.CutSuffix(path, "[0]"); ok && f.keys[path] == nil && f.keys[whole] != nil {
		path = whole
	}
	return mistake{f.keyAround(where), path + ": " + message}
}

// keyAround returns where a key is written, or the section around it that is.
func (f *File) keyAround(key string) *token.Token {
	for f.keys[key] == nil {
		i := strings.LastIndexAny(key, ".[")
		if i < 0 {
			break
		}
		key = key[:i]
	}
	return f.keys[key]
}

// followsFromFailed reports whether what is wrong with a key may only be so because it, or
// what it is in, could not be decoded; or, for a message about a section as a whole, one of
// the keys that it speaks of.
func (f *File) followsFromFailed(path, message string) bool {
	for key := range f.failed {
		rest, within := strings.CutPrefix(path, key)
		if within && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}

		rest, contains := strings.CutPrefix(key, path)
		if !contains || rest == "" {
			continue
		}
		isEntry := rest[0] == '['
		isKey := rest[0] == '.' && !strings.ContainsAny(rest[1:], ".[")
		if isEntry || isKey && strings.Contains(message, rest[1:]) {
			return true
		}
	}
	return false
}

// Err returns the mistakes in the order of the file, one a line; nil if there are none.
func (f *File) Err() error {
	slices.SortStableFunc(f.mistakes, func(a, b mistake) int {
		if a.at == nil || b.at == nil {
			return 0
		}
		return cmp.Or(
			cmp.Compare(a.at.Position.Line, b.at.Position.Line),
			cmp.Compare(a.at.Position.Column, b.at.Position.Column),
		)
	})

	var errs []error
	for i, m := range f.mistakes {
		if i == maxMistakes {
			errs = append(errs, fmt.Errorf("%s: and %d mistakes more", f.path, len(f.mistakes)-i))
			break
		}
		errs = append(errs, f.errorAt(m))
	}
	return errors.Join(errs...)
}

// errorAt returns a mistake in the form that editors jump to: file:line:column.
func (f *File) errorAt(m mistake) error {
	if m.at == nil || m.at.Position == nil {
		return fmt.Errorf("%s: %s", f.path, m.message)
	}
	return fmt.Errorf("%s:%d:%d: %s", f.path, m.at.Position.Line, m.at.Position.Column, m.message)
}
