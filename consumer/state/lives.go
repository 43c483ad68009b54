package state

import (
	"slices"
	"strings"
	"time"

	"supernats/schema"
)

// A host may have several supervisords at once: one a user, a nested one, containers
// with the host's network, or two machines with one name. Each life of one (a boot)
// rules over its own processes:
//
//	         first message
//	              |
//	              v     its messages come, by their own times, for more than
//	+---------> alive   overlap after another one began: the two live side by side
//	|             |
//	| heard       | it said that it stops, and another one began after that, or
//	| of after    | one of the same instance began and it is not heard of since, or
//	| all         | (bridges that tell no instance) it has been quiet for grace, or
//	|             v it has been silent for forgetAfter beside one that lives
//	+---------- ended   dropped after forgetAfter
//
// The record of a process belongs to the boot of the last message applied to it.
// Who may change it is decided by claimOf.
const (
	// maxLives, maxPools and maxBridges bound the record of a host.
	maxLives   = 16
	maxPools   = 8
	maxBridges = 16
	// overlap is by how much two lives must overlap to be two: what a clock is set
	// back by between a stop and a start is less.
	overlap = 5 * time.Second
	// graceTick5 and graceTick60 are how long a supervisord may be quiet beside what
	// looks like its next life: some of its ticks, and their way.
	graceTick5  = 20 * time.Second
	graceTick60 = 80 * time.Second
	// SilentAfter is how long nothing may come from a host, or from one of several
	// supervisords of it, until what was known of its processes is known no more.
	SilentAfter = schema.SilentAfter
	// forgetAfter is how long a life that has ended is kept, and how long one of
	// several may be silent until its processes are those of nobody.
	forgetAfter = 24 * time.Hour
)

// instant drops what a record cannot hold.
func instant(t time.Time) schema.Time { return schema.Time{Time: t.UTC().Truncate(time.Microsecond)} }

func (h *host) life(boot string) *schema.HostLife { return h.rec.Life(boot) }

// concurrent reports whether two lives go on side by side.
func concurrent(a, b *schema.HostLife) bool {
	if b.Begun.Before(a.Begun.Time) {
		a, b = b, a
	}
	return a.Happened.After(b.Begun.Add(overlap))
}

// same reports whether two lives are of one supervisord, as far as their bridges
// tell.
func same(a, b *schema.HostLife) bool {
	if identified(a, b) {
		return share(a.Instances, b.Instances)
	}
	return a.Server == b.Server && (len(a.Pools) == 0 || len(b.Pools) == 0 || share(a.Pools, b.Pools))
}

// identified reports whether the bridges of both say which supervisord is theirs.
func identified(a, b *schema.HostLife) bool { return len(a.Instances) > 0 && len(b.Instances) > 0 }

func share(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// succeeds reports whether a life looks like what came after another one.
func succeeds(next, l *schema.HostLife) bool {
	return next != l && next.Ended == nil && next.Begun.After(l.Begun.Time) && !concurrent(l, next) && (l.Stopping != nil || same(l, next))
}

// live notes a message of a boot, which may be a new one. It is called once for each
// message of the host; happened is by a clock that is right.
func (h *host) live(m Meta, boot, server, pool string, happened time.Time) *schema.HostLife {
	stored, at := instant(m.Stored), instant(happened)
	if at.After(stored.Time) {
		at = stored // a clock that is a little ahead
	}
	l := h.life(boot)
	if l == nil {
		l = h.begin(schema.HostLife{Boot: strings.Clone(boot), Server: strings.Clone(server), Begun: at, FirstSeen: stored})
	}

	if server != "" && l.Server != server {
		l.Server = strings.Clone(server)
	}
	if pool != "" && len(l.Pools) < maxPools && !slices.Contains(l.Pools, pool) {
		l.Pools = append(l.Pools, strings.Clone(pool))
	}
	if at.Before(l.Begun.Time) {
		l.Begun = at
	}
	if at.After(l.Happened.Time) {
		l.Happened = at
	}
	h.saw(l, stored)
	if l.Ended != nil && h.revives(l, at.Time) {
		l.Ended = nil
	}

	h.sample(l, m)
	h.settle(stored.Time)
	return h.life(boot)
}

// saw notes that a life was seen.
func (h *host) saw(l *schema.HostLife, stored schema.Time) {
	if l.Steady.IsZero() || stored.Sub(l.LastSeen.Time) > SilentAfter {
		l.Steady = stored
	}
	l.LastSeen = stored
}

// silent reports whether one of several lives says nothing while another one does.
func (h *host) silent(l *schema.HostLife, stored time.Time, after time.Duration) bool {
	return stored.Sub(h.rec.Heard(l)) > after
}

// begin adds a life, in the order in which they began.
func (h *host) begin(l schema.HostLife) *schema.HostLife {
	if h.rec.SupervisorState != "" {
		l.SupervisorState = supervisorRunning // one that begins runs, whatever the one before said at its end
	}
	if l.Server == h.rec.Server {
		l.SupervisorVersion = h.rec.SupervisorVersion
	}
	if len(h.rec.Lives) >= maxLives {
		h.dropLife()
	}
	i := len(h.rec.Lives)
	for i > 0 && h.rec.Lives[i-1].Begun.After(l.Begun.Time) {
		i--
	}
	h.rec.Lives = slices.Insert(h.rec.Lives, i, l)
	return &h.rec.Lives[i]
}

// dropLife makes room: for one that has ended, or else was not seen for longest.
func (h *host) dropLife() {
	worst := 0
	for i := range h.rec.Lives {
		a, b := &h.rec.Lives[i], &h.rec.Lives[worst]
		if (a.Ended != nil) != (b.Ended != nil) {
			if a.Ended != nil {
				worst = i
			}
		} else if a.LastSeen.Before(b.LastSeen.Time) {
			worst = i
		}
	}
	h.forget(h.rec.Lives[worst].Boot)
	h.rec.Lives = slices.Delete(h.rec.Lives, worst, worst+1)
}

// revives reports whether a message of a life that was held to be over shows that
// it is not.
func (h *host) revives(l *schema.HostLife, at time.Time) bool {
	for i := range h.rec.Lives {
		next := &h.rec.Lives[i]
		if next != l && next.Ended == nil && next.Begun.After(l.Begun.Time) && !at.After(next.Begun.Add(overlap)) {
			return false
		}
	}
	return true
}

// settle finds out which lives are over, and which one the host's own fields show.
func (h *host) settle(stored time.Time) {
	lives := h.rec.Lives
	if len(lives) > 1 {
		for i := range lives {
			if l := &lives[i]; l.Ended == nil && h.over(l, stored) {
				l.Ended = &schema.Time{Time: stored}
				h.forget(l.Boot)
			}
		}
		h.rec.Lives = slices.DeleteFunc(lives, func(l schema.HostLife) bool {
			return l.Ended != nil && stored.Sub(l.Ended.Time) > forgetAfter && stored.Sub(l.LastSeen.Time) > forgetAfter
		})
	}
	h.mirror(stored)
}

func (h *host) over(l *schema.HostLife, stored time.Time) bool {
	for i := range h.rec.Lives {
		next := &h.rec.Lives[i]
		if next != l && next.Ended == nil && h.silent(l, stored, forgetAfter) {
			return true
		}
		if !succeeds(next, l) {
			continue
		}
		if l.Stopping != nil || identified(l, next) || stored.Sub(next.FirstSeen.Time) >= h.grace(l) {
			return true
		}
	}
	return false
}

// grace is how long a life may be quiet, by the ticks that its bridges get.
func (h *host) grace(l *schema.HostLife) time.Duration {
	for i := range h.rec.Bridges {
		if b := &h.rec.Bridges[i]; b.Boot == l.Boot && b.Section != nil && listensTo(b.Section.Events, schema.Tick5) {
			return graceTick5
		}
	}
	return graceTick60
}

func listensTo(events []string, name string) bool {
	return slices.ContainsFunc(events, func(e string) bool { return schema.Is(name, strings.ToUpper(e)) })
}

// forget drops what bridges of a boot have said of themselves.
func (h *host) forget(boot string) {
	h.rec.Bridges = slices.DeleteFunc(h.rec.Bridges, func(b schema.HostBridge) bool { return b.Boot == boot })
	h.endTroubles(func(t *schema.HostTrouble) bool { return t.Boot == boot })
}

// mirror shows one life in the host's own fields: the oldest one that lives.
func (h *host) mirror(stored time.Time) {
	for i := range h.rec.Lives {
		h.rec.Lives[i].Succeeded = h.isSucceeded(&h.rec.Lives[i])
	}
	l := h.main(stored)
	if l == nil {
		return
	}
	if h.rec.Boot != l.Boot || h.rec.Server != l.Server {
		h.rec.Boot, h.rec.Server = l.Boot, l.Server
	}
	if h.rec.SupervisorVersion != l.SupervisorVersion || h.rec.SupervisorState != l.SupervisorState {
		h.rec.SupervisorVersion, h.rec.SupervisorState = l.SupervisorVersion, l.SupervisorState
	}
	h.rec.Serial, h.rec.Stopping = l.Serial, l.Stopping
	for i := range h.rec.Lives {
		if o := &h.rec.Lives[i]; o.Ended == nil && o.Stopping == nil && !o.Succeeded {
			h.rec.Stopping = nil
		}
	}
}

func (h *host) main(stored time.Time) (found *schema.HostLife) {
	for i := range h.rec.Lives {
		l := &h.rec.Lives[i]
		switch {
		case l.Ended != nil || l.Succeeded:
		case l.Stopping == nil && l.SupervisorState != schema.SupervisorGone && !h.silent(l, stored, SilentAfter):
			return l
		case found == nil:
			found = l
		}
	}
	if found == nil && len(h.rec.Lives) > 0 {
		found = &h.rec.Lives[len(h.rec.Lives)-1]
	}
	return found
}

func (h *host) isSucceeded(l *schema.HostLife) bool {
	for i := range h.rec.Lives {
		if succeeds(&h.rec.Lives[i], l) {
			return true
		}
	}
	return false
}

// claim is what a message of one boot may do to the record of a process that
// belongs to another boot.
type claim int

const (
	// claimNothing: the message is of a life before that of the record, or of another
	// supervisord. Events are counted.
	claimNothing claim = iota
	// claimConflict: both live, and have the same process. Events are counted.
	claimConflict
	// claimEvents: nobody knows yet whether the other one lives. What happens is
	// applied, what a table shows is not.
	claimEvents
	// claimRows: the other one is silent. A row of a table is applied; that there is
	// none says nothing.
	claimRows
	// claimAll: the other one is over.
	claimAll
)

// claimOf decides what a boot may do to a record.
func (h *host) claimOf(boot string, r *schema.ProcessRecord, stored time.Time) claim {
	if r.Boot == boot || r.Boot == "" {
		return claimAll
	}
	owner, l := h.life(r.Boot), h.life(boot)
	switch {
	case owner == nil || l == nil:
		return claimAll
	case l.Ended != nil && (owner.Ended == nil || l.Begun.Before(owner.Begun.Time)):
		return claimNothing
	case owner.Ended != nil || r.Gone != nil:
		return claimAll
	case h.silent(owner, stored, SilentAfter):
		return claimRows
	case concurrent(owner, l):
		return claimConflict
	case l.Begun.Before(owner.Begun.Time):
		return claimNothing
	case identified(owner, l) && !same(owner, l):
		return claimNothing // two supervisords, of which one has just begun
	}
	return claimEvents
}

// Alone reports whether a boot is all there is of a host that is known by its token
// in subjects: its messages need not be decoded to know whose they are.
func (f *Fleet) Alone(token, boot string) bool {
	h := f.byToken[token]
	return h != nil && h.alone() != nil && h.alone().Boot == boot
}

// alone returns the only life of a host that has not ended, nil if there are others
// or none.
func (h *host) alone() (only *schema.HostLife) {
	for i := range h.rec.Lives {
		if h.rec.Lives[i].Ended != nil {
			continue
		}
		if only != nil {
			return nil
		}
		only = &h.rec.Lives[i]
	}
	return only
}
