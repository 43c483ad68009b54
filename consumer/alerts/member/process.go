package member

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"supernats/consumer/alerts/clock"
	"supernats/consumer/rules"
	"supernats/schema"
)

// Name is that of a process. In an alert about a group or a host the other fields are
// empty; in one about troubles their cause is Process.
type Name struct{ Host, Group, Process string }

// Compare orders names by their fields.
func (n Name) Compare(o Name) int {
	return cmp.Or(cmp.Compare(n.Host, o.Host), cmp.Compare(n.Group, o.Group), cmp.Compare(n.Process, o.Process))
}

// Process is a process, or what stands for one in an alert about a host or a group.
type Process struct {
	Name Name
	// State is empty until it is known, and when the host does not have the process any
	// more. Expected is that of the last exit.
	State    string
	Expected bool
	// Seen is the message that changed the state, Snapshot says that it was a snapshot.
	Seen     clock.Mark
	Snapshot bool
	// Rules are those over states that select the process.
	Rules []*rules.Rule
	// Now is what its record says, which may be ahead of State: while a message is applied
	// it is what the record says after it.
	Now Report

	// The record of the process has seen the message seq and, of the supervisord boot, the
	// event serial.
	seq, serial uint64
	boot        string

	memberships []*Member
}

// Report is what the record of a process says for people.
type Report struct {
	// State is empty where it is not known, or supervisord does not have the process any
	// more. Since is when it entered it.
	State   string
	Since   time.Time
	Crashes *schema.Crashes
}

// ReportOf is what a record says.
func ReportOf(s *schema.ProcessRecord) Report {
	if s.Gone != nil {
		return Report{Crashes: s.Crashes}
	}
	return Report{State: s.State, Since: schema.Instant(s.Since.Time), Crashes: s.Crashes}
}

// Noted notes which message the record of the process has seen, and which event.
func (p *Process) Noted(seq uint64, s *schema.ProcessRecord) {
	p.Now = ReportOf(s)
	p.seq, p.serial = seq, s.Serial
	if p.boot != s.Boot {
		p.boot = strings.Clone(s.Boot)
	}
}

// Memberships are those of the process in incidents.
func (p *Process) Memberships() []*Member { return p.memberships }

// IsRunning reports whether it runs, IsStopped whether somebody wants it to be down. It is
// well while it runs, and after an exit that was expected.
func (p *Process) IsRunning() bool { return p.State == schema.StateRunning }
func (p *Process) IsStopped() bool { return schema.IsStopped(p.State) }
func (p *Process) IsWell() bool {
	return p.IsRunning() || p.State == schema.StateExited && p.Expected
}

// WellAfter reports whether the process is well although an event of it matched. Its
// record may know better than the event: from a snapshot that was taken later, or from a
// later event that overtook this one.
func (p *Process) WellAfter(e *schema.Event, m clock.Meta) bool {
	if p.State != "" && (p.seq == m.Seq || p.boot == e.Boot && p.serial > e.Serial) {
		return p.IsWell() || p.IsStopped()
	}

	switch e.Event {
	case schema.ProcessStateRunning, schema.ProcessStateStopping, schema.ProcessStateStopped:
		return true
	case schema.ProcessStateExited:
		return e.Expected != nil && *e.Expected
	}
	if schema.Is(e.Event, "PROCESS_STATE") {
		return false
	}
	return e.Process == "" || p.State == "" || p.IsStopped() || p.IsWell()
}

// In returns the membership in an owner, nil if there is none.
func (p *Process) In(o Owner) *Member {
	for _, mem := range p.memberships {
		if mem.owner == o {
			return mem
		}
	}
	return nil
}

// Roster is the processes that are known or that are members of an incident.
type Roster struct {
	processes map[Name]*Process
}

// NewRoster returns one of no processes.
func NewRoster() Roster { return Roster{processes: map[Name]*Process{}} }

// Lookup returns what is known of a process, nil if that is nothing.
func (r *Roster) Lookup(n Name) *Process { return r.processes[n] }

// Process returns what is known of a process, and remembers it.
func (r *Roster) Process(n Name) *Process {
	p := r.processes[n]
	if p == nil {
		// The names may be parts of a message, which would be kept with them.
		n = Name{strings.Clone(n.Host), strings.Clone(n.Group), strings.Clone(n.Process)}
		p = &Process{Name: n}
		r.processes[n] = p
	}
	return p
}

// Release forgets a process of which nothing is known and that is in no incident.
func (r *Roster) Release(p *Process) {
	if p.State == "" && len(p.memberships) == 0 {
		delete(r.processes, p.Name)
	}
}

// Forget drops a process whose memberships have ended.
func (r *Roster) Forget(p *Process) {
	p.State = ""
	p.Now = Report{}
	delete(r.processes, p.Name)
}

// OnHost returns the names of the processes of a host, in their order.
func (r *Roster) OnHost(host string) []Name {
	var names []Name
	for n := range r.processes {
		if n.Host == host {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, Name.Compare)
	return names
}
