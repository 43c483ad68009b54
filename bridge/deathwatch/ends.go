package deathwatch

import (
	"slices"
	"time"
)

const (
	// maxKept bounds the ends that wait for their event, and keepFor for how long: it may
	// stand in supervisord's buffer after thousands of others. One of 65,536 events, as
	// the bridge's section has it, holds fewer deaths: each has its start there too.
	maxKept = 32 << 10
	keepFor = time.Hour
)

// ends are processes that have ended and wait for their event. Watch.mu guards them.
type ends struct {
	byPID   map[int][]*process // oldest first
	order   []*process         // the same in their order
	dropped uint64             // those that were never asked for
}

// keep adds the end of a process.
func (e *ends) keep(p *process) {
	e.byPID[p.pid] = append(e.byPID[p.pid], p)
	e.order = append(e.order, p)
	if len(e.order) > maxKept {
		e.remove(e.order[0])
		e.dropped++
	}
}

// remove forgets the end of a process.
func (e *ends) remove(p *process) {
	i := slices.Index(e.order, p)
	if i < 0 {
		return
	}
	e.order = slices.Delete(e.order, i, i+1)

	list := e.byPID[p.pid]
	if i = slices.Index(list, p); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if e.byPID[p.pid] = list; len(list) == 0 {
		delete(e.byPID, p.pid)
	}
}

// removeThrough forgets an end that is reported, and those of its name before it: their
// events were lost.
func (e *ends) removeThrough(p *process, name Name) {
	for i := 0; i < len(e.order) && e.order[i] != p; {
		if e.order[i].name == name {
			e.remove(e.order[i])
		} else {
			i++
		}
	}
	e.remove(p)
}

// dropOld drops the ends that no event has asked for in keepFor.
func (e *ends) dropOld() {
	for len(e.order) > 0 && time.Since(e.order[0].died) > keepFor {
		e.remove(e.order[0])
		e.dropped++
	}
}

// loosen is for when events or processes were missed.
func (e *ends) loosen() {
	for _, p := range e.order {
		p.loose = true
	}
}

// find returns the end of a process by its number, nil where that is ambiguous: of ends
// with one number the oldest that is the program's own, or one of those without a name, if
// they are all the same. Ambiguous ones are forgotten.
func (e *ends) find(pid int, name Name) *process {
	var fitting []*process
	for _, p := range e.byPID[pid] {
		switch {
		case p.name == name && (p.running || !p.loose):
			return p
		case p.name == name, p.name == Name{}:
			fitting = append(fitting, p)
		}
	}
	if len(fitting) == 0 {
		return nil
	}

	for _, p := range fitting {
		if p.status != fitting[0].status || p.known != fitting[0].known {
			for _, p := range fitting {
				e.remove(p)
			}
			return nil
		}
	}
	return fitting[0]
}

// nameless returns the ends without a name whose status is known and certain to be asked
// for by an event without a process id.
func (e *ends) nameless() (list []*process) {
	for _, p := range e.order {
		if !p.loose && p.name == (Name{}) && p.known {
			list = append(list, p)
		}
	}
	return list
}

// pendingSince reports whether there is an end after a time whose event is waited for.
func (e *ends) pendingSince(at time.Time) bool {
	for _, p := range slices.Backward(e.order) {
		if p.died.Before(at) {
			return false
		}
		if p.pending {
			return true
		}
	}
	return false
}
