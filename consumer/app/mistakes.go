package app

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// mistake is one line of an error.
type mistake struct {
	at      *token.Token
	message string
}

// maxMistakes is how many are told at once.
const maxMistakes = 100

// fail records a mistake in the value of a key, or one that belongs to no key. A
// mistake that several aliases lead to is one.
func (d *decoder) fail(t *token.Token, key, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if key != "" {
		d.failed[key] = true
		message = key + ": " + message
	}
	d.add(t, message)
}

func (d *decoder) add(t *token.Token, message string) {
	same := mistake{t, message}
	if _, rest, ok := strings.Cut(message, ": "); ok && t != nil {
		same.message = rest
	}
	if !d.seen[same] {
		d.seen[same] = true
		d.mistakes = append(d.mistakes, mistake{t, message})
	}
}

// check returns all that is wrong: what was found when the file was decoded, and what
// is wrong with the values.
func (d *decoder) check(c *Config, unknownReceivers bool) error {
	if d.values >= maxValues { // most of the file was not looked at
		return d.err()
	}
	found := c.check()
	if !unknownReceivers && !d.namesLost() {
		found.notify(c)
	}
	return d.place(found)
}

// receiverName is a key without which the name of a receiver is not known.
var receiverName = regexp.MustCompile(`^(mail|receivers|receivers\[\d+\](\.name)?)$`)

// namesLost reports whether there are receivers whose names cannot be known.
func (d *decoder) namesLost() bool {
	for key := range d.failed {
		if receiverName.MatchString(key) {
			return true
		}
	}
	return false
}

// place returns problems with the positions of their keys.
func (d *decoder) place(found problems) error {
	var list []mistake
	for _, e := range found {
		// A section may find more than one mistake, a line for each; one that is
		// indented belongs to the line before, as below an expression.
		for message := range strings.SplitSeq(e.err.Error(), "\n") {
			if n := len(list); n > 0 && strings.HasPrefix(message, " ") {
				list[n-1].message += "\n" + message
				continue
			}
			list = append(list, d.locate(e.path, message))
		}
	}
	for _, m := range list {
		if m.message != "" {
			d.add(m.at, m.message)
		}
	}
	return d.err()
}

// ownKey is how a section names the key that its message is about.
var ownKey = regexp.MustCompile(`^[a-z_]+(\[\d+\]|\.[a-z_]+)*$`)

// locate returns a mistake at the position of its key, or of the section around it,
// or an empty one if it only follows from another mistake.
func (d *decoder) locate(path, message string) mistake {
	where, named := path, false
	// The parts of a section name their own key first: "smarthost: missing".
	if inner, rest, ok := strings.Cut(message, ":"); ok && ownKey.MatchString(inner) {
		where, named = below(path, inner), true
		if d.keys[where] != nil {
			path, message = where, strings.TrimPrefix(rest, " ")
		}
	}
	if d.follows(where, named) {
		return mistake{}
	}

	// A list may be written as one text.
	if whole, ok := strings.CutSuffix(path, "[0]"); ok && d.keys[path] == nil && d.keys[whole] != nil {
		path = whole
	}
	for d.keys[where] == nil {
		i := strings.LastIndexAny(where, ".[")
		if i < 0 {
			break
		}
		where = where[:i]
	}
	return mistake{d.keys[where], path + ": " + message}
}

// follows reports whether what is wrong with a key may only be so because it, or what
// it is in, could not be decoded; or, for a message about a section as a whole, one of
// its keys.
func (d *decoder) follows(path string, named bool) bool {
	for key := range d.failed {
		rest, within := strings.CutPrefix(path, key)
		if within && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
		rest, contains := strings.CutPrefix(key, path)
		if !contains || rest == "" {
			continue
		}
		// An entry of a list that is named as the list, or a key of the section.
		if rest[0] == '[' || rest[0] == '.' && !named && !strings.ContainsAny(rest[1:], ".[") {
			return true
		}
	}
	return false
}

// err returns the mistakes in the order of the file.
func (d *decoder) err() error {
	slices.SortStableFunc(d.mistakes, func(a, b mistake) int {
		if a.at == nil || b.at == nil {
			return 0
		}
		return cmp.Or(cmp.Compare(a.at.Position.Line, b.at.Position.Line), cmp.Compare(a.at.Position.Column, b.at.Position.Column))
	})
	var errs []error
	for i, m := range d.mistakes {
		if i == maxMistakes {
			errs = append(errs, fmt.Errorf("%s: and %d mistakes more", d.path, len(d.mistakes)-i))
			break
		}
		errs = append(errs, at(d.path, m.at, m.message))
	}
	return errors.Join(errs...)
}

// at is an error in the form that editors jump to: file:line:column.
func at(path string, t *token.Token, message string) error {
	if t == nil || t.Position == nil {
		return fmt.Errorf("%s: %s", path, message)
	}
	return fmt.Errorf("%s:%d:%d: %s", path, t.Position.Line, t.Position.Column, message)
}
