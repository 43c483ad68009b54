package state

import (
	"math"
	"slices"
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
		p = &process{key: key, rec: schema.ProcessRecord{Host: h.rec.Host, Group: group, Process: name}}
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
	if l := h.life(boot); l != nil {
		return l.Boot
	}
	return strings.Clone(boot)
}

// supervisor applies an event about supervisord itself.
func (h *host) supervisor(m Meta, l *schema.HostLife, e *schema.Event, at schema.Time) {
	switch e.Event {
	case schema.SupervisorStateChangeRunning:
		l.SupervisorState, l.Serial = supervisorRunning, e.Serial
		l.Stopping, l.StoppedAt = nil, nil
	case schema.SupervisorStateChangeStopping:
		l.SupervisorState, l.Serial = supervisorStopping, e.Serial
		l.Stopping, l.StoppedAt = new(instant(m.Stored)), new(instant(at.Time))
	case schema.ProcessStateStarting:
		// A supervisord that stops starts nothing (process.py, transition): it was a
		// reload, and the event that says so is lost.
		if l.StoppedAt == nil || e.Serial <= l.Serial || !at.After(l.StoppedAt.Time) {
			return
		}
		l.SupervisorState, l.Stopping, l.StoppedAt = supervisorRunning, nil, nil
	default:
		return
	}
	h.settle(instant(m.Stored).Time)
}

// snapshot applies what a snapshot says of supervisord, unless more has been said
// since it was asked for.
func (h *host) snapshot(l *schema.HostLife, s *schema.Snapshot, at, stored schema.Time) {
	if l.SupervisorVersion != s.SupervisorVersion {
		l.SupervisorVersion = strings.Clone(s.SupervisorVersion)
	}
	before := l.StoppedAt != nil && !at.After(l.StoppedAt.Time)
	if s.Serial >= l.Serial && l.SupervisorState != s.SupervisorState && !before {
		l.SupervisorState = strings.Clone(s.SupervisorState)
	}
	if l.SupervisorState == supervisorRunning && !before {
		l.Stopping, l.StoppedAt = nil, nil // it was a reload, and the event that says so is lost
	}
	h.mirror(stored.Time)
}

// bridge applies a record of the bridge.
func (h *host) bridge(m Meta, kind string, b *schema.Bridge, at schema.Time) {
	stored := instant(m.Stored)
	l := h.life(b.Boot)
	if kind != schema.BridgeReconnect {
		l = h.live(m, b.Boot, b.Server, b.Pool, at.Time)
	}
	if l != nil {
		if b.Instance != "" && len(l.Instances) < maxPools && !slices.Contains(l.Instances, b.Instance) {
			l.Instances = append(l.Instances, strings.Clone(b.Instance))
		}
		if b.SupervisorPID != 0 {
			l.PID = b.SupervisorPID
		}
		l.Ephemeral = l.Ephemeral && kind != schema.BridgeStarted || b.Ephemeral
	}
	switch kind {
	case schema.BridgeStarted:
		h.started(l, b, at)
	case schema.BridgeStopping:
		h.stopped(l, b, at, stored)
	}
	h.register(kind, b, stored)
	h.settle(stored.Time)
	h.fade(m)

	if h.rec.BridgeVersion == "" || b.Boot == h.rec.Boot || h.life(b.Boot) == nil {
		h.rec.BridgeVersion = strings.Clone(b.BridgeVersion)
		h.rec.Address = strings.Clone(b.Settings["address"])
	}
}

// started ends what a bridge before this one has reported. Its supervisord runs: a
// reload ends its listeners and starts them again.
func (h *host) started(l *schema.HostLife, b *schema.Bridge, at schema.Time) {
	h.endTroubles(func(t *schema.HostTrouble) bool {
		return h.sameBridge(t, b.Boot, b.Pool) && t.Happened.Before(at.Add(-startMargin))
	})
	if l.StoppedAt != nil && at.After(l.StoppedAt.Time) || l.SupervisorState == schema.SupervisorGone {
		l.SupervisorState, l.Stopping, l.StoppedAt = supervisorRunning, nil, nil
	}
}

// stopped ends what a bridge has reported, and takes its word for what becomes of
// supervisord: the event that says so is often not handed out any more.
func (h *host) stopped(l *schema.HostLife, b *schema.Bridge, at, stored schema.Time) {
	h.endTroubles(func(t *schema.HostTrouble) bool {
		return h.sameBridge(t, b.Boot, b.Pool) && !t.Happened.After(at.Time)
	})
	if b.SupervisorState == schema.SupervisorGone { // nobody has announced that
		l.SupervisorState = schema.SupervisorGone
	}
	if b.SupervisorState != supervisorStopping {
		return
	}
	l.SupervisorState, l.StoppedAt = supervisorStopping, new(instant(at.Time))
	if l.Stopping == nil {
		l.Stopping = &stored
	}
}

// register keeps what a bridge says of itself.
func (h *host) register(kind string, b *schema.Bridge, stored schema.Time) {
	i := slices.IndexFunc(h.rec.Bridges, func(o schema.HostBridge) bool { return o.Boot == b.Boot && o.Pool == b.Pool })
	if i < 0 {
		if kind != schema.BridgeStarted {
			return
		}
		if len(h.rec.Bridges) >= maxBridges {
			h.rec.Bridges = slices.Delete(h.rec.Bridges, 0, 1)
		}
		h.rec.Bridges = append(h.rec.Bridges, schema.HostBridge{Pool: strings.Clone(b.Pool), Boot: h.bootOf(b.Boot)})
		i = len(h.rec.Bridges) - 1
	}

	o := &h.rec.Bridges[i]
	o.LastSeen = stored
	switch kind {
	case schema.BridgeStarted:
		o.Server, o.Instance, o.Version = strings.Clone(b.Server), strings.Clone(b.Instance), strings.Clone(b.BridgeVersion)
		o.PID, o.Spool, o.Stopped = b.PID, Clean(b.Spool, maxCause), nil
		o.Section, o.Reasons = sectionOf(b.Section), reasonsOf(b.Reasons)
	case schema.BridgeStopping:
		o.Stopped = &stored
	}
}

// maxListed bounds the lists in what a bridge says of its section.
const maxListed = 32

// sectionOf copies a section, bounded: it is a part of a payload.
func sectionOf(s *schema.Section) *schema.Section {
	if s == nil {
		return nil
	}
	return &schema.Section{
		Events: namesOf(s.Events), BufferSize: s.BufferSize, Priority: s.Priority, SamePriority: namesOf(s.SamePriority), File: Clean(s.File, maxText),
	}
}

func namesOf(list []string) []string {
	names := make([]string, 0, min(len(list), maxListed))
	for _, s := range list[:min(len(list), maxListed)] {
		names = append(names, Clean(s, maxName))
	}
	return names
}

func reasonsOf(r *schema.Reasons) *schema.Reasons {
	if r == nil {
		return nil
	}
	return &schema.Reasons{Source: Clean(r.Source, maxCause), Problem: Clean(r.Problem, maxText), Fix: Clean(r.Fix, maxText)}
}

// lose counts what a pool has lost.
func (h *host) lose(l *schema.Loss, at schema.Time) {
	h.rec.Lost = sum(h.rec.Lost, l.Count)
	h.rec.LastLoss = new(at)
	for i := range h.rec.Bridges {
		if b := &h.rec.Bridges[i]; b.Boot == l.Boot && b.Pool == l.Pool {
			b.Lost, b.LastLoss, b.LossCause = sum(b.Lost, l.Count), new(at), Clean(l.Cause, maxCause)
		}
	}
}

// sum adds what hosts say: it does not begin at 0 again.
func sum(a, b uint64) uint64 {
	if a+b < a {
		return math.MaxUint64
	}
	return a + b
}

// add counts a process in or out.
func (h *host) add(s *schema.ProcessRecord, n int) { h.count(countedAs(s), n) }

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
