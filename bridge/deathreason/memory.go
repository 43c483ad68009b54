package deathreason

import "supernats/schema"

// maxMemory is of how many deaths the reasons are kept, for events that come a second time.
const maxMemory = 1 << 14

// memory holds the reasons that were found, by the serials of their events.
type memory struct {
	reasons map[uint64]*schema.Exit
	serials []uint64 // the keys of reasons, oldest first
}

func newMemory() memory { return memory{reasons: map[uint64]*schema.Exit{}} }

// explain gives an event its reason, and keeps it.
func (m *memory) explain(e *schema.Event, exit *schema.Exit) {
	setExit(e, exit)
	if len(m.serials) >= maxMemory {
		delete(m.reasons, m.serials[0])
		m.serials = m.serials[1:]
	}
	m.reasons[e.Serial] = exit
	m.serials = append(m.serials, e.Serial)
}

// has reports whether the event with a serial was given a reason.
func (m *memory) has(serial uint64) bool { return m.reasons[serial] != nil }

// repeat gives an event the reason that it had before, if it had one.
func (m *memory) repeat(e *schema.Event) {
	if exit := m.reasons[e.Serial]; exit != nil && isDeath(e) {
		setExit(e, exit)
	}
}

// setExit sets a copy unless the event has a reason: the event is the caller's.
func setExit(e *schema.Event, exit *schema.Exit) {
	if e.Exit != nil {
		return
	}
	own := *exit
	if exit.Code != nil {
		code := *exit.Code
		own.Code = &code
	}
	e.Exit = &own
}

// isDeath reports whether an event gets a reason.
func isDeath(e *schema.Event) bool {
	return e.UnexpectedExit() || e.Event == schema.ProcessStateBackoff || e.Event == schema.ProcessStateFatal
}
