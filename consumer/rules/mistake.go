package rules

import (
	"errors"
	"fmt"
	"strings"
)

// ConfigError is what is wrong with a rule: what was found and what is allowed.
type ConfigError struct {
	// Path is below the section rules, "[2].if".
	Path string
	Err  error
}

func (e *ConfigError) Error() string { return e.Path + ": " + e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// Mistakes returns each *ConfigError in an error of Compile.
func Mistakes(err error) (found []*ConfigError) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			found = append(found, Mistakes(e)...)
		}
		return found
	}
	var c *ConfigError
	if errors.As(err, &c) {
		found = append(found, c)
	}
	return found
}

// at and below build the path of a ConfigError from its end.
func at(key string, err error) *ConfigError { return &ConfigError{Path: "." + key, Err: err} }

func below(path string, err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, below(path, e))
		}
		return errors.Join(errs...)
	}
	var c *ConfigError
	if !errors.As(err, &c) {
		return &ConfigError{Path: path, Err: err}
	}
	return &ConfigError{Path: path + c.Path, Err: c.Err}
}

// mistakes collects what is wrong with a part of a rule.
type mistakes []error

// add notes what is wrong with the value of a key: what was found and what is allowed.
func (m *mistakes) add(key, format string, args ...any) { m.wrap(key, fmt.Errorf(format, args...)) }

// wrap notes an error about the value of a key, if it is one.
func (m *mistakes) wrap(key string, err error) {
	if err != nil {
		*m = append(*m, at(key, err))
	}
}

// join notes the mistakes of another part.
func (m *mistakes) join(err error) {
	if err != nil {
		*m = append(*m, err)
	}
}

func (m *mistakes) err() error { return errors.Join(*m...) }

// element names an entry of a list; a text that stands for a list has no index.
func element(key string, list []string, i int) string {
	if len(list) == 1 {
		return key
	}
	return fmt.Sprintf("%s[%d]", key, i)
}

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

// suggest names the one that was meant, if that is obvious.
func suggest(name string, known []string) string {
	if best := Nearest(name, known); best != "" {
		return "; did you mean " + best + "?"
	}
	return ""
}

// Nearest returns the known name that was meant, or nothing if that is not obvious.
func Nearest(name string, known []string) string {
	if len(name) > 200 {
		return ""
	}
	best, least := "", len(name)/2+1
	for _, k := range known {
		if d := distance(strings.ToUpper(name), strings.ToUpper(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}

	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			best := min(row[j+1]+1, row[j]+1, diagonal+cost)
			diagonal = row[j+1]
			row[j+1] = best
		}
	}
	return row[len(b)]
}
