package state

import (
	"strings"

	"supernats/schema"
)

// States of a supervisord, of which supervisorStopping is our word for what
// SUPERVISOR_STATE_CHANGE_STOPPING tells: a shutdown or a reload.
const (
	supervisorRunning  = "RUNNING"
	supervisorStopping = "STOPPING"
)

// process returns a process, which may be a new one.
func (h *host) process(group, name string) *process {
	p := h.processes[id{group, name}]
	if p == nil {
		key := schema.StateKey(h.rec.Host, group, name)
		group, name = within(key, group), within(key, name)
		p = &process{key: key, rec: schema.State{Host: h.rec.Host, Group: group, Process: name}}
		h.processes[id{group, name}] = p
	}
	return p
}

// within returns s as a part of key, which most names are, or else a copy: a part
// of a payload would keep all of it.
func within(key, s string) string {
	if i := strings.LastIndex(key, s); i >= 0 {
		return key[i : i+len(s)]
	}
	return strings.Clone(s)
}

// bootOf returns the host's own string for a boot, which keeps no payload.
func (h *host) bootOf(boot string) string {
	if boot == h.rec.Boot {
		return h.rec.Boot
	}
	return strings.Clone(boot)
}

// setBoot notes which boot the host is in. A supervisord that has been started
// again runs, whatever the one before it told at its end.
func (h *host) setBoot(boot string) {
	if boot == h.rec.Boot {
		return
	}
	h.rec.Boot, h.rec.Serial, h.rec.Stopping = boot, 0, nil
	if h.rec.SupervisorState != "" {
		h.rec.SupervisorState = supervisorRunning
	}
}

// supervisor applies an event about supervisord itself.
func (h *host) supervisor(m Meta, e *schema.Event) {
	switch e.Event {
	case schema.SupervisorStateChangeRunning:
		h.rec.SupervisorState, h.rec.Serial, h.rec.Stopping = supervisorRunning, e.Serial, nil
	case schema.SupervisorStateChangeStopping:
		h.rec.SupervisorState, h.rec.Serial, h.rec.Stopping = supervisorStopping, e.Serial, &schema.Time{Time: m.Stored}
	}
}

// snapshot applies what a snapshot tells of supervisord, unless an event has told
// more since it was asked for.
func (h *host) snapshot(s *schema.Snapshot) {
	if h.rec.SupervisorVersion != s.SupervisorVersion {
		h.rec.SupervisorVersion = strings.Clone(s.SupervisorVersion)
	}
	if s.Serial >= h.rec.Serial && h.rec.SupervisorState != s.SupervisorState {
		h.rec.SupervisorState = strings.Clone(s.SupervisorState)
	}
}

// bridge applies a record of the bridge.
func (h *host) bridge(kind string, b *schema.Bridge) {
	if kind != schema.BridgeReconnect {
		// A reconnect is told at once, past what waits in the spool: that may be of
		// the boot before.
		h.setBoot(h.bootOf(b.Boot))
	}
	h.rec.BridgeVersion = b.BridgeVersion
	h.rec.Address = b.Settings["address"]
}

// add counts a process in or out.
func (h *host) add(s *schema.State, n int) { h.count(statusOf(s), n) }

func (h *host) count(status string, n int) {
	switch status {
	case Running:
		h.rec.Running += n
	case Down:
		h.rec.Down += n
	case Stopped:
		h.rec.Stopped += n
	case Exited:
		h.rec.Exited += n
	}
}
