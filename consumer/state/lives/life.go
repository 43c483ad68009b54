package lives

import (
	"slices"
	"strings"
	"time"

	"supernats/schema"
)

// Message is what the stream says of a message, and by which supervisord it was sent.
type Message struct {
	// Stored is when the stream stored it, and Sent the host's clock when its bridge sent
	// it, zero where that is not known.
	Stored, Sent time.Time
	// Happened is the message's own time, by a clock that is right.
	Happened time.Time
	// Boot is that of the supervisord. Server and Pool may be empty.
	Boot, Server, Pool string
}

// isConcurrent reports whether two lives go on side by side.
func isConcurrent(a, b *schema.HostLife) bool {
	if b.Begun.Before(a.Begun.Time) {
		a, b = b, a
	}
	return a.Happened.After(b.Begun.Add(overlap))
}

// isSame reports whether two lives are of one supervisord, as far as their bridges say.
func isSame(a, b *schema.HostLife) bool {
	if areIdentified(a, b) {
		return haveCommon(a.Instances, b.Instances)
	}
	return a.Server == b.Server && (len(a.Pools) == 0 || len(b.Pools) == 0 || haveCommon(a.Pools, b.Pools))
}

// areIdentified reports whether the bridges of both say which supervisord is theirs.
func areIdentified(a, b *schema.HostLife) bool { return len(a.Instances) > 0 && len(b.Instances) > 0 }

func haveCommon(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// isSuccessor reports whether a life looks like what came after another one.
func isSuccessor(next, l *schema.HostLife) bool {
	return next != l && next.Ended == nil && next.Begun.After(l.Begun.Time) &&
		!isConcurrent(l, next) && (l.Stopping != nil || isSame(l, next))
}

// Live notes a message of a boot, which may be a new one. It is to be called once for each
// message of the host that is decoded.
func (h *Host) Live(m Message) *schema.HostLife {
	stored := instant(m.Stored)
	at := instant(m.Happened)
	if at.After(stored.Time) {
		at = stored // a clock that is a little ahead
	}
	l := h.Record.Life(m.Boot)
	if l == nil {
		l = h.begin(schema.HostLife{
			Boot: strings.Clone(m.Boot), Server: strings.Clone(m.Server), Begun: at, FirstSeen: stored,
		})
	}

	if m.Server != "" && l.Server != m.Server {
		l.Server = strings.Clone(m.Server)
	}
	if m.Pool != "" && len(l.Pools) < maxPools && !slices.Contains(l.Pools, m.Pool) {
		l.Pools = append(l.Pools, strings.Clone(m.Pool))
	}
	if at.Before(l.Begun.Time) {
		l.Begun = at
	}
	if at.After(l.Happened.Time) {
		l.Happened = at
	}
	noteSeen(l, stored)
	if l.Ended != nil && h.revives(l, at.Time) {
		l.Ended = nil
	}

	h.sample(l, m.Stored, m.Sent)
	h.settle(stored.Time)
	return h.Record.Life(m.Boot)
}

// Seen notes a message that was not decoded. Alone says when that is enough.
func (h *Host) Seen(stored, sent time.Time) {
	if l := h.onlyLife(); l != nil {
		noteSeen(l, instant(stored))
		h.sample(l, stored, sent)
	}
}

// noteSeen notes that a life was seen.
func noteSeen(l *schema.HostLife, stored schema.Time) {
	if l.Steady.IsZero() || stored.Sub(l.LastSeen.Time) > schema.SilentAfter {
		l.Steady = stored
	}
	l.LastSeen = stored
}

// isSilent reports whether one of several lives says nothing while another one does.
func (h *Host) isSilent(l *schema.HostLife, stored time.Time, after time.Duration) bool {
	return stored.Sub(h.Record.Heard(l)) > after
}

// begin adds a life, in the order in which they began.
func (h *Host) begin(l schema.HostLife) *schema.HostLife {
	if h.Record.SupervisorState != "" {
		l.SupervisorState = schema.SupervisorRunning // one that begins runs, whatever the one before said at its end
	}
	if l.Server == h.Record.Server {
		l.SupervisorVersion = h.Record.SupervisorVersion
	}
	if len(h.Record.Lives) >= MaxLives {
		h.dropLife()
	}

	i := len(h.Record.Lives)
	for i > 0 && h.Record.Lives[i-1].Begun.After(l.Begun.Time) {
		i--
	}
	h.Record.Lives = slices.Insert(h.Record.Lives, i, l)
	return &h.Record.Lives[i]
}

// dropLife makes room: it drops one that has ended, or else the one that was not seen for
// longest.
func (h *Host) dropLife() {
	worst := 0
	for i := range h.Record.Lives {
		a, b := &h.Record.Lives[i], &h.Record.Lives[worst]
		switch {
		case a.Ended != nil && b.Ended == nil:
			worst = i
		case a.Ended == nil && b.Ended != nil:
		case a.LastSeen.Before(b.LastSeen.Time):
			worst = i
		}
	}
	h.forget(h.Record.Lives[worst].Boot)
	h.Record.Lives = slices.Delete(h.Record.Lives, worst, worst+1)
}

// revives reports whether a message of a life that was held to be over shows that it is
// not.
func (h *Host) revives(l *schema.HostLife, at time.Time) bool {
	for i := range h.Record.Lives {
		next := &h.Record.Lives[i]
		isNext := next != l && next.Ended == nil && next.Begun.After(l.Begun.Time)
		if isNext && !at.After(next.Begun.Add(overlap)) {
			return false
		}
	}
	return true
}

// settle finds out which lives are over, and which one the host's own fields show.
func (h *Host) settle(stored time.Time) {
	if all := h.Record.Lives; len(all) > 1 {
		for i := range all {
			if l := &all[i]; l.Ended == nil && h.isOver(l, stored) {
				l.Ended = &schema.Time{Time: stored}
				h.forget(l.Boot)
			}
		}
		h.Record.Lives = slices.DeleteFunc(all, func(l schema.HostLife) bool {
			return l.Ended != nil && stored.Sub(l.Ended.Time) > forgetAfter && stored.Sub(l.LastSeen.Time) > forgetAfter
		})
	}
	h.mirror(stored)
}

func (h *Host) isOver(l *schema.HostLife, stored time.Time) bool {
	for i := range h.Record.Lives {
		next := &h.Record.Lives[i]
		if next != l && next.Ended == nil && h.isSilent(l, stored, forgetAfter) {
			return true
		}
		if !isSuccessor(next, l) {
			continue
		}
		if l.Stopping != nil || areIdentified(l, next) || stored.Sub(next.FirstSeen.Time) >= h.grace(l) {
			return true
		}
	}
	return false
}

// grace is how long a life may be quiet, by the ticks that its bridges get.
func (h *Host) grace(l *schema.HostLife) time.Duration {
	for i := range h.Record.Bridges {
		b := &h.Record.Bridges[i]
		if b.Boot == l.Boot && b.Section != nil && listensTo(b.Section.Events, schema.Tick5) {
			return graceTick5
		}
	}
	return graceTick60
}

func listensTo(events []string, name string) bool {
	return slices.ContainsFunc(events, func(e string) bool { return schema.Is(name, strings.ToUpper(e)) })
}

// forget drops what bridges of a boot have said of themselves.
func (h *Host) forget(boot string) {
	isOf := func(b schema.HostBridge) bool { return b.Boot == boot }
	h.Record.Bridges = slices.DeleteFunc(h.Record.Bridges, isOf)
	h.Troubles().end(func(t *schema.HostTrouble) bool { return t.Boot == boot })
}

// mirror shows one life in the host's own fields: the oldest one that lives.
func (h *Host) mirror(stored time.Time) {
	rec := &h.Record
	for i := range rec.Lives {
		rec.Lives[i].Succeeded = h.isSucceeded(&rec.Lives[i])
	}
	l := h.mainLife(stored)
	if l == nil {
		return
	}

	// Mostly nothing has changed, and to compare is cheaper than to write.
	if rec.Boot != l.Boot || rec.Server != l.Server {
		rec.Boot = l.Boot
		rec.Server = l.Server
	}
	if rec.SupervisorVersion != l.SupervisorVersion || rec.SupervisorState != l.SupervisorState {
		rec.SupervisorVersion = l.SupervisorVersion
		rec.SupervisorState = l.SupervisorState
	}
	rec.Serial = l.Serial
	rec.Stopping = l.Stopping
	for i := range rec.Lives {
		if o := &rec.Lives[i]; o.Ended == nil && o.Stopping == nil && !o.Succeeded {
			rec.Stopping = nil
		}
	}
}

// mainLife returns the life that the host's own fields show, nil if there is none.
func (h *Host) mainLife(stored time.Time) (found *schema.HostLife) {
	for i := range h.Record.Lives {
		l := &h.Record.Lives[i]
		isUp := l.Stopping == nil && l.SupervisorState != schema.SupervisorGone
		switch {
		case l.Ended != nil || l.Succeeded:
		case isUp && !h.isSilent(l, stored, schema.SilentAfter):
			return l
		case found == nil:
			found = l
		}
	}

	if found == nil && len(h.Record.Lives) > 0 {
		found = &h.Record.Lives[len(h.Record.Lives)-1]
	}
	return found
}

func (h *Host) isSucceeded(l *schema.HostLife) bool {
	for i := range h.Record.Lives {
		if isSuccessor(&h.Record.Lives[i], l) {
			return true
		}
	}
	return false
}

// IsAlone reports whether a boot is all that there is of the host: its messages need not be
// decoded to know whose they are.
func (h *Host) IsAlone(boot string) bool {
	l := h.onlyLife()
	return l != nil && l.Boot == boot
}

// onlyLife returns the only life of a host that has not ended, nil if there are others or
// none.
func (h *Host) onlyLife() (only *schema.HostLife) {
	for i := range h.Record.Lives {
		if h.Record.Lives[i].Ended != nil {
			continue
		}
		if only != nil {
			return nil
		}
		only = &h.Record.Lives[i]
	}
	return only
}
