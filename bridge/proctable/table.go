// Package proctable keeps the last process table of a supervisord from one run of the
// bridge to the next, and finds out what happened while supervisord had no section
// of the bridge.
//
// When a section is removed and added again (supervisorctl update, after an edit),
// its pool is a new one: what happened in between was offered to no listener, and no gap
// in a serial shows it. But the pids and times of two tables do: a process that runs
// with another pid has ended and was started.
//
//	one pool                      │ no pool │ the next pool
//	table ── events correct it ───┤         ├── events ── table
//	                              └────?────┘
//	   what the first table, corrected by the events of the first pool, says of a
//	   process, and what the first event of the next pool, or the second table where
//	   there was none, says of it: no event has reported the difference
//
// While the pool lives nothing is compared: its buffer survives a stop, a start and
// a kill -9 of the listener, and every event arrives. A reload ends all pools and
// all processes, which is not a loss: SUPERVISOR_STATE_CHANGE_RUNNING follows
// it. What is found is a lower bound, never too much.
//
// No method waits for anything but a mutex. Memory is some 200 bytes for each process, and
// again for those that changed while a comparison is due.
package proctable

import (
	"bytes"
	"strings"
	"sync"
	"time"

	"supernats/schema"
)

// Event is what a table needs to know of an event.
type Event struct {
	Boot       string
	Name       string
	Pool       string
	Serial     uint64
	PoolSerial uint64
	Payload    []byte
	At         time.Time // when it was read
}

// row is what is known of a process. PID is 0 while it does not run, and unknownPID
// if it does but no event has said under which one.
type row struct {
	PID   int   `json:"pid,omitempty"`
	Start int64 `json:"start,omitempty"`
	Stop  int64 `json:"stop,omitempty"`
}

const unknownPID = -1

// change is the first event of a process in a pool that is compared: how the process
// was before it.
type change struct {
	ran bool
	pid int // if it ran
}

// Table is the last process table of one supervisord. Its methods may be called by
// several goroutines.
type Table struct {
	mu   sync.Mutex
	boot string
	// known means that rows are right: there was a table, and no event is missing since.
	known bool
	rows  map[schema.ProcessName]row
	// The last event that rows and changes hold.
	placed     bool
	pool       string
	serial     uint64
	poolSerial uint64

	// changes is not nil while a comparison is due: from the first event of another
	// pool on.
	changes map[schema.ProcessName]change
	before  string // the pool before
	// asked means that supervisord is being asked for its table; since are the events that
	// came meanwhile.
	asked bool
	since []Event

	dirty bool   // rows differ from what is kept
	saved uint64 // poolSerial of what is kept
}

// maxSince bounds the events that are kept while supervisord answers.
const maxSince = 4096

// beginBoot begins with a life of supervisord, if it is another one than before.
func (t *Table) beginBoot(boot string) {
	if t.boot == boot {
		return
	}
	t.boot, t.known, t.placed = boot, false, false
	t.rows, t.changes, t.since = nil, nil, nil
	t.dirty = true
}

// Event takes note of an event that was accepted, in the order of the pool. Payload
// is not kept.
func (t *Table) Event(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beginBoot(e.Boot)
	if t.placed && e.Serial <= t.serial {
		return // offered again, or known from the file
	}

	switch {
	case !t.placed:
	case e.Pool != t.pool || e.PoolSerial <= t.poolSerial:
		if t.known && t.changes == nil {
			t.changes, t.before = map[schema.ProcessName]change{}, t.pool
		}
	case e.PoolSerial != t.poolSerial+1:
		t.known, t.changes = false, nil // events are missing, which is counted elsewhere
	}
	t.placed, t.pool, t.serial, t.poolSerial = true, e.Pool, e.Serial, e.PoolSerial

	switch {
	case e.Name == schema.SupervisorStateChangeRunning:
		// It was reloaded: all of its processes were stopped and started.
		t.known, t.changes, t.dirty = false, nil, true
	case strings.HasPrefix(e.Name, processState):
		if t.asked && len(t.since) < maxSince {
			e.Payload = bytes.Clone(e.Payload)
			t.since = append(t.since, e)
		}
		t.apply(e)
	}
}

// apply makes a row or a change of an event.
func (t *Table) apply(e Event) {
	k, pid := schema.ProcessOf(e.Payload)
	if t.changes != nil {
		if _, ok := t.changes[k]; !ok && strings.TrimPrefix(e.Name, processState) != schema.StateUnknown {
			t.changes[k] = stateBefore(e.Name, pid)
		}
		return
	}
	if !t.known {
		return
	}

	r := t.rows[k]
	switch strings.TrimPrefix(e.Name, processState) {
	case schema.StateStarting:
		if r.PID == 0 {
			r.PID = unknownPID
		}
		r.Start = max(r.Start, e.At.Unix())
	case schema.StateRunning:
		r.PID = pid
	case schema.StateExited, schema.StateStopped, schema.StateBackoff, schema.StateFatal:
		if pid == 0 || pid == r.PID || r.PID == unknownPID {
			r.PID, r.Stop = 0, max(r.Stop, e.At.Unix())
		}
	default:
		return
	}

	if r != t.rows[k] {
		t.rows[k], t.dirty = r, true
	}
}

const processState = "PROCESS_STATE_"

// stateBefore returns how a process was before an event.
func stateBefore(name string, pid int) change {
	switch strings.TrimPrefix(name, processState) {
	case schema.StateStarting, schema.StateFatal:
		return change{}
	case schema.StateBackoff: // it was STARTING, and has ended
		return change{ran: true, pid: unknownPID}
	}
	if pid == 0 {
		pid = unknownPID
	}
	return change{ran: true, pid: pid}
}

// Ask notes that supervisord is asked for its table, which Answer is then given.
func (t *Table) Ask() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked, t.since = true, nil
}

// Answer takes supervisord's table, unless a comparison is due: that needs the one
// before.
func (t *Table) Answer(processes []schema.SnapshotProcess) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked = false
	if t.changes == nil {
		t.replace(processes)
	}
	t.since = nil
}

// replace makes the rows of a table, corrected by the events that came while it was
// asked for.
func (t *Table) replace(processes []schema.SnapshotProcess) {
	t.rows, t.known, t.dirty = make(map[schema.ProcessName]row, len(processes)), t.placed, true
	for _, p := range processes {
		t.rows[schema.ProcessName{Group: p.Group, Process: p.Process}] = row{p.PID, p.Start, p.Stop}
	}
	for _, e := range t.since {
		t.apply(e)
	}
}

// Forget drops the table until the next one: supervisord goes down or reloads, or
// the comparison was made by a run that could not keep its table.
func (t *Table) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known, t.changes, t.dirty = false, nil, true
}

// Due reports whether a comparison is due.
func (t *Table) Due() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changes != nil
}
