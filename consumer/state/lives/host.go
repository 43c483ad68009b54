// Package lives is the record of a host: which supervisords it has or had, what their
// bridges say of themselves, what is wrong, and how far its clock is off.
//
// A host may have several supervisords at once: one a user, a nested one, containers with
// the host's network, or two machines with one name. Each life of one (a boot) owns its
// processes:
//
//	         first message
//	              |
//	              v     its messages come, by their own times, for more than
//	+---------> alive   overlap after another one began: the two live side by side
//	|             |
//	| heard       | it said that it stops, and another one began after that, or
//	| of after    | one of the same instance began and it is not heard of since, or
//	| all         | (bridges that report no instance) it has been quiet for grace, or
//	|             v it has been silent for forgetAfter beside one that lives
//	+---------- ended   dropped after forgetAfter
//
// The record of a process belongs to the boot of the last message applied to it. Who may
// change it is decided by ClaimOf.
//
// Everything that a host reports of itself is cleaned, cut and counted before it is kept: a
// record has at most 16 lives, 16 bridges and 32 troubles, and 64 KB. The newest of them
// stay, and of troubles those that were found here.
package lives

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"supernats/schema"
)

const (
	// MaxLives, maxPools and maxBridges bound the record of a host.
	MaxLives   = 16
	maxPools   = 8
	maxBridges = 16
	// overlap is by how much two lives must overlap to be two: what a clock is set back by
	// between a stop and a start is less.
	overlap = 5 * time.Second
	// graceTick5 and graceTick60 are how long a supervisord may be quiet beside what looks
	// like its next life: some of its ticks, and their way.
	graceTick5  = 20 * time.Second
	graceTick60 = 80 * time.Second
	// forgetAfter is how long a life that has ended is kept, and how long one of several may
	// be silent until its processes are those of nobody.
	forgetAfter = 24 * time.Hour
)

// Host is a host and its record. It is not safe for concurrent use.
type Host struct {
	// Record is what is to be stored. The numbers of processes in it, and when it was seen,
	// are for the caller to keep.
	Record schema.HostRecord
}

// instant is a time as a record has it.
func instant(t time.Time) schema.Time { return schema.Time{Time: schema.Instant(t)} }

// Boot returns the host's own string for a boot, which is no part of a payload.
func (h *Host) Boot(boot string) string {
	if l := h.Record.Life(boot); l != nil {
		return l.Boot
	}
	return strings.Clone(boot)
}

// Troubles are those in the record.
func (h *Host) Troubles() Troubles { return Troubles{&h.Record} }

// Lose counts what a pool has lost. at is by a clock that is right.
func (h *Host) Lose(l *schema.Loss, at schema.Time) {
	h.Record.Lost = Sum(h.Record.Lost, l.Count)
	h.countLoss(l)
	h.Record.LastLoss = new(at)
	for i := range h.Record.Bridges {
		b := &h.Record.Bridges[i]
		if b.Boot == l.Boot && b.Pool == l.Pool {
			b.Lost = Sum(b.Lost, l.Count)
			b.LastLoss = new(at)
			b.LossCause = clean(l.Cause, maxCause)
		}
	}
}

// countLoss counts a loss by its cause, of which a host can make up any number.
func (h *Host) countLoss(l *schema.Loss) {
	cause := schema.LossOther
	if i := slices.Index(schema.LossCauses(), l.Cause); i >= 0 {
		cause = schema.LossCauses()[i]
	}
	by := maps.Clone(h.Record.LostBy)
	if by == nil {
		by = map[string]uint64{}
	}
	by[cause] = Sum(by[cause], l.Count)
	h.Record.LostBy = by
}

// Sum adds what hosts report: it does not begin at 0 again.
func Sum(a, b uint64) uint64 {
	if a+b < a {
		return math.MaxUint64
	}
	return a + b
}
