package inspect

import (
	"context"
	"slices"

	"supernats/schema"
)

// Coverage is how much of what is known a silence matches.
type Coverage struct {
	Processes int `json:"processes"`
	// KnownProcesses and KnownHosts are how many there are.
	KnownProcesses int `json:"known_processes"`
	Hosts          int `json:"hosts"`
	KnownHosts     int `json:"known_hosts"`
	// Hints say what may be wrong with globs that match nothing.
	Hints []string `json:"hints,omitempty"`
}

// IsEmpty reports whether there is something, and none of it is matched.
func (c *Coverage) IsEmpty() bool {
	return c.KnownProcesses+c.KnownHosts > 0 && c.Processes+c.Hosts == 0
}

// Known is what the fleet consists of.
type Known struct {
	Processes []schema.ProcessRecord
	Hosts     []schema.HostRecord
	Names     KnownNames
}

// KnownNames are the names of the fleet, by the flag that chooses them: host, group,
// process, rule.
type KnownNames map[string]map[string]bool

// Known reads the processes that exist, the hosts, and their names.
func (r *Reader) Known(ctx context.Context) (*Known, error) {
	processes, err := r.ProcessRecords(ctx)
	if err != nil {
		return nil, err
	}
	processes = slices.DeleteFunc(processes, func(s schema.ProcessRecord) bool { return s.Gone != nil })
	hosts, err := r.hostRecords(ctx)
	if err != nil {
		return nil, err
	}

	names := KnownNames{"host": {}, "group": {}, "process": {}, "rule": {}}
	for _, s := range processes {
		names["host"][s.Host] = true
		names["group"][s.Group] = true
		names["process"][s.Process] = true
	}
	for _, h := range hosts {
		names["host"][h.Host] = true
	}
	return &Known{Processes: processes, Hosts: hosts, Names: names}, nil
}

// NamedRules are the rules of a configuration file, if there is one.
type NamedRules struct {
	File  string
	Names []string
}

// match returns the name of a rule that one of the globs matches. Without a file it is not
// known which rules there are, and every glob may match one.
func (n *NamedRules) match(globs []string) string {
	for _, name := range n.Names {
		if schema.MatchAny(globs, name) {
			return name
		}
	}
	if n.File != "" || len(globs) == 0 {
		return ""
	}
	return globs[0]
}

// CoverageOf counts the processes and hosts that a silence matches, and says what may be
// wrong with globs that match none.
func (k *Known) CoverageOf(m *schema.Mute, rules NamedRules) *Coverage {
	c := &Coverage{KnownHosts: len(k.Hosts), KnownProcesses: len(k.Processes)}
	rule := rules.match(m.Rules)
	for _, s := range k.Processes {
		if Silences(m, &schema.Alert{Host: s.Host, Group: s.Group, Process: s.Process, Rule: rule}) {
			c.Processes++
		}
	}
	for _, h := range k.Hosts {
		if Silences(m, &schema.Alert{Host: h.Host, Rule: rule}) {
			c.Hosts++
		}
	}

	for _, name := range rules.Names {
		k.Names["rule"][name] = true
	}
	for _, f := range []struct {
		flag  string
		globs []string
	}{{"host", m.Hosts}, {"group", m.Groups}, {"process", m.Processes}, {"rule", m.Rules}} {
		for _, glob := range f.globs {
			hint := GlobHint("--"+f.flag, f.flag, glob, k.Names[f.flag])
			if hint == "" {
				continue
			}
			if f.flag == "rule" {
				hint += " (in " + rules.File + ")"
			}
			c.Hints = append(c.Hints, hint)
		}
	}
	return c
}
