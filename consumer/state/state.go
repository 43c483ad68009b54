// Package state derives the records of processes and hosts from the messages of
// the stream SUPERVISOR: events, snapshots and the bridge's own records. It is
// pure: no clock, no I/O; the same messages give the same records, and a message
// that is applied again changes nothing.
//
// An event says what happened, a snapshot what was true at one moment of it. The
// bridge reads the number of its last event, asks supervisord for the table, and
// stores it some milliseconds later, while events go on. So a snapshot
//   - is newer than the events up to its serial, also than those that stand
//     behind it in the stream; they are counted, but do not change the state;
//   - is older than a later event that the record has already, and changes
//     nothing there;
//   - may show what later events are still going to tell. One that does not follow
//     from the state shown is counted only, if it was read within lag and nothing
//     was lost since; all others are applied, so that the last event of a process
//     wins.
//
// What was lost is not invented: a snapshot fixes states, not counters; what two
// snapshots show of events that nobody read comes as a loss record, and is counted.
// A snapshot rules over the processes of its own supervisord; see lives.go for hosts
// that have several. Times are corrected before they come here, see Fleet.Shift.
//
// A Fleet holds everything in memory: 420 bytes for a process, 510 for one that has
// crashed (BenchmarkFleetMemory) and 150 more where its last look and a lack of memory
// are known, so 100,000 processes are some 50 MB, and some 2 KB for a host, 64 KB at
// most. It never blocks.
package state

import (
	"strings"
	"time"

	"supernats/schema"
)

// lag is how long supervisord may keep events that happened before a snapshot
// was taken: its whole buffer (65,536 events, 16,000 a second) when the bridge
// has just been started.
const lag = 10 * time.Second

// Meta is what the stream says of a message: its sequence, and when it was stored.
type Meta struct {
	Seq    uint64
	Stored time.Time
	// Sent is the host's clock when its bridge sent the message, zero where that is
	// not known.
	Sent time.Time
	// Shift is what was added to the message's time to make it right, see Fleet.Shift.
	Shift time.Duration
}

// States of a process, as supervisor calls them.
const (
	stopped  = "STOPPED"
	starting = "STARTING"
	running  = "RUNNING"
	backoff  = "BACKOFF"
	stopping = "STOPPING"
	exited   = "EXITED"
	fatal    = "FATAL"
	unknown  = "UNKNOWN"
)

// told are the states by the events that tell them. Records hold these strings
// and not a part of a payload, which would be kept with it.
var told = map[string]string{
	schema.ProcessStateStopped:  stopped,
	schema.ProcessStateStarting: starting,
	schema.ProcessStateRunning:  running,
	schema.ProcessStateBackoff:  backoff,
	schema.ProcessStateStopping: stopping,
	schema.ProcessStateExited:   exited,
	schema.ProcessStateFatal:    fatal,
	schema.ProcessStateUnknown:  unknown,
}

// Apply returns the record of a process after an event. old is nil for a process
// that is not known yet. ok is false, and nothing changes, for an event that is
// no change of a process's state, and for one that was applied before or is older
// than what was. A Fleet does this for all processes.
func Apply(old *schema.ProcessRecord, m Meta, ce *schema.CloudEvent[*schema.Event]) (next *schema.ProcessRecord, ok bool) {
	e := ce.Data
	to := told[e.Event]
	if to == "" || e.Process == "" {
		return old, false
	}
	var r schema.ProcessRecord
	if old != nil {
		r = *old
	}
	// Whoever wrote the old one.
	r.Host, r.Group, r.Process = strings.Clone(e.Host), strings.Clone(e.Group), strings.Clone(e.Process)
	if !event(&r, m, ce, to, strings.Clone(e.Boot)) {
		return old, false
	}
	return &r, true
}

// event applies one that changes a process's state to another. boot is
// ce.Data.Boot.
func event(r *schema.ProcessRecord, m Meta, ce *schema.CloudEvent[*schema.Event], to, boot string) (changed bool) {
	e := ce.Data
	if m.Seq <= r.Seq || boot == r.Boot && e.Serial <= r.Serial {
		return false
	}
	count(r, e)
	died(r, ce)
	if shown(r, boot, ce, follows(r, e, to)) {
		r.Serial, r.Seq = e.Serial, m.Seq
		return true
	}
	pid := 0
	if to == running || to == stopping {
		pid = e.PID // EXITED and STOPPED name the process that is gone
	}
	if r.State != to || r.PID != pid || r.Gone != nil {
		r.Updated = schema.Time{Time: m.Stored}
	}
	r.State, r.Since, r.PID, r.Gone, r.Snapshot = to, ce.Time, pid, nil, nil
	r.Boot, r.Serial, r.Seq = boot, e.Serial, m.Seq
	return true
}

// count counts what happened, whatever is known of the state by now.
func count(r *schema.ProcessRecord, e *schema.Event) {
	switch e.Event {
	case schema.ProcessStateStarting:
		r.Starts++
	case schema.ProcessStateExited:
		r.Exits++
		if e.UnexpectedExit() {
			r.UnexpectedExits++
		}
	case schema.ProcessStateFatal:
		r.Fatals++
	}
}

// died records an end that nobody asked for.
func died(r *schema.ProcessRecord, ce *schema.CloudEvent[*schema.Event]) {
	e := ce.Data
	switch e.Event {
	case schema.ProcessStateExited:
		r.Expected = nil
		if e.Expected != nil {
			r.Expected = new(*e.Expected)
		}
	case schema.ProcessStateBackoff:
		// Died before its startsecs: supervisord sends no EXITED for it.
		r.Expected = nil
	case schema.ProcessStateFatal:
		if e.Exit != nil {
			r.Exit = reason(e.Exit)
		}
		if e.Ran != nil { // of the life that BACKOFF was about, mostly, which has told it
			r.Ran, r.Last = life(e)
		}
		return
	default:
		return
	}
	r.LastExit, r.Exit = new(ce.Time), reason(e.Exit)
	r.Ran, r.Last = life(e)
}

// source is one of our own strings, where it is one that is known.
func source(s string) string {
	switch s {
	case schema.ExitFromKernel:
		return schema.ExitFromKernel
	case schema.ExitFromLog:
		return schema.ExitFromLog
	}
	return strings.Clone(s)
}

// life copies how long a life lasted and the last look at it.
func life(e *schema.Event) (ran *float64, last *schema.Look) {
	if e.Ran != nil {
		ran = new(*e.Ran)
	}
	if e.Last != nil {
		last = new(*e.Last)
	}
	return ran, last
}

// reason copies x, which may be a part of a decoded payload.
func reason(x *schema.Exit) *schema.Exit {
	if x == nil {
		return nil
	}
	c := &schema.Exit{Signal: strings.Clone(x.Signal), Core: x.Core, SpawnErr: strings.Clone(x.SpawnErr), Source: source(x.Source)}
	if x.Code != nil {
		c.Code = new(*x.Code)
	}
	if x.OOM != nil {
		c.OOM = &schema.OOM{Cgroup: strings.Clone(x.OOM.Cgroup), Limit: x.OOM.Limit, Peak: x.OOM.Peak}
	}
	return c
}
