package consumer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"supernats/schema"
	"supernats/schema/stream"
)

// Filter chooses events by globs (*, ?, [a-z], {a,b}); an empty list lets
// everything through.
type Filter struct {
	Hosts, Groups, Processes []string
	// Events are supervisor's names, abstract ones too, or globs of them.
	Events []string
}

// Check reports a malformed glob.
func (f Filter) Check() error {
	for _, list := range [][]string{f.Hosts, f.Groups, f.Processes, f.Events} {
		for _, glob := range list {
			if !doublestar.ValidatePattern(glob) {
				return fmt.Errorf("%q is no glob; allowed are names with *, ?, [a-z] and {a,b}", glob)
			}
		}
	}
	return nil
}

// Match reports whether an event passes.
func (f Filter) Match(e *schema.Event) bool {
	return MatchAny(f.Hosts, e.Host) && MatchAny(f.Groups, e.Group) && MatchAny(f.Processes, e.Process) &&
		(len(f.Events) == 0 || slices.ContainsFunc(f.Events, func(want string) bool {
			return schema.Is(e.Event, want) || Glob(want, e.Event)
		}))
}

// MatchAny reports whether a name matches one of the globs, or there are none.
func MatchAny(globs []string, name string) bool {
	return len(globs) == 0 || slices.ContainsFunc(globs, func(g string) bool { return Glob(g, name) })
}

// Glob reports whether a name matches a glob, which is written for any text: '/'
// is a character like others.
func Glob(glob, name string) bool {
	const slash = "\x00"
	return doublestar.MatchUnvalidated(strings.ReplaceAll(glob, "/", slash), strings.ReplaceAll(name, "/", slash))
}

// Subjects returns what to subscribe to: a superset of what passes, as small as
// can be told without globs.
func (f Filter) Subjects() []string {
	one := func(list []string) string {
		if len(list) == 1 && !strings.ContainsAny(list[0], `*?[{\`) {
			return schema.Token(list[0])
		}
		return "*"
	}
	kinds := make(map[string]bool)
	for _, event := range f.Events {
		switch {
		case strings.ContainsAny(event, `*?[{\`) || event == "EVENT":
			kinds[">"] = true
		case event == schema.RemoteCommunication:
			kinds["remote_communication.>"] = true
		case slices.Contains(schema.Families(), event):
			kinds[strings.ToLower(event)+".>"] = true
			// A name of the family that is not known, PROCESS_STATE_FROZEN.
			kinds["other.>"] = true
		default:
			family, kind := schema.Tail(event, "")
			kinds[family+"."+kind] = true
		}
	}
	if len(kinds) == 0 || kinds[">"] {
		kinds = map[string]bool{">": true}
	}
	prefix := schema.EventPrefix + one(f.Hosts) + "." + one(f.Groups) + "." + one(f.Processes) + "."
	if prefix == schema.EventPrefix+"*.*.*." && kinds[">"] {
		return []string{stream.AllEvents}
	}
	var subjects []string
	for kind := range kinds {
		// Subjects of one consumer must not overlap.
		if family, _, _ := strings.Cut(kind, "."); kind == family+".>" || !kinds[family+".>"] {
			subjects = append(subjects, prefix+kind)
		}
	}
	slices.Sort(subjects)
	return subjects
}
