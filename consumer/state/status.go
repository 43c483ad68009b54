package state

import (
	"time"

	"supernats/schema"
)

// What people and rules want to know of a process.
const (
	// Running: RUNNING.
	Running = "running"
	// Down: it should run and does not. STARTING (not up yet), BACKOFF, FATAL,
	// UNKNOWN, and EXITED unless it was expected.
	Down = "down"
	// Stopped: somebody wants it so. STOPPED and STOPPING, by an operator or a
	// shutdown of supervisord, or never started with autostart=false.
	Stopped = "stopped"
	// Exited: ran to its end, and its program's exitcodes say that this is right.
	Exited = "exited"
	// Unknown: its host has been silent.
	Unknown = "unknown"
	// Gone: its supervisord does not have it any more.
	Gone = "gone"
)

// Status says how a process is, and since when. h is the record of its host, nil
// if there is none; a host is silent that was not seen for longer than
// silentAfter, never if that is 0, and so may be one of its several supervisords
// while another is not. Of one that said that it shuts down before it went silent
// the processes are stopped: supervisord ends after them.
func Status(s *schema.State, h *schema.Host, now time.Time, silentAfter time.Duration) (status string, since time.Time) {
	if s.Gone != nil {
		return Gone, s.Gone.Time
	}
	status, since = statusOf(s), s.Since.Time
	if h == nil || silentAfter <= 0 {
		return status, since
	}
	seen, stopping := h.LastSeen.Time, h.SupervisorState == supervisorStopping
	if l := lifeOf(h, s.Boot); l != nil {
		if h.LastSeen.Sub(h.Heard(l)) > silentAfter {
			seen = l.LastSeen.Time
		}
		stopping = l.SupervisorState == supervisorStopping
	}
	if now.Sub(seen) <= silentAfter {
		return status, since
	}
	if stopping {
		if status == Running || status == Down {
			return Stopped, seen
		}
		return status, since
	}
	return Unknown, seen
}

// statusOf is the status that the record alone tells.
func statusOf(s *schema.State) string {
	switch {
	case s.Gone != nil, s.State == "":
		return Gone
	case s.State == running:
		return Running
	case s.State == stopped, s.State == stopping:
		return Stopped
	case s.State == exited && s.Expected != nil && *s.Expected:
		return Exited
	}
	return Down
}
