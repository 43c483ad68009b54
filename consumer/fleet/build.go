package fleet

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"supernats/consumer/inspect"
	"supernats/schema"
)

// Name returns the name of the host. Its record may be missing while processes have one.
func (h *Host) Name() string { return h.HostRecord.Host }

// Process returns a process of the host, nil if there is none.
func (h *Host) Process(group, name string) *Process {
	i, found := slices.BinarySearchFunc(h.Processes, schema.ProcessName{Group: group, Process: name},
		func(p *Process, want schema.ProcessName) int {
			return cmp.Or(strings.Compare(p.Group, want.Group), strings.Compare(p.ProcessRecord.Process, want.Process))
		})
	if !found {
		return nil
	}
	return h.Processes[i]
}

// Host returns a host, nil if there is none.
func (s *Snapshot) Host(name string) *Host {
	i, found := slices.BinarySearchFunc(s.Hosts, name,
		func(h *Host, want string) int { return strings.Compare(h.Name(), want) })
	if !found {
		return nil
	}
	return s.Hosts[i]
}

// Alert returns the record of an incident, nil if there is none.
func (s *Snapshot) Alert(incident string) *Alert {
	i := slices.IndexFunc(s.Alerts, func(a *Alert) bool { return a.Incident == incident })
	if i < 0 {
		return nil
	}
	return s.Alerts[i]
}

// HasMute reports whether a silence is in force.
func (s *Snapshot) HasMute(id string) bool {
	return slices.ContainsFunc(s.Mutes, func(m schema.Mute) bool { return m.ID == id })
}

// build returns the host as it is shown. Processes that look as before are the same ones.
func (e *hostEntry) build(name string, open []*Alert, now time.Time) *Host {
	record := schema.HostRecord{Host: name}
	if e.record != nil {
		record = *e.record
	}
	f := inspect.NewFleet([]schema.HostRecord{record}, now)
	h := &Host{Host: f.List(func(string) bool { return true })[0], Open: open}

	h.Processes = make([]*Process, 0, len(e.processes))
	for id, r := range e.processes {
		p := &Process{f.Process(*r)}
		if old := e.built[id]; old != nil && old.looksLike(p) {
			p = old
		}
		e.built[id] = p
		h.Processes = append(h.Processes, p)
	}
	slices.SortFunc(h.Processes, func(a, b *Process) int {
		return cmp.Or(strings.Compare(a.Group, b.Group),
			strings.Compare(a.ProcessRecord.Process, b.ProcessRecord.Process))
	})

	h.countProcesses()
	h.Level = h.level()
	return h
}

// looksLike reports whether two views of one record are the same.
func (p *Process) looksLike(other *Process) bool {
	return p.Down == other.Down && sameTime(p.UnknownSince, other.UnknownSince) &&
		sameTime(p.StoppingSince, other.StoppingSince) && sameTime(p.StoppedSince, other.StoppedSince)
}

func sameTime(a, b *schema.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(b.Time)
}

func (h *Host) countProcesses() {
	for _, p := range h.Processes {
		switch {
		case p.Gone != nil:
		case p.UnknownSince != nil:
			h.Unknown++
		case p.State == schema.StateFatal:
			h.Fatal++
		}
	}
}

// level returns how bad it is: what people would be woken for is critical.
func (h *Host) level() Level {
	level := Well
	for _, a := range h.Open {
		level = max(level, a.Level())
	}

	switch {
	case h.Fatal > 0:
		level = max(level, Critical)
	case h.UnknownSince != nil, h.Down > 0, h.Silent > 0, len(h.Troubles) > 0:
		level = max(level, Warning)
	case h.ShutDownSince != nil:
		level = max(level, Info)
	}
	return level
}

// Level returns how bad the alert is. A severity that has no level of its own is a warning;
// what is silenced, or somebody takes care of, needs nobody else.
func (a *Alert) Level() Level {
	switch {
	case !a.IsOpen():
		return Well
	case a.Mute != "" || a.IsAcknowledged() || a.Severity == "info":
		return Info
	case a.Severity == "critical":
		return Critical
	}
	return Warning
}

// compareAlerts ranks: what is open before what is not, the worst first, then the youngest.
func compareAlerts(a, b *Alert) int {
	return cmp.Or(
		cmp.Compare(slices.Index(phases, a.Phase), slices.Index(phases, b.Phase)),
		cmp.Compare(b.Level(), a.Level()),
		b.Opened.Compare(a.Opened.Time),
		strings.Compare(a.Incident, b.Incident),
	)
}

func alertKey(a *schema.Alert) string { return schema.AlertKey(a.Rule, a.Host, a.Group, a.Process) }

// count adds up a snapshot.
func count(s *Snapshot) Totals {
	t := Totals{Hosts: len(s.Hosts)}
	for _, h := range s.Hosts {
		t.Lost += h.Lost
		if h.LastLoss != nil && s.Now.Sub(h.LastLoss.Time) < LossAge {
			t.LossHosts++
		}
		t.Fatal += h.Fatal
		t.Unknown += h.Unknown
		if h.UnknownSince != nil {
			t.SilentHosts++
			continue
		}
		t.Running += h.Running
		t.Down += h.Down
		t.Stopped += h.Stopped
		t.Exited += h.Exited
	}
	for _, a := range s.Alerts {
		if a.IsOpen() {
			t.Open++
		}
	}
	return t
}

// String is a word for people and programs: ok, info, warning or critical.
func (l Level) String() string {
	return [...]string{Well: "ok", Info: "info", Warning: "warning", Critical: "critical"}[l]
}
