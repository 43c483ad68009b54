package state

import (
	"strings"
	"time"

	"supernats/consumer/crashes"
	"supernats/schema"
)

// lag is how long supervisord may keep events that happened before a snapshot was taken:
// its whole buffer (65,536 events, 16,000 a second) when the bridge has just been started.
const lag = 10 * time.Second

// stateAfter are the states by the events that change a process to them. Records hold these
// strings and not a part of a payload, which would be kept with it.
var stateAfter = map[string]string{
	schema.ProcessStateStopped:  schema.StateStopped,
	schema.ProcessStateStarting: schema.StateStarting,
	schema.ProcessStateRunning:  schema.StateRunning,
	schema.ProcessStateBackoff:  schema.StateBackoff,
	schema.ProcessStateStopping: schema.StateStopping,
	schema.ProcessStateExited:   schema.StateExited,
	schema.ProcessStateFatal:    schema.StateFatal,
	schema.ProcessStateUnknown:  schema.StateUnknown,
}

// ownState returns our own string of a state.
func ownState(state string) (own string, ok bool) {
	own, ok = stateAfter["PROCESS_STATE_"+state]
	return own, ok
}

// applyEvent applies an event that changes a process's state to another. boot is
// ce.Data.Boot.
func applyEvent(
	r *schema.ProcessRecord, m Meta, ce *schema.CloudEvent[*schema.Event], to, boot string,
) (changed bool) {
	e := ce.Data
	if m.Seq <= r.Seq || boot == r.Boot && e.Serial <= r.Serial {
		return false
	}
	countEvent(r, m, ce)
	noteDeath(r, ce)
	if isShown(r, boot, ce, canFollow(r, e, to)) {
		r.Serial = e.Serial
		r.Seq = m.Seq
		return true
	}

	pid := 0
	if to == schema.StateRunning || to == schema.StateStopping {
		pid = e.PID // EXITED and STOPPED name the process that is gone
	}
	if r.State != to || r.PID != pid || r.Gone != nil {
		r.Updated = schema.Time{Time: m.Stored}
	}
	noteStart(r, to, ce.Time)
	r.State = to
	r.Since = ce.Time
	r.PID = pid
	r.ExitStatus = nil
	r.Gone = nil
	r.Snapshot = nil
	r.Boot = boot
	r.Serial = e.Serial
	r.Seq = m.Seq
	return true
}

// countEvent counts what happened, whatever is known of the state by now.
func countEvent(r *schema.ProcessRecord, m Meta, ce *schema.CloudEvent[*schema.Event]) {
	switch ce.Data.Event {
	case schema.ProcessStateStarting:
		r.Starts++
	case schema.ProcessStateExited:
		r.Exits++
		if ce.Data.UnexpectedExit() {
			r.UnexpectedExits++
		}
	case schema.ProcessStateFatal:
		r.Fatals++
	}
	if ce.Data.IsCrash() {
		countCrash(r, m, ce.Time)
	}
}

// countCrash counts one of the last day. A clock may be a little ahead.
func countCrash(r *schema.ProcessRecord, m Meta, happened schema.Time) {
	stored := schema.Instant(m.Stored)
	at, since := happened.Time, r.Recorded.Time
	if at.After(stored) {
		at = stored
	}
	if r.Crashes == nil && since.IsZero() {
		since = stored // an earlier version did not count those before
	}
	r.Crashes = crashes.Add(r.Crashes, at, since)
}

// noteStart keeps when a process was started that changes to a state. If the events before
// are missing, it is not known: the next snapshot has it.
func noteStart(r *schema.ProcessRecord, to string, at schema.Time) {
	switch {
	case to == schema.StateStarting:
		r.Started = new(at)
	case to == schema.StateRunning && r.State == schema.StateStarting:
	case to == schema.StateStopping && schema.IsUp(r.State):
	default:
		r.Started = nil
	}
}

// noteDeath records an end that nobody asked for.
func noteDeath(r *schema.ProcessRecord, ce *schema.CloudEvent[*schema.Event]) {
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
			r.Exit = exitOf(e.Exit)
		}
		if e.Ran != nil { // mostly of the life that BACKOFF was about, which has said so
			r.Ran, r.Last = lifeOf(e)
		}
		return
	default:
		return
	}

	r.LastExit = new(ce.Time)
	r.Exit = exitOf(e.Exit)
	r.Ran, r.Last = lifeOf(e)
}

// lifeOf copies how long a life lasted and the last look at it.
func lifeOf(e *schema.Event) (ran *float64, last *schema.Look) {
	if e.Ran != nil {
		ran = new(*e.Ran)
	}
	if e.Last != nil {
		last = new(*e.Last)
	}
	return ran, last
}

// exitOf copies x, which may be a part of a decoded payload.
func exitOf(x *schema.Exit) *schema.Exit {
	if x == nil {
		return nil
	}
	c := &schema.Exit{
		Signal: strings.Clone(x.Signal), Core: x.Core, SpawnErr: strings.Clone(x.SpawnErr), Source: sourceOf(x.Source),
	}
	if x.Code != nil {
		c.Code = new(*x.Code)
	}
	if x.OOM != nil {
		c.OOM = &schema.OOM{Cgroup: strings.Clone(x.OOM.Cgroup), Limit: x.OOM.Limit, Peak: x.OOM.Peak}
	}
	return c
}

// sourceOf is one of our own strings, where it is one that is known.
func sourceOf(s string) string {
	switch s {
	case schema.ExitFromKernel:
		return schema.ExitFromKernel
	case schema.ExitFromLog:
		return schema.ExitFromLog
	}
	return strings.Clone(s)
}
