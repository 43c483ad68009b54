// Package state derives the state of processes and hosts from their events. It
// is pure; who keeps the records (consumer/app) hands them in.
package state

import (
	"strings"

	"supernats/schema"
)

// Apply returns the record of a process after an event that the stream stored
// under seq. old is nil for a process that is not known yet. ok is false, and
// nothing changes, for an event that is no change of a process's state, and for
// one that was applied before or is older than what was.
func Apply(old *schema.State, ce *schema.CloudEvent[*schema.Event], seq uint64) (next *schema.State, ok bool) {
	e := ce.Data
	name, isState := strings.CutPrefix(e.Event, "PROCESS_STATE_")
	if !isState || !schema.Known(e.Event) || e.Process == "" {
		return old, false
	}
	r := schema.State{Host: e.Host, Group: e.Group, Process: e.Process}
	if old != nil {
		if seq <= old.Seq || e.Boot == old.Boot && e.Serial <= old.Serial {
			return old, false
		}
		r = *old
		r.Host, r.Group, r.Process = e.Host, e.Group, e.Process // whoever wrote the old one
	}
	r.State, r.Since = name, ce.Time
	r.PID = 0
	if e.Event == schema.ProcessStateRunning || e.Event == schema.ProcessStateStopping {
		r.PID = e.PID // EXITED and STOPPED name the process that is gone
	}
	r.Boot, r.Serial, r.Seq, r.Updated = e.Boot, e.Serial, seq, ce.Time
	switch e.Event {
	case schema.ProcessStateStarting:
		r.Starts++
	case schema.ProcessStateExited:
		r.Exits++
		if e.UnexpectedExit() {
			r.UnexpectedExits++
		}
		died(&r, ce.Time, e.Expected, e.Exit)
	case schema.ProcessStateBackoff:
		// Died before its startsecs: supervisord sends no EXITED for it.
		died(&r, ce.Time, nil, e.Exit)
	case schema.ProcessStateFatal:
		r.Fatals++
		if e.Exit != nil {
			r.Exit = e.Exit
		}
	}
	return &r, true
}

// died records an end that nobody asked for.
func died(r *schema.State, at schema.Time, expected *bool, exit *schema.Exit) {
	r.LastExit, r.Expected, r.Exit = &at, expected, exit
}

// Started returns the record of a host after its bridge told that it started. ok
// is false if old is newer.
func Started(old *schema.Host, b *schema.Bridge, seq uint64) (next *schema.Host, ok bool) {
	if old != nil && seq <= old.Seq {
		return old, false
	}
	return &schema.Host{
		Host: b.Host, Server: b.Server, Boot: b.Boot, BridgeVersion: b.BridgeVersion,
		Address: b.Settings["address"], Seq: seq,
	}, true
}
