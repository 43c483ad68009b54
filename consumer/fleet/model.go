package fleet

import (
	"slices"
	"strings"
	"sync"
	"time"

	"supernats/consumer/inspect"
	"supernats/schema"
)

// model holds the records, and knows which hosts differ from the last snapshot.
//
//   - Every process and every alert of a host is reachable through its hostEntry, whether the
//     host has a record or not.
//   - A host that is not in dirty looks in the last snapshot as its records say.
type model struct {
	mu     sync.Mutex
	hosts  map[string]*hostEntry
	alerts map[string]*Alert // by key of the bucket
	mutes  map[string]*schema.Mute
	status Status

	// What has changed since the last snapshot.
	dirty         map[string]bool
	alertsChanged bool
	mutesChanged  bool
	statusChanged bool

	// interned are names that many records share: of hosts that are there, of groups,
	// processes and states.
	interned map[string]string
	version  uint64
	// seq is Snapshot.Seq.
	seq  uint64
	last *Snapshot
}

// hostEntry is what is known of a host.
type hostEntry struct {
	record *schema.HostRecord
	// boot is that of the process that was taken in last: the others share it.
	boot      string
	processes map[schema.ProcessName]*schema.ProcessRecord
	// shown is the host in the last snapshot, built the processes in it.
	shown *Host
	built map[schema.ProcessName]*Process
}

func newModel() *model {
	return &model{
		hosts: map[string]*hostEntry{}, alerts: map[string]*Alert{}, mutes: map[string]*schema.Mute{},
		dirty: map[string]bool{}, interned: map[string]string{}, last: &Snapshot{},
	}
}

// intern returns a string that shares its memory with all that are equal to it.
func (m *model) intern(s string) string {
	if known, ok := m.interned[s]; ok {
		return known
	}
	m.interned[s] = s
	return s
}

// entry returns what is known of a host, which differs from the last snapshot from now on.
func (m *model) entry(host string) *hostEntry {
	m.dirty[host] = true
	e := m.hosts[host]
	if e == nil {
		e = &hostEntry{
			processes: map[schema.ProcessName]*schema.ProcessRecord{},
			built:     map[schema.ProcessName]*Process{},
		}
		m.hosts[m.intern(host)] = e
	}
	return e
}

// setProcess takes in the record of a process.
func (m *model) setProcess(p *schema.ProcessRecord) {
	p.Host, p.Group, p.Process = m.intern(p.Host), m.intern(p.Group), m.intern(p.Process)
	p.State = m.intern(p.State)
	e, name := m.entry(p.Host), schema.ProcessName{Group: p.Group, Process: p.Process}
	if e.boot != p.Boot {
		e.boot = p.Boot
	}
	p.Boot = e.boot

	e.processes[name] = p
	delete(e.built, name)
	m.seq = max(m.seq, p.Seq)
}

func (m *model) removeProcess(p *schema.ProcessRecord) {
	e, name := m.entry(p.Host), schema.ProcessName{Group: p.Group, Process: p.Process}
	delete(e.processes, name)
	delete(e.built, name)
}

// setHost takes in the record of a host. What its processes are may depend on it.
func (m *model) setHost(h *schema.HostRecord) {
	h.Host = m.intern(h.Host)
	m.entry(h.Host).record = h
	m.seq = max(m.seq, h.Seq)
}

func (m *model) removeHost(h *schema.HostRecord) { m.entry(h.Host).record = nil }

func (m *model) setAlert(a *schema.Alert) {
	m.alerts[alertKey(a)] = &Alert{Alert: *a}
	m.seq = max(m.seq, a.Seq)
	m.changeAlert(a)
}

func (m *model) removeAlert(a *schema.Alert) {
	delete(m.alerts, alertKey(a))
	m.changeAlert(a)
}

// changeAlert marks what an alert is shown in.
func (m *model) changeAlert(a *schema.Alert) {
	m.alertsChanged = true
	if m.hosts[a.Host] != nil {
		m.dirty[a.Host] = true
	}
}

func (m *model) setMute(mute *schema.Mute) {
	m.mutes[mute.ID] = mute
	m.mutesChanged = true
}

func (m *model) removeMute(mute *schema.Mute) {
	delete(m.mutes, mute.ID)
	m.mutesChanged = true
}

// setStatus takes in whether the records are as they should be.
func (m *model) setStatus(s Status) {
	m.statusChanged = m.statusChanged || s != m.status
	m.status = s
}

// snapshot returns what is known now, the last snapshot if nothing has changed.
func (m *model) snapshot(now time.Time) *Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.expire(now)
	if m.version > 0 && len(m.dirty) == 0 && !m.alertsChanged && !m.mutesChanged && !m.statusChanged {
		return m.last
	}

	next := *m.last
	m.version++
	next.Version, next.Seq, next.Status = m.version, m.seq, m.status
	next.Now, next.made = now, time.Now()
	if m.mutesChanged || m.version == 1 {
		next.Mutes = m.listMutes()
	}
	if m.alertsChanged || m.mutesChanged || m.version == 1 {
		next.Alerts = m.listAlerts(next.Mutes)
	}
	if len(m.dirty) > 0 {
		next.Hosts = m.listHosts(next.Alerts, now)
	}
	next.Totals = count(&next)

	m.dirty, m.alertsChanged, m.mutesChanged, m.statusChanged = map[string]bool{}, false, false, false
	m.last = &next
	return m.last
}

// expire marks what looks different because time has passed: hosts that have fallen silent
// since the last snapshot, or are no longer silent by the server's time, and silences that
// are over.
func (m *model) expire(now time.Time) {
	for _, mute := range m.mutes {
		if !mute.Expires.IsZero() && !now.Before(mute.Expires.Time) {
			m.removeMute(mute)
		}
	}
	for name, e := range m.hosts {
		if e.record == nil || e.shown == nil {
			continue
		}
		silent := !e.record.LastSeen.IsZero() && now.Sub(e.record.LastSeen.Time) > schema.SilentAfter
		if shown := e.shown.UnknownSince != nil || e.shown.ShutDownSince != nil; silent && !shown {
			m.dirty[name] = true
		}
	}
}

func (m *model) listMutes() []schema.Mute {
	list := make([]schema.Mute, 0, len(m.mutes))
	for _, mute := range m.mutes {
		list = append(list, *mute)
	}
	slices.SortFunc(list, func(a, b schema.Mute) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// listAlerts returns all alerts, ranked. One whose silence has changed is another one.
func (m *model) listAlerts(mutes []schema.Mute) []*Alert {
	list := make([]*Alert, 0, len(m.alerts))
	for key, a := range m.alerts {
		id := ""
		for i := range mutes {
			if a.Phase != schema.PhaseResolved && inspect.Silences(&mutes[i], &a.Alert) {
				id = mutes[i].ID
				break
			}
		}
		if a.Mute != id {
			a = &Alert{Alert: a.Alert, Mute: id}
			m.alerts[key] = a
			m.changeAlert(&a.Alert)
		}
		list = append(list, a)
	}
	slices.SortFunc(list, compareAlerts)
	return list
}

// listHosts builds the hosts that have changed, and returns all, sorted by name.
func (m *model) listHosts(alerts []*Alert, now time.Time) []*Host {
	open := map[string][]*Alert{}
	for _, a := range alerts {
		if a.IsOpen() && m.dirty[a.Host] {
			open[a.Host] = append(open[a.Host], a)
		}
	}

	for name := range m.dirty {
		e := m.hosts[name]
		if e == nil {
			continue
		}
		if e.record == nil && len(e.processes) == 0 {
			delete(m.hosts, name)
			delete(m.interned, name)
			continue
		}
		e.shown = e.build(name, open[name], m.last.Status.Loaded, now)
	}

	list := make([]*Host, 0, len(m.hosts))
	for _, e := range m.hosts {
		list = append(list, e.shown)
	}
	slices.SortFunc(list, func(a, b *Host) int { return strings.Compare(a.Name(), b.Name()) })
	return list
}
