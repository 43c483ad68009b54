package state

import (
	"strings"

	"supernats/schema"
)

// Apply returns the record of a process after an event. old is nil for a process that is
// not known yet. ok is false, and nothing changes, for an event that is no change of a
// process's state, and for one that was applied before or is older than what was.
func Apply(
	old *schema.ProcessRecord, m Meta, ce *schema.CloudEvent[*schema.Event],
) (next *schema.ProcessRecord, ok bool) {
	e := ce.Data
	to := stateAfter[e.Event]
	if to == "" || e.Process == "" {
		return old, false
	}

	var r schema.ProcessRecord
	if old != nil {
		r = *old
	}
	// Whoever wrote the old one.
	r.Host = strings.Clone(e.Host)
	r.Group = strings.Clone(e.Group)
	r.Process = strings.Clone(e.Process)
	if !applyEvent(&r, m, ce, to, strings.Clone(e.Boot)) {
		return old, false
	}
	return &r, true
}
