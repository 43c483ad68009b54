package state

import (
	"time"

	"supernats/schema"
)

// SilentAfter is how long nothing may come from a host, or from one of several supervisords
// of it, until what was known of its processes is known no more.
const SilentAfter = schema.SilentAfter

// What people and rules want to know of a process.
const (
	// Running: RUNNING.
	Running = "running"
	// Down: it should run and does not. STARTING (not up yet), BACKOFF, FATAL, UNKNOWN, and
	// EXITED unless it was expected.
	Down = "down"
	// Stopped: somebody wants it so. STOPPED and STOPPING, by an operator or a shutdown of
	// supervisord, or never started with autostart=false.
	Stopped = "stopped"
	// Exited: ran to its end, and its program's exitcodes say that this is right.
	Exited = "exited"
	// Unknown: its host has been silent.
	Unknown = "unknown"
	// Gone: its supervisord does not have it any more.
	Gone = "gone"
)

// Status says how a process is, and since when. h is the record of its host, nil if there is
// none. A host is silent that was not seen for longer than silentAfter, never if that is 0,
// and so may be one of its several supervisords while another is not. The processes of one
// that announced its shutdown before it went silent are stopped: supervisord ends after
// them. Those of one that was killed are unknown from then on: they may live without it.
func Status(
	s *schema.ProcessRecord, h *schema.HostRecord, now time.Time, silentAfter time.Duration,
) (status string, since time.Time) {
	if s.Gone != nil {
		return Gone, s.Gone.Time
	}
	status, since = statusOf(s), s.Since.Time
	if h == nil || silentAfter <= 0 {
		return status, since
	}

	seen := h.LastSeen.Time
	last := h.SupervisorState
	if l := h.Life(s.Boot); l != nil {
		last = l.SupervisorState
		if h.HasLost(l, silentAfter) {
			seen = l.LastSeen.Time
		}
	}

	switch {
	case last == schema.SupervisorGone:
		return Unknown, seen
	case now.Sub(seen) <= silentAfter:
		return status, since
	case last != schema.SupervisorStopping:
		return Unknown, seen
	case status == Running || status == Down:
		return Stopped, seen
	}
	return status, since
}

// spareSection is the section for the output of programs that `supernats-bridge conf`
// prints: the bridge starts it when there is such a program.
const spareSection = "supernats-logs"

// countedAs is the status as which a process is counted of its host, "" if it is not: that
// nobody has needed the spare section is nothing to look at. It depends on the record alone,
// so that what is counted in is counted out again.
func countedAs(s *schema.ProcessRecord) string {
	status := statusOf(s)
	if status == Stopped && IsUnneeded(s) {
		return ""
	}
	return status
}

// IsUnneeded reports whether a process is the spare section, and nobody has needed it.
func IsUnneeded(s *schema.ProcessRecord) bool {
	return s.Group == spareSection && s.Process == spareSection && s.Starts == 0
}

// statusOf is the status by the record alone.
func statusOf(s *schema.ProcessRecord) string {
	switch {
	case s.Gone != nil, s.State == "":
		return Gone
	case s.State == schema.StateRunning:
		return Running
	case schema.IsStopped(s.State):
		return Stopped
	case s.State == schema.StateExited && s.Expected != nil && *s.Expected:
		return Exited
	}
	return Down
}
