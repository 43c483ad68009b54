package state

import "supernats/schema"

// Tells reports whether an event of a name says anything of states. Of others Seen
// is enough.
func Tells(event string) bool {
	switch event {
	case schema.ProcessGroupRemoved, schema.SupervisorStateChangeRunning, schema.SupervisorStateChangeStopping:
		return true
	}
	return told[event] != ""
}

// Named returns the name of a host that was seen before by its token in subjects,
// "" if it was not.
func (f *Fleet) Named(token string) string {
	if h := f.byToken[token]; h != nil {
		return h.rec.Host
	}
	return ""
}
