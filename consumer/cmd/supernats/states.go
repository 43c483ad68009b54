package main

import (
	"fmt"
	"slices"
	"strings"

	"supernats/schema"
)

// checkStates makes the names of --state upper case, and refuses what is none.
func (p *psCmd) checkStates() error {
	if p.State == nil {
		return nil
	}

	var names []string
	for given := range strings.SplitSeq(strings.Join(p.State, ","), ",") {
		name := strings.ToUpper(strings.TrimSpace(given))
		if !schema.IsState(name) {
			return fmt.Errorf("--state: invalid state %q: want %s", given, strings.Join(schema.States(), ", "))
		}
		names = append(names, name)
	}
	p.State = names
	return nil
}

// inState reports whether a process is one of those that --state asks for. One whose
// host is silent was in the state of its record, and is UNKNOWN now; one whose supervisord
// was shut down is STOPPED.
func (p *psCmd) inState(s *shownState) bool {
	return len(p.State) == 0 || slices.Contains(p.State, s.ProcessRecord.State) ||
		s.UnknownSince != nil && slices.Contains(p.State, schema.StateUnknown) || s.StoppedSince != nil && slices.Contains(p.State, schema.StateStopped)
}
