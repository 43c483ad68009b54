package summary

import (
	"slices"
	"strconv"
	"strings"

	"supernats/consumer/wording"
	"supernats/schema"
)

// groupKey is what alerts of one group have in common.
type groupKey struct {
	weight int
	phrase wording.Phrase
	// rule is set where only the rule says what happened.
	rule     string
	resolved bool
}

// group is one thing that happened to several.
type group struct {
	groupKey
	alerts    int
	processes map[Origin]bool
	hosts     map[string]bool
	// names are those of the processes, each once, in the order of the alerts.
	names []string
	// isVague is set if an alert names no process: it is about a group.
	isVague bool
	// only is the incident if there is one.
	only *incident
}

func newGroup(key groupKey, first *incident) *group {
	return &group{groupKey: key, processes: map[Origin]bool{}, hosts: map[string]bool{}, only: first}
}

// add adds the processes and hosts of an alert.
func (g *group) add(a *schema.Notification) {
	if a.Host != "" {
		g.hosts[a.Host] = true
	}
	if a.Process != "" {
		g.addProcess(Origin{a.Host, a.Group, a.Process})
	}

	named := a.Process != "" || a.Group == ""
	for i := range a.Events {
		o := OriginOf(a, &a.Events[i])
		if o.Host != "" {
			g.hosts[o.Host] = true
		}
		if o.Process != "" {
			g.addProcess(o)
			named = true
		}
	}
	g.isVague = g.isVague || !named
}

func (g *group) addProcess(o Origin) {
	if g.processes[o] {
		return
	}

	g.processes[o] = true
	// No more are shown.
	if name := o.Name(); len(g.names) <= maxNamed && !slices.Contains(g.names, name) {
		g.names = append(g.names, name)
	}
}

// onlyHost is the host, if there is one only.
func (g *group) onlyHost() string {
	if len(g.hosts) == 1 {
		for h := range g.hosts {
			return Short(h)
		}
	}
	return ""
}

// onlyProcess is the process, if there is one only.
func (g *group) onlyProcess() (o Origin, ok bool) {
	if len(g.processes) == 1 {
		for o := range g.processes {
			return o, true
		}
	}
	return Origin{}, false
}

// text is "200 processes on 3 hosts exited unexpectedly".
func (g *group) text(b brevity) string {
	if g.only != nil {
		return g.only.text(b)
	}

	hosts, on := g.onlyHost(), ""
	if hosts == "" {
		hosts = wording.Count(len(g.hosts), "host", "hosts")
	}
	if len(g.hosts) > 0 {
		on = " on " + hosts
	}
	alerts := wording.Count(g.alerts, "alert", "alerts")
	process, isOne := g.onlyProcess()
	switch {
	case g.phrase == wording.Phrase{}:
		return alerts + " of rule " + Short(g.rule) + on
	case g.isVague && g.resolved:
		return alerts + on + " are over"
	case g.isVague, len(g.processes)+len(g.hosts) == 0:
		return alerts + on + ": " + b.phrase(g.phrase, false)
	case len(g.processes) == 0 && len(g.hosts) == 1:
		return hosts + " " + b.phrase(g.phrase, false)
	case len(g.processes) == 0:
		return hosts + " " + b.phrase(g.phrase, true)
	case isOne:
		return process.Name() + on + " " + b.phrase(g.phrase, false)
	}
	return strconv.Itoa(len(g.processes)) + " processes" + on + " " + b.phrase(g.phrase, true)
}

// wordings say what happened to the group, with the names of three processes, of two, of
// one, and of none, each in several ways, the longest first.
func (g *group) wordings() [][]string {
	var all [][]string
	if !g.isVague && g.phrase != (wording.Phrase{}) && g.only == nil {
		for n := min(maxNamed, len(g.names)); n > 0; n-- {
			all = append(all, g.naming(n))
		}
	}
	return append(all, []string{g.text(complete), g.text(terse)})
}

// naming are the wordings with the names of n processes.
func (g *group) naming(n int) []string {
	isMany := len(g.processes) > 1
	words, brief := complete.phrase(g.phrase, isMany), terse.phrase(g.phrase, isMany)
	host, on := g.onlyHost(), ""
	if host != "" {
		host += " "
	} else if len(g.hosts) > 1 {
		on = " on " + strconv.Itoa(len(g.hosts)) + " hosts"
	}

	others := len(g.processes) - n
	hostsMatter := n == len(g.names) && others > 0
	if n == len(g.names) {
		others = 0 // those of the same names on other hosts
	}

	shortNames := make([]string, len(g.names))
	for i, name := range g.names {
		shortNames[i] = withoutGroup(name)
	}
	var list []string
	for _, names := range [][]string{g.names, shortNames} {
		text := host + strings.Join(names[:n], ", ")
		tersely := text
		if others > 0 {
			text += " and " + wording.Count(others, "other", "others")
			tersely += " +" + strconv.Itoa(others)
		}
		list = append(list, text+" "+words+on)
		if !hostsMatter {
			list = append(list, text+" "+words, text+" "+brief)
		}
		list = append(list, tersely+" "+brief+on)
		if !hostsMatter {
			list = append(list, tersely+" "+brief)
		}
	}
	return list
}

// withoutGroup leaves out a group that the process is named after, as supervisor itself
// names what numprocs makes.
func withoutGroup(name string) string {
	if group, process, ok := strings.Cut(name, ":"); ok && strings.HasPrefix(process, group) {
		return process
	}
	return name
}
