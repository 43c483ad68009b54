package deathreason

import (
	"time"

	"supernats/bridge/deathreason/replay"
	"supernats/schema"
)

// maxSteps is how many events wait to be followed when nothing has died.
const maxSteps = 1 << 14

// sequence is what is known of the order of the events: which of them wait to be followed,
// and where some are missing. Reasons.turn guards it.
type sequence struct {
	memory *memory

	// steps are the events that were not followed yet: that is done when something has
	// died, so that supervisord is left in peace otherwise. oldest is when the first of
	// them was read.
	steps  []replay.Step
	oldest time.Time

	seen       bool   // any event at all
	serial     uint64 // the highest one
	pool       string // of the last event
	poolSerial uint64 // of the last event
	tick       time.Time
	// lost means that events are missing before the next one.
	lost bool
}

// note puts an event among those to be followed, or gives it the reason that it had before.
// It reports whether the event is new.
func (s *sequence) note(received Received, goPort bool) (isNew bool) {
	e := received.Event
	// Events that the listener's section does not name, and that another listener
	// rejected, come late and count too (process.py handle_rejected).
	next := s.seen && e.Pool == s.pool && e.PoolSerial == s.poolSerial+1
	if s.seen && e.Serial <= s.serial && !(goPort && s.isSwapped(e)) {
		if next {
			s.poolSerial++
		}
		s.memory.repeat(e)
		return false
	}

	if !next {
		s.lost = true
	}
	s.seen, s.pool = true, e.Pool
	s.serial, s.poolSerial = max(s.serial, e.Serial), e.PoolSerial
	if goPort {
		s.lost = false // its serials have gaps and swaps of their own
	}

	switch {
	case schema.Is(e.Event, "TICK"):
		if e.When != nil {
			s.tick = time.Unix(*e.When, 0)
		}
	case e.Event == schema.SupervisorStateChangeRunning, schema.Is(e.Event, "PROCESS_STATE") && e.Process != "":
		s.add(received)
	}
	return true
}

// isSwapped reports whether an event with a lower serial than one before is new all the
// same: the Go port may swap neighbours.
func (s *sequence) isSwapped(e *schema.Event) bool {
	const neighbours = 4
	return !s.memory.has(e.Serial) && e.Serial+neighbours > s.serial && isDeath(e)
}

// add appends an event to those that wait. If there are too many they are dropped, as if
// they had never come.
func (s *sequence) add(received Received) {
	e := received.Event
	next := replay.Step{
		Event: e.Event, Name: schema.ProcessName{Group: e.Group, Process: e.Process}, PID: e.PID, Serial: e.Serial,
		Expected: e.Expected != nil && *e.Expected, From: e.FromState,
		At: received.At, Tick: s.tick, Lost: s.lost,
	}
	if isDeath(e) {
		next.Death = e
	}

	if len(s.steps) >= maxSteps {
		s.steps, next.Lost = s.steps[:0], true
	}
	if len(s.steps) == 0 {
		s.oldest = received.At
	}
	s.lost = false
	s.steps = append(s.steps, next)
}

// oldestOr returns when the oldest event that waits was read, now if none waits.
func (s *sequence) oldestOr(now time.Time) time.Time {
	if len(s.steps) == 0 {
		return now
	}
	return s.oldest
}

// clear forgets the events that wait.
func (s *sequence) clear() {
	clear(s.steps)
	s.steps = s.steps[:0]
}
