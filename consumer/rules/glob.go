package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"supernats/schema"
)

// Globs are patterns of names; an empty list matches all.
type Globs []schema.Glob

// NewGlobs returns the patterns of a list that was checked.
func NewGlobs(list []string) Globs {
	all := make(Globs, 0, len(list))
	for _, g := range list {
		all = append(all, schema.NewGlob(g))
	}
	return all
}

// Match reports whether a name matches one of the globs, or there are none.
func (all Globs) Match(name string) bool {
	for _, g := range all {
		if g.Match(name) {
			return true
		}
	}
	return len(all) == 0
}

func checkGlob(g string) error {
	if _, err := schema.ParseGlob(g); err != nil || g == "" {
		return fmt.Errorf("found %q, allowed are names with *, ?, [a-z] and {a,b}", clip(g))
	}
	return nil
}

// eventName is the name of an event, an abstract one, or a glob of names.
type eventName struct {
	name string
	glob schema.Glob
}

func (n eventName) match(event string) bool {
	return schema.Is(event, n.name) || !n.glob.IsPlain() && n.glob.Match(event)
}

// regexpSign is what regular expressions have, and names of events and their globs
// do not.
var regexpSign = regexp.MustCompile(`\.[*+?]|^\^|\$$|[()|]`)

// isDeath reports whether an event of the name may say why a process died.
func (n eventName) isDeath() bool {
	return n.match(schema.ProcessStateExited) || n.match(schema.ProcessStateBackoff) ||
		n.match(schema.ProcessStateFatal)
}

func compileEvents(list List) (events []eventName, err error) {
	const allowed = "supervisor's names (abstract ones too) and globs of names"
	known := append(schema.Names(), schema.Families()...)

	var wrong mistakes
	for i, name := range list {
		key := element("event", list, i)
		g := schema.NewGlob(name)
		err := checkGlob(name)
		switch {
		case g.IsPlain() && !slices.Contains(known, name):
			wrong.add(key, "found %q, allowed are %s%s", clip(name), allowed, suggest(name, known))
		case err != nil:
			wrong.wrap(key, err)
		case regexpSign.MatchString(name):
			const problem = "looks like a regular expression and matches no event"
			wrong.add(key, "found %q, which %s; allowed are supervisor's names and globs of names: PROCESS_STATE_*",
				clip(name), problem)
		default:
			events = append(events, eventName{name, g})
		}
	}
	return events, wrong.err()
}

func compileStates(list List) ([]string, error) {
	known := schema.States()
	var wrong mistakes
	for i, name := range list {
		if !schema.IsState(name) {
			wrong.add(element("state", list, i),
				"found %q, allowed are %s%s", clip(name), strings.Join(known, ", "), suggest(name, known))
		}
	}
	return list, wrong.err()
}
