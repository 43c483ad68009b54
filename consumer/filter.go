package consumer

import (
	"slices"
	"strings"

	"supernats/schema"
	"supernats/schema/stream"
)

// Filter chooses events by globs, see schema.Glob. An empty list lets all pass.
type Filter struct {
	Hosts, Groups, Processes []string
	// Events are supervisor's names, abstract ones too, or globs of them.
	Events []string
}

// Check reports a malformed glob.
func (f Filter) Check() error {
	for _, list := range [][]string{f.Hosts, f.Groups, f.Processes, f.Events} {
		for _, glob := range list {
			if _, err := schema.ParseGlob(glob); err != nil {
				return err
			}
		}
	}
	return nil
}

// Match reports whether an event passes.
func (f Filter) Match(e *schema.Event) bool {
	return schema.MatchAny(f.Hosts, e.Host) && schema.MatchAny(f.Groups, e.Group) &&
		schema.MatchAny(f.Processes, e.Process) && f.matchEvent(e.Event)
}

func (f Filter) matchEvent(name string) bool {
	return len(f.Events) == 0 || slices.ContainsFunc(f.Events, func(event string) bool {
		return schema.Is(name, event) || schema.MatchGlob(event, name)
	})
}

// Subjects returns what to subscribe to: all that passes, and as little else as can be
// said without globs.
func (f Filter) Subjects() []string {
	names := schema.EventPrefix + onlyToken(f.Hosts) + "." + onlyToken(f.Groups) + "." + onlyToken(f.Processes) + "."
	kinds := f.kinds()
	if names == schema.EventPrefix+"*.*.*." && kinds[">"] {
		return []string{stream.AllEvents}
	}

	var subjects []string
	for kind := range kinds {
		// Subjects of one consumer must not overlap.
		if family, _, _ := strings.Cut(kind, "."); kind == family+".>" || !kinds[family+".>"] {
			subjects = append(subjects, names+kind)
		}
	}
	slices.Sort(subjects)
	return subjects
}

// kinds are the last two tokens of the subjects, or ">" for all.
func (f Filter) kinds() map[string]bool {
	kinds := map[string]bool{}
	for _, event := range f.Events {
		switch {
		case schema.HasGlobSigns(event) || event == "EVENT":
			return map[string]bool{">": true}
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

	if len(kinds) == 0 {
		kinds[">"] = true
	}
	return kinds
}

// onlyToken is the token of the only name of a list, or a wildcard.
func onlyToken(list []string) string {
	if len(list) == 1 && !schema.HasGlobSigns(list[0]) {
		return schema.Token(list[0])
	}
	return "*"
}
