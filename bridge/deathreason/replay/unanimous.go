package replay

import (
	"supernats/bridge/deathreason/ownlog"
	"supernats/schema"
)

// class is a kind of line of one name, as an event asks for it. That of spawn errors has no
// name.
type class struct {
	kind     ownlog.Kind
	name     string
	expected bool
}

// class returns which line an event has, if it is the end of a life.
func (s *Step) class() (of class, ok bool) {
	switch s.Event {
	case schema.ProcessStateBackoff:
		return class{ownlog.Exited, s.Name.Process, false}, true
	case schema.ProcessStateExited:
		return class{ownlog.Exited, s.Name.Process, s.Expected}, true
	case schema.ProcessStateStopped:
		return class{ownlog.Stopped, s.Name.Process, false}, s.From == schema.StateStopping
	}
	return class{}, false
}

// candidates are the lines that may be those of events where children may have written
// some. What may be the one gets fewer with each event: of two events of a kind the second
// one's line comes after the first that may be the first one's.
type candidates struct {
	// floors are the numbers of the lines before which the next death of a class cannot
	// stand.
	floors map[class]int
	// waiting is how many events of a class are known, from the current one on.
	waiting map[class]int
}

// Expect takes all events that will be taken.
func (c *candidates) expect(steps []Step) {
	clear(c.waiting)
	for i := range steps {
		if of, ok := steps[i].class(); ok {
			c.waiting[of]++
		}
	}
}

// unanimous returns the reason that every line gives which may be that of an event, nil if
// they differ or the right one may not be among them.
//
// The true line is among them if the log was read from before the death to after its event.
// So every line that may be the one has to say the same; which of them it is does then not
// matter. Where there are just as many lines as events, none is forged, and they belong
// together in order.
func (r *Replay) unanimous(s *Step, p *proc) *schema.Exit {
	c := &r.candidates
	of, _ := s.class()
	waiting := c.waiting[of]
	c.waiting[of]--
	if r.log.GoPort {
		of, waiting = class{ownlog.Exited, s.Name.Process, false}, 0 // a stop looks as any other exit
	}

	known := r.log.readBefore(r.from) // nothing before can be of this event
	floor := max(c.floors[of], known)
	if !r.log.Complete || !r.log.isWhole(floor, r.from) {
		return nil
	}

	exits := r.log.search(floor, func(l *ownlog.Line) bool {
		return l.Name == s.Name.Process &&
			(l.Kind == of.kind && l.Expected == of.expected || l.GoPort && l.Kind == ownlog.SpawnErr)
	})
	errs := class{kind: ownlog.SpawnErr}
	spawnErrs := r.log.search(max(c.floors[errs], known), func(l *ownlog.Line) bool {
		return l.Kind == ownlog.SpawnErr && !l.GoPort
	})
	if exits.n > 0 {
		c.floors[of] = exits.first + 1
	}

	certain := exits.n > 0 && exits.n == waiting && spawnErrs.n == 0
	if certain || s.Event != schema.ProcessStateBackoff || !p.maybeSpawnErr(s.Serial) {
		return exits.reason(r.log, certain)
	}

	// It may as well be a spawn error, which has no name.
	switch {
	case !r.log.spawns && !r.log.GoPort:
		return nil // and is not logged, as it seems
	case spawnErrs.n == 0:
		return exits.reason(r.log, false)
	case exits.n > 0:
		return nil
	}
	c.floors[errs] = spawnErrs.first + 1
	return spawnErrs.reason(r.log, false)
}

// lines are the lines of a sort.
type lines struct {
	first int // the number of the first one
	n     int
	agree bool // they give the same reason
}

func (l lines) reason(h *History, certain bool) *schema.Exit {
	if l.n == 0 || !l.agree && !certain {
		return nil
	}
	return h.line(l.first).Exit()
}

// search returns the lines of a sort from a number on.
func (h *History) search(floor int, is func(*ownlog.Line) bool) lines {
	found := lines{agree: true}
	for n := max(floor, h.first); n < h.End(); n++ {
		l := h.line(n)
		if !is(l) {
			continue
		}
		if found.n++; found.n == 1 {
			found.first = n
		}
		first := h.line(found.first)
		found.agree = found.agree && l.Kind == first.Kind && sameReason(l, first)
	}
	return found
}
