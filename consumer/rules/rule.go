// Package rules compiles the rules of the configuration file and matches events with
// them. It decides which events, states, silences, losses and troubles a rule is about,
// when it may notify, and what the texts of its alerts say. What becomes of a match is
// not its concern: see package alerts.
//
// Everything here is pure: no clock, no network, no file but the time zone database. A
// Set does not change once it is compiled, so any number of goroutines may share one; an
// Evaluator belongs to one goroutine.
//
// Under pressure: an expression may make 100,000 values and has at most 1,000 nodes; what
// needs more fails, which is no match and is counted. A label or an annotation has at most
// 16 KiB; a longer one is cut and says so.
package rules

import (
	"cmp"
	"slices"
	"time"

	"supernats/schema"
)

// Rule is a Config that was checked. Its fields are set by Compile and are read only.
type Rule struct {
	Name, Kind, Severity string
	// Index is its position in Set.Rules.
	Index int
	// Rank orders what is due at one time: a rule ranks above all rules that inhibit it.
	Rank int

	// Count matches within Within make an alert.
	Count  int
	Within time.Duration
	// For is how long a state, a quorum or a trouble must last.
	For time.Duration
	// Quorum is how many processes of a group must be RUNNING.
	Quorum int
	// Silent is how long nothing may come from a host.
	Silent time.Duration

	// Notify names the receivers; none is all of them.
	Notify []string
	// Escalate are the steps while nobody acknowledges an alert, the soonest first.
	Escalate []Step
	// InhibitedBy are the rules whose alerts about a host hide those of this rule;
	// Inhibits says that it is such a rule itself.
	InhibitedBy []*Rule
	Inhibits    bool

	GroupWait, GroupInterval, RepeatInterval, ResolveAfter time.Duration
	SendResolved                                           bool

	events   []eventName
	expected *bool
	oom      *bool
	program  *program
	states   []string
	causes   Globs

	hosts, groups, processes   Globs
	labels, annotations        []text
	muteDuring                 []interval
	byHost, byGroup, byProcess bool
}

// Many reports whether an alert of the rule may be about several processes.
func (r *Rule) Many() bool { return !r.byHost || !r.byGroup || !r.byProcess }

// ByHost reports whether each alert of the rule is about one host.
func (r *Rule) ByHost() bool { return r.byHost }

// OnHost reports whether the rule is about a host.
func (r *Rule) OnHost(host string) bool { return r.hosts.Match(host) }

// Selects reports whether the rule is about a process.
func (r *Rule) Selects(host, group, process string) bool {
	return r.hosts.Match(host) && r.groups.Match(group) && r.processes.Match(process)
}

// HasCause reports whether the rule is about a trouble of a cause.
func (r *Rule) HasCause(cause string) bool { return r.causes.Match(cause) }

// HasState reports whether a state is one of the rule's.
func (r *Rule) HasState(state string) bool { return slices.Contains(r.states, state) }

// InState reports whether a process is in one of the rule's states; expected is that of
// its exit, nil where that is not known.
func (r *Rule) InState(state string, expected *bool) bool {
	if !r.HasState(state) {
		return false
	}
	return r.expected == nil || state != schema.StateExited || expected != nil && *expected == *r.expected
}

// OnlyUnknown reports whether the rule is about processes that supervisord has lost. Such
// a process has recovered as soon as it is known what became of it.
func (r *Rule) OnlyUnknown() bool { return len(r.states) == 1 && r.states[0] == schema.StateUnknown }

// MutedUntil reports whether a mute_during of the rule holds, and until when it does so
// at least.
func (r *Rule) MutedUntil(at time.Time) (until time.Time, ok bool) {
	for i := range r.muteDuring {
		if until, ok := r.muteDuring[i].active(at); ok {
			return until, true
		}
	}
	return time.Time{}, false
}

// Labels and Annotations render the templates of the rule; nil if it has none.
func (r *Rule) Labels(v *View) map[string]string      { return render(r.labels, v) }
func (r *Rule) Annotations(v *View) map[string]string { return render(r.annotations, v) }

// Key names an alert: one of the rule Set.Rules[Rule] about what the other fields name.
// A field that the rule does not group by is empty.
type Key struct {
	Rule                 int
	Host, Group, Process string
}

// Compare orders keys by their fields.
func (k Key) Compare(o Key) int {
	return cmp.Or(
		cmp.Compare(k.Rule, o.Rule), cmp.Compare(k.Host, o.Host),
		cmp.Compare(k.Group, o.Group), cmp.Compare(k.Process, o.Process),
	)
}

// Key returns that of the alert about a process.
func (r *Rule) Key(host, group, process string) Key {
	k := Key{Rule: r.Index}
	if r.byHost {
		k.Host = host
	}
	if r.byGroup {
		k.Group = group
	}
	if r.byProcess {
		k.Process = process
	}
	return k
}

// Set is compiled rules and the lists in which they are looked up.
type Set struct {
	// Rules are all rules, in the order of the configuration.
	Rules []*Rule
	// States are the rules over states of processes, quorums included. Silent, Losses and
	// Troubles are those over hosts.
	States, Silent, Losses, Troubles []*Rule
	// MuteRestarts is Options.MuteRestarts.
	MuteRestarts time.Duration

	byEvent map[string][]*Rule // by the name of every event that is known
	events  []*Rule            // all rules over events, for names that are not known
	groups  Globs              // Options.Groups
}

// AdmitsGroup reports whether processes of a group reach the rules.
func (s *Set) AdmitsGroup(group string) bool { return s.groups.Match(group) }

// Rule returns the rule of a name, nil if there is none.
func (s *Set) Rule(name string) *Rule {
	i := slices.IndexFunc(s.Rules, func(r *Rule) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return s.Rules[i]
}

// ForEvent returns the rules that are about events of a name.
func (s *Set) ForEvent(name string) []*Rule {
	if rules, ok := s.byEvent[name]; ok {
		return rules
	}
	return s.lookUp(name)
}

func (s *Set) lookUp(name string) (found []*Rule) {
	for _, r := range s.events {
		if slices.ContainsFunc(r.events, func(e eventName) bool { return e.match(name) }) {
			found = append(found, r)
		}
	}
	return found
}

// index puts the rules into the lists.
func (s *Set) index() {
	for _, r := range s.Rules {
		switch r.Kind {
		case schema.KindEvent:
			s.events = append(s.events, r)
		case schema.KindSilent:
			s.Silent = append(s.Silent, r)
		case schema.KindLoss:
			s.Losses = append(s.Losses, r)
		case schema.KindTrouble:
			s.Troubles = append(s.Troubles, r)
		default:
			s.States = append(s.States, r)
		}
	}
	for _, name := range schema.Names() {
		s.byEvent[name] = s.lookUp(name)
	}
}

// Crowd stands for the group and the process in the key of an alert about all that are too
// many to have one each. supervisord allows no program of that name.
const Crowd = "*"

// CrowdKey returns the key of the alert that takes what is too much for a host.
func (r *Rule) CrowdKey(host string) Key { return r.Key(host, Crowd, Crowd) }

// IsCrowd reports whether the alert is about what is too much.
func (k Key) IsCrowd() bool { return k.Group == Crowd || k.Process == Crowd }

// Uncrowded is the name of a group or a process as people see it: an alert about the crowd
// is one about the host.
func Uncrowded(name string) string {
	if name == Crowd {
		return ""
	}
	return name
}
