package rules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"supernats/schema"
)

// slash stands for '/' in globs and names: they are no paths, so it is a
// character like others.
const slash = "\x00"

const metacharacters = `*?[{\`

// glob is a pattern of names; one without metacharacters is just compared.
type glob struct {
	text  string
	plain bool
}

// Globs are patterns of names; an empty list matches all.
type Globs []glob

// NewGlobs returns the patterns of a list that was checked.
func NewGlobs(list []string) Globs {
	all := make(Globs, 0, len(list))
	for _, g := range list {
		plain := !strings.ContainsAny(g, metacharacters)
		if !plain {
			g = strings.ReplaceAll(g, "/", slash)
		}
		all = append(all, glob{g, plain})
	}
	return all
}

func (g glob) match(name string) bool {
	if g.plain {
		return g.text == name
	}
	return g.text == "*" || doublestar.MatchUnvalidated(g.text, strings.ReplaceAll(name, "/", slash))
}

// Match reports whether a name matches one of the globs, or there are none.
func (all Globs) Match(name string) bool {
	for _, g := range all {
		if g.match(name) {
			return true
		}
	}
	return len(all) == 0
}

func checkGlob(g string) error {
	if g == "" || !doublestar.ValidatePattern(strings.ReplaceAll(g, "/", slash)) {
		return fmt.Errorf("found %q, allowed are names with *, ?, [a-z] and {a,b}", clip(g))
	}
	return nil
}

// eventName is the name of an event, an abstract one, or a glob of names.
type eventName struct {
	name string
	glob glob
}

func (n eventName) match(event string) bool {
	return schema.Is(event, n.name) || !n.glob.plain && n.glob.match(event)
}

// regexpSign is what regular expressions have, and names of events and their globs
// do not.
var regexpSign = regexp.MustCompile(`\.[*+?]|^\^|\$$|[()|]`)

// isDeath reports whether an event of the name may say why a process died.
func (n eventName) isDeath() bool {
	return n.match(schema.ProcessStateExited) || n.match(schema.ProcessStateBackoff) || n.match(schema.ProcessStateFatal)
}

func compileEvents(list List) (events []eventName, err error) {
	known := append(schema.Names(), schema.Families()...)
	var errs []error
	for i, name := range list {
		g := NewGlobs([]string{name})[0]
		switch err := checkGlob(name); {
		case g.plain && !slices.Contains(known, name):
			errs = append(errs, at(element("event", list, i), fmt.Errorf("found %q, allowed are supervisor's names (abstract ones too) and globs of names%s", clip(name), suggest(name, known))))
		case err != nil:
			errs = append(errs, at(element("event", list, i), err))
		case regexpSign.MatchString(name):
			errs = append(errs, at(element("event", list, i), fmt.Errorf("found %q, which looks like a regular expression and matches no event; allowed are supervisor's names and globs of names: PROCESS_STATE_*", clip(name))))
		default:
			events = append(events, eventName{name, g})
		}
	}
	return events, errors.Join(errs...)
}

var processStates = []string{"STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNKNOWN"}

func compileStates(list List) ([]string, error) {
	var errs []error
	for i, name := range list {
		if !slices.Contains(processStates, name) {
			errs = append(errs, at(element("state", list, i), fmt.Errorf("found %q, allowed are %s%s", clip(name), strings.Join(processStates, ", "), suggest(name, processStates))))
		}
	}
	return list, errors.Join(errs...)
}
