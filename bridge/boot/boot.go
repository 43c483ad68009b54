// Package boot finds out which life of which supervisord a bridge runs under.
//
// A life has a boot: 16 hex digits that are the same for every listener of one
// supervisord process and after a restart of the bridge, and others after a restart
// of supervisord. It comes from evidence that belongs to the process: its inode in
// pidfs, its start in clock ticks, its process id, together with the kernel's boot
// id. /proc may hide any of it (hidepid, subset=pid, another pid namespace, gVisor),
// and a wrapper that stays between supervisord and us (runuser, su -c, bash -c) may
// look like it. So evidence alone decides only where it is certain. Otherwise the
// serials of the protocol do, which supervisord counts from 0 in each life:
//
//	            evidence: same       unknown            different
//	serial
//	continues   same life            same life          same life if poolserial
//	                                                    continues without a gap,
//	                                                    else another
//	begins      another if it is the another            another
//	again       pool's first event,
//	            else offered again
//
// Nothing here is an error: a bridge without any evidence takes a random boot, and
// keeps it as long as serials continue.
package boot

import (
	"crypto/sha256"
	"fmt"
)

// ID is one life of one supervisord process.
type ID [8]byte

// Evidence is what is known of the supervisord that we run under. A field is 0 or
// empty where that is hidden.
type Evidence struct {
	// BootID is the kernel's, BootTime its start in tenths of a second of Unix time,
	// which moves when the clock is set.
	BootID   string `json:"boot_id,omitempty"`
	BootTime int64  `json:"boot_time,omitempty"`
	// PID is supervisord's process id as we see it.
	PID int `json:"pid,omitempty"`
	// Ticks is its start in clock ticks since the start of the machine.
	Ticks uint64 `json:"ticks,omitempty"`
	// Inode is its inode in pidfs, which no other process has until the machine is
	// started again.
	Inode uint64 `json:"inode,omitempty"`
	// Lasting means that PID is one of the whole machine, where it comes again after
	// many others, and not of a container, where it is the same at each start.
	Lasting bool `json:"lasting,omitempty"`
	// Certain means that the process was recognised as a supervisord, and is not only the
	// one that happens to have started us.
	Certain bool `json:"certain,omitempty"`
	// By says how it was recognised, for people.
	By string `json:"by,omitempty"`

	// here means that PID is one of our pid namespace.
	here bool
	// random is the boot of evidence that stands for none.
	random ID
}

// isUnique reports whether the evidence belongs to one process only.
func (e *Evidence) isUnique() bool {
	return e.Inode != 0 || e.Ticks != 0 || e.PID != 0 && e.Lasting && e.BootID != ""
}

// ID returns the boot that the evidence stands for, the same for every listener
// that finds the same. Where there is too little of it the boot is a random one, the
// same for the same value of Evidence, and derived is false.
func (e *Evidence) ID() (id ID, derived bool) {
	machine := e.BootID
	if machine == "" {
		machine = fmt.Sprintf("started %d", e.BootTime)
	}

	switch {
	case !e.isUnique() || machine == "started 0":
		return e.random, false
	case e.Inode != 0:
		// First: it needs no rights, so all listeners of a supervisord find it, whatever
		// their user=.
		return hash("%s pidfs %d", machine, e.Inode), true
	case e.Ticks != 0:
		return hash("%s %d %d", machine, e.PID, e.Ticks), true
	}
	return hash("%s pid %d", machine, e.PID), true
}

// standsFor reports whether a boot was made of this evidence.
func (e *Evidence) standsFor(boot ID) bool {
	own, derived := e.ID()
	return derived && own == boot
}

func hash(format string, args ...any) ID {
	sum := sha256.Sum256(fmt.Appendf(nil, format, args...))
	return ID(sum[:8])
}

// relation is how two pieces of evidence relate.
type relation int

const (
	unknown relation = iota
	same
	different
)

// clockNoise is by how much two looks at BootTime differ, in its unit.
const clockNoise = 2

// relate compares evidence of two runs of the bridge.
func relate(old, now *Evidence) relation {
	machine := unknown
	switch {
	case old.BootID != "" && now.BootID != "" && old.BootID != now.BootID:
		return different // the machine, or the container, was started again
	case old.BootID != "" && now.BootID != "":
		machine = same
	case old.BootTime != 0 && abs(old.BootTime-now.BootTime) <= clockNoise:
		machine = same
	}

	process := unknown
	switch {
	case old.Inode != 0 && now.Inode != 0:
		process = relationOf(old.Inode == now.Inode)
	case old.Ticks != 0 && now.Ticks != 0 && old.PID != 0 && now.PID != 0:
		process = relationOf(old.PID == now.PID && old.Ticks == now.Ticks)
	}

	switch {
	case process == same && machine == same:
		return same
	case process == different && old.Certain && now.Certain:
		// Between uncertain ones it may be another wrapper of the same supervisord.
		return different
	}
	return unknown
}

func equal(a, b Evidence) bool {
	a.random, b.random = ID{}, ID{}
	a.here, b.here = false, false
	return a == b
}

func relationOf(is bool) relation {
	if is {
		return same
	}
	return different
}

func abs(n int64) int64 { return max(n, -n) }

// Place is where an event stands in supervisord's order: what its header says.
type Place struct {
	Server     string
	Pool       string
	Serial     uint64
	PoolSerial uint64
}

// Past is what an earlier run of the bridge has left.
type Past struct {
	// Known means that there was one; ID is its boot.
	Known bool
	ID    ID
	// Last is the last event that it accounted for, nil if that is not known.
	Last *Place
	// Damaged means that events may be missing after Last.
	Damaged bool
	// Listened means that a listener of our pool has listened to this life before, whose
	// place is not known.
	Listened bool
	// Evidence is what it had, nil if that was not kept.
	Evidence *Evidence
}

// Verdict is a boot and why it is that.
type Verdict struct {
	ID ID
	// Same means that it is the life that the run before listened to.
	Same bool
	// Random means that nothing but the spool can find it again.
	Random bool
	Why    string
}

// Settle decides about the boot. first is the first event of this run, nil while
// none has come: then the verdict is a provisional one.
func Settle(past Past, now Evidence, first *Place) Verdict {
	boot, derived := now.ID()
	fresh := Verdict{ID: boot, Random: !derived}
	kept := Verdict{ID: past.ID, Same: true, Random: !derived}
	if !past.Known {
		fresh.Why = "no earlier run is known"
		return fresh
	}

	r := unknown
	if past.Evidence != nil {
		r = relate(past.Evidence, &now)
	}
	if r == unknown && now.standsFor(past.ID) {
		r = same
	}
	order := orderOf(past.Last, first)

	switch {
	case order == noOrder && r == different:
		fresh.Why = "another process than before"
		return fresh
	case order == noOrder && r == same:
		kept.Why = "the same process as before"
		return kept
	case order == noOrder:
		kept.Why = "nothing says otherwise"
		return kept
	case order == again && (r != same || first.atBeginning()):
		// Also if all else is equal: a container's first process has the same number and
		// may have the same start, and there are boot ids that outlive the machine.
		if r == same || now.standsFor(past.ID) || past.Evidence != nil && equal(*past.Evidence, now) {
			fresh.ID = hash("after %x", past.ID)
		}
		fresh.Why = "serials begin again"
		return fresh
	case r == same:
		kept.Why = "the same process as before"
		return kept
	case r == different && (order != seamless || past.Damaged):
		fresh.Why = "another process than before"
		return fresh
	case r == unknown && order == onward && past.Last.Server != first.Server:
		fresh.Why = "supervisord has another identifier"
		return fresh
	}
	kept.Why = "serials continue"
	return kept
}

// order is how the first event of a run relates to the last one of the run before.
type order int

const (
	noOrder  order = iota
	seamless       // it is the next one of the pool, or the same one
	onward         // it is a later one of the same supervisord, if it is the same
	again          // it is an earlier one, or one of another life
)

func orderOf(last, first *Place) order {
	switch {
	case last == nil || first == nil:
		return noOrder
	case *first == *last && !first.atBeginning():
		return seamless // offered again: nobody answered it (process.py, finish)
	case *first == *last:
		return onward
	case first.Serial <= last.Serial:
		return again
	case first.Pool == last.Pool && first.Server == last.Server && first.PoolSerial == last.PoolSerial+1:
		return seamless
	}
	return onward
}

// atBeginning reports whether the event is the first one that a pool was ever
// given. The Go port counts from 1.
func (p *Place) atBeginning() bool {
	return p.PoolSerial == 0 || p.PoolSerial == 1 && p.Serial == 1
}
