package schema

import (
	"slices"
	"strings"
)

// Names of the events that Supervisor's Python implementation can send to a listener
// (supervisor/events.py EventTypes). Any other event keeps its own name, see Tail.
const (
	ProcessStateStopped           = "PROCESS_STATE_STOPPED"
	ProcessStateExited            = "PROCESS_STATE_EXITED"
	ProcessStateStarting          = "PROCESS_STATE_STARTING"
	ProcessStateStopping          = "PROCESS_STATE_STOPPING"
	ProcessStateBackoff           = "PROCESS_STATE_BACKOFF"
	ProcessStateFatal             = "PROCESS_STATE_FATAL"
	ProcessStateRunning           = "PROCESS_STATE_RUNNING"
	ProcessStateUnknown           = "PROCESS_STATE_UNKNOWN"
	ProcessCommunicationStdout    = "PROCESS_COMMUNICATION_STDOUT"
	ProcessCommunicationStderr    = "PROCESS_COMMUNICATION_STDERR"
	ProcessLogStdout              = "PROCESS_LOG_STDOUT"
	ProcessLogStderr              = "PROCESS_LOG_STDERR"
	RemoteCommunication           = "REMOTE_COMMUNICATION"
	SupervisorStateChangeRunning  = "SUPERVISOR_STATE_CHANGE_RUNNING"
	SupervisorStateChangeStopping = "SUPERVISOR_STATE_CHANGE_STOPPING"
	Tick5                         = "TICK_5"
	Tick60                        = "TICK_60"
	Tick3600                      = "TICK_3600"
	ProcessGroupAdded             = "PROCESS_GROUP_ADDED"
	ProcessGroupRemoved           = "PROCESS_GROUP_REMOVED"
	abstractAll                   = "EVENT"
	familyRemoteCommunication     = "remote_communication"
	familyOther                   = "other"
)

// concrete are the names that events have, in the order of Supervisor's manual.
var concrete = []string{
	ProcessStateStopped, ProcessStateExited, ProcessStateStarting, ProcessStateStopping,
	ProcessStateBackoff, ProcessStateFatal, ProcessStateRunning, ProcessStateUnknown,
	ProcessCommunicationStdout, ProcessCommunicationStderr,
	ProcessLogStdout, ProcessLogStderr,
	RemoteCommunication,
	SupervisorStateChangeRunning, SupervisorStateChangeStopping,
	Tick5, Tick60, Tick3600,
	ProcessGroupAdded, ProcessGroupRemoved,
}

// families are the abstract names, each of which stands for several concrete ones
// (supervisor/events.py). What follows the family in a name is its kind.
var families = []string{
	"PROCESS_STATE", "PROCESS_COMMUNICATION", "PROCESS_LOG",
	"SUPERVISOR_STATE_CHANGE", "TICK", "PROCESS_GROUP",
}

var known = func() map[string]bool {
	m := make(map[string]bool, len(concrete))
	for _, n := range concrete {
		m[n] = true
	}
	return m
}()

// Names returns the concrete names of events, in the order of Supervisor's manual.
func Names() []string { return append([]string(nil), concrete...) }

// Known reports whether name is one of Supervisor's concrete event names.
func Known(name string) bool { return known[name] }

// Families returns the abstract names that stand for several concrete ones.
func Families() []string { return append([]string{abstractAll}, families...) }

// Is reports whether Supervisor delivers an event with a name to a listener that has
// subscribed to another one: the same name, or an abstract one above it (PROCESS_STATE,
// EVENT).
func Is(name, subscribed string) bool {
	if subscribed == abstractAll || name == subscribed {
		return true
	}
	rest, ok := strings.CutPrefix(name, subscribed)
	return ok && strings.HasPrefix(rest, "_") && slices.Contains(families, subscribed)
}

// Tail returns the last two tokens of an event's subject: its family and its kind, encoded.
// typ is the type of a REMOTE_COMMUNICATION. A name that is not known here is other.<name>.
func Tail(name, typ string) (family, kind string) {
	if name == RemoteCommunication {
		return familyRemoteCommunication, Token(typ)
	}
	if t, ok := tails[name]; ok {
		return t[0], t[1]
	}
	return familyOther, Token(name)
}

// tails are the families and kinds of the known names.
var tails = func() map[string][2]string {
	m := map[string][2]string{}
	for _, name := range concrete {
		for _, f := range families {
			if rest, ok := strings.CutPrefix(name, f+"_"); ok {
				m[name] = [2]string{strings.ToLower(f), strings.ToLower(rest)}
			}
		}
	}
	return m
}()

// fromTail is the inverse of Tail.
func fromTail(family, kind string) (name, typ string, err error) {
	switch family {
	case familyRemoteCommunication:
		typ, err = ParseToken(kind)
		return RemoteCommunication, typ, err
	case familyOther:
		name, err = ParseToken(kind)
		return name, "", err
	}

	name = strings.ToUpper(family + "_" + kind)
	if f, k := Tail(name, ""); !known[name] || f != family || k != kind {
		return "", "", errorf("unknown family and kind %q", family+"."+kind)
	}
	return name, "", nil
}
