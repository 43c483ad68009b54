package lives

import (
	"slices"
	"strings"
	"time"

	"supernats/schema"
)

// ApplyEvent applies an event about supervisord itself to the life of its boot. at is its
// time, by a clock that is right.
func (h *Host) ApplyEvent(l *schema.HostLife, e *schema.Event, at schema.Time, stored time.Time) {
	switch e.Event {
	case schema.SupervisorStateChangeRunning:
		isRunning(l)
		l.Serial = e.Serial
	case schema.SupervisorStateChangeStopping:
		l.SupervisorState = schema.SupervisorStopping
		l.Serial = e.Serial
		l.Stopping = new(instant(stored))
		l.StoppedAt = new(instant(at.Time))
	case schema.ProcessStateStarting:
		// A supervisord that stops starts nothing (process.py, transition): it was a reload,
		// and the event that says so is lost.
		if l.StoppedAt == nil || e.Serial <= l.Serial || !at.After(l.StoppedAt.Time) {
			return
		}
		isRunning(l)
	default:
		return
	}

	h.settle(schema.Instant(stored))
}

// isRunning notes that a supervisord runs, whatever it said before.
func isRunning(l *schema.HostLife) {
	l.SupervisorState = schema.SupervisorRunning
	l.Stopping = nil
	l.StoppedAt = nil
}

// ApplySnapshot applies what a snapshot says of supervisord, unless more has been said
// since it was asked for.
func (h *Host) ApplySnapshot(l *schema.HostLife, s *schema.Snapshot, at schema.Time, stored time.Time) {
	if l.SupervisorVersion != s.SupervisorVersion {
		l.SupervisorVersion = strings.Clone(s.SupervisorVersion)
	}

	isOld := l.StoppedAt != nil && !at.After(l.StoppedAt.Time)
	if s.Serial >= l.Serial && l.SupervisorState != s.SupervisorState && !isOld {
		l.SupervisorState = strings.Clone(s.SupervisorState)
	}
	if l.SupervisorState == schema.SupervisorRunning && !isOld {
		isRunning(l) // it was a reload, and the event that says so is lost
	}
	h.mirror(schema.Instant(stored))
}

// ApplyBridge applies a record of a bridge; kind is BridgeStarted, BridgeStopping or
// BridgeReconnect.
func (h *Host) ApplyBridge(m Message, kind string, b *schema.Bridge) {
	stored := instant(m.Stored)
	at := schema.Time{Time: m.Happened}
	l := h.Record.Life(b.Boot)
	if kind != schema.BridgeReconnect {
		l = h.Live(m)
	}
	if l != nil {
		noteBridge(l, kind, b)
	}
	switch kind {
	case schema.BridgeStarted:
		h.started(l, b, at)
	case schema.BridgeStopping:
		h.stopped(l, b, at, stored)
	}

	h.register(kind, b, stored)
	h.settle(stored.Time)
	h.Troubles().Fade(m.Stored)

	rec := &h.Record
	if rec.BridgeVersion == "" || b.Boot == rec.Boot || rec.Life(b.Boot) == nil {
		rec.BridgeVersion = strings.Clone(b.BridgeVersion)
		rec.Address = strings.Clone(b.Settings["address"])
	}
}

// noteBridge notes what a bridge says of its supervisord.
func noteBridge(l *schema.HostLife, kind string, b *schema.Bridge) {
	if b.Instance != "" && len(l.Instances) < maxPools && !slices.Contains(l.Instances, b.Instance) {
		l.Instances = append(l.Instances, strings.Clone(b.Instance))
	}
	if b.SupervisorPID != 0 {
		l.PID = b.SupervisorPID
	}
	l.Ephemeral = l.Ephemeral && kind != schema.BridgeStarted || b.Ephemeral
}

// started ends what a bridge before this one has reported. Its supervisord runs: a reload
// ends its listeners and starts them again.
func (h *Host) started(l *schema.HostLife, b *schema.Bridge, at schema.Time) {
	h.Troubles().end(func(t *schema.HostTrouble) bool {
		return h.Troubles().isSameBridge(t, b.Boot, b.Pool) && t.Happened.Before(at.Add(-startMargin))
	})
	if l.StoppedAt != nil && at.After(l.StoppedAt.Time) || l.SupervisorState == schema.SupervisorGone {
		isRunning(l)
	}
}

// stopped ends what a bridge has reported, and takes its word for what becomes of
// supervisord: the event that says so is often not handed out any more.
func (h *Host) stopped(l *schema.HostLife, b *schema.Bridge, at, stored schema.Time) {
	h.Troubles().end(func(t *schema.HostTrouble) bool {
		return h.Troubles().isSameBridge(t, b.Boot, b.Pool) && !t.Happened.After(at.Time)
	})
	switch b.SupervisorState {
	case schema.SupervisorGone: // nobody has announced that
		l.SupervisorState = schema.SupervisorGone
	case schema.SupervisorStopping:
		l.SupervisorState = schema.SupervisorStopping
		l.StoppedAt = new(instant(at.Time))
		if l.Stopping == nil {
			l.Stopping = &stored
		}
	}
}

// register keeps what a bridge says of itself.
func (h *Host) register(kind string, b *schema.Bridge, stored schema.Time) {
	rec := &h.Record
	i := slices.IndexFunc(rec.Bridges, func(o schema.HostBridge) bool { return o.Boot == b.Boot && o.Pool == b.Pool })
	if i < 0 {
		if kind != schema.BridgeStarted {
			return
		}
		if len(rec.Bridges) >= maxBridges {
			rec.Bridges = slices.Delete(rec.Bridges, 0, 1)
		}
		rec.Bridges = append(rec.Bridges, schema.HostBridge{Pool: strings.Clone(b.Pool), Boot: h.Boot(b.Boot)})
		i = len(rec.Bridges) - 1
	}

	o := &rec.Bridges[i]
	o.LastSeen = stored
	o.Listen = clean(b.Settings["listen"], maxText) // a name of DNS has up to 253
	o.Scheme = schemeOf(b.Settings["listen-scheme"])
	switch kind {
	case schema.BridgeStarted:
		o.Server = strings.Clone(b.Server)
		o.Instance = strings.Clone(b.Instance)
		o.Version = strings.Clone(b.BridgeVersion)
		o.PID = b.PID
		o.Spool = clean(b.Spool, maxCause)
		o.Stopped = nil
		o.Section = sectionOf(b.Section)
		o.Reasons = reasonsOf(b.Reasons)
	case schema.BridgeStopping:
		o.Stopped = &stored
	}
}

// schemeOf returns a scheme that addresses of metrics have, "" of any other.
func schemeOf(text string) string {
	if text == "http" || text == "https" {
		return text
	}
	return ""
}

// maxListed bounds the lists in what a bridge says of its section.
const maxListed = 32

// sectionOf copies a section, bounded: it is a part of a payload.
func sectionOf(s *schema.Section) *schema.Section {
	if s == nil {
		return nil
	}
	return &schema.Section{
		Events: namesOf(s.Events), BufferSize: s.BufferSize,
		Priority: s.Priority, SamePriority: namesOf(s.SamePriority), File: clean(s.File, maxText),
	}
}

func namesOf(list []string) []string {
	names := make([]string, 0, min(len(list), maxListed))
	for _, s := range list[:min(len(list), maxListed)] {
		names = append(names, clean(s, maxName))
	}
	return names
}

func reasonsOf(r *schema.Reasons) *schema.Reasons {
	if r == nil {
		return nil
	}
	return &schema.Reasons{
		Source: clean(r.Source, maxCause), Problem: clean(r.Problem, maxText), Fix: clean(r.Fix, maxText),
	}
}
