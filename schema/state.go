package schema

import "slices"

// States of a process (supervisor/states.py ProcessStates).
const (
	StateStopped  = "STOPPED"
	StateStarting = "STARTING"
	StateRunning  = "RUNNING"
	StateBackoff  = "BACKOFF"
	StateStopping = "STOPPING"
	StateExited   = "EXITED"
	StateFatal    = "FATAL"
	StateUnknown  = "UNKNOWN"
)

// States of a supervisord (supervisor/states.py SupervisorStates), and one of our own.
const (
	SupervisorRunning    = "RUNNING"
	SupervisorStopping   = "STOPPING"
	SupervisorRestarting = "RESTARTING"
	SupervisorShutdown   = "SHUTDOWN"
	SupervisorFatal      = "FATAL"
	// SupervisorGone is that of one that has ended without stopping its listener first:
	// it was killed.
	SupervisorGone = "GONE"
)

var states = []string{
	StateStopped, StateStarting, StateRunning, StateBackoff, StateStopping, StateExited, StateFatal, StateUnknown,
}

// States returns the states of a process, in the order of their numbers.
func States() []string { return slices.Clone(states) }

// IsState reports whether a text is a state of a process.
func IsState(text string) bool { return slices.Contains(states, text) }

// StateCode returns supervisor's number of a state, 0 for what is none.
func StateCode(state string) int {
	switch state {
	case StateStarting:
		return 10
	case StateRunning:
		return 20
	case StateBackoff:
		return 30
	case StateStopping:
		return 40
	case StateExited:
		return 100
	case StateFatal:
		return 200
	case StateUnknown:
		return 1000
	}
	return 0
}

// IsUp reports whether a process in a state is there and is meant to stay: it runs, or
// has not run for its startsecs yet.
func IsUp(state string) bool { return state == StateStarting || state == StateRunning }

// IsStopped reports whether somebody wants the process to be down: it has stopped, or
// is about to.
func IsStopped(state string) bool { return state == StateStopping || state == StateStopped }
