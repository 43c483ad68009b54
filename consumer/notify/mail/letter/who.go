package letter

import (
	"slices"
	"strconv"
	"strings"

	"supernats/consumer/wording"
	"supernats/schema"
)

// party is whom an alert is about.
type party struct {
	// host, group and process are those of the alert, or of its events if they
	// all agree and the alert names none. Clean.
	host, group, process string
	// processes and hosts are how many different ones the events name.
	processes, hosts int
	// names are those of the processes that the events name, each once.
	names []string
}

// origin is one process of one host.
type origin struct{ host, group, process string }

// originOf is whose event ev is.
func originOf(a *schema.Notification, ev *schema.AlertEvent) origin {
	o := origin{a.Host, a.Group, a.Process}
	if ev.Host != "" {
		o.host = ev.Host
	}
	if ev.Group != "" {
		o.group = ev.Group
	}
	if ev.Process != "" {
		o.process = ev.Process
	}
	return o
}

// partyOf finds out whom an alert is about.
func partyOf(a *schema.Notification) party {
	p := party{host: a.Host, group: a.Group, process: a.Process}
	if p.host == "" || p.process == "" {
		// An alert about several processes: their events say which.
		processes, hosts := make(map[origin]bool), make(map[string]bool)
		var last origin
		for i := range a.Events {
			last = originOf(a, &a.Events[i])
			if last.host != "" {
				hosts[last.host] = true
			}
			if last.process != "" && !processes[last] {
				processes[last] = true
				name := wording.ProcessName(wording.Cell(last.group, maxSubjectName), wording.Cell(last.process, maxSubjectName))
				if len(p.names) < maxNamed && !slices.Contains(p.names, name) {
					p.names = append(p.names, name)
				}
			}
		}
		p.processes, p.hosts = len(processes), len(hosts)
		if len(hosts) == 1 {
			p.host = last.host
		}
		if len(processes) == 1 && last.process != "" {
			p.group, p.process = last.group, last.process
		}
	}
	p.host, p.group, p.process = wording.Cell(p.host, maxSubjectName), wording.Cell(p.group, maxSubjectName), wording.Cell(p.process, maxSubjectName)
	return p
}

// many reports whether several processes are meant.
func (p party) many() bool { return p.processes > 1 }

// besides tells of more events than processes, k besides the one that the alert
// is told by.
func (p party) besides(k int) string {
	if k < p.processes {
		return ""
	}
	return " (" + strconv.Itoa(k+1) + " events)"
}

// name is "api:api_00", "group api", "3 processes of group api", or empty for a
// host.
func (p party) name() string {
	switch {
	case p.many() && p.process != "":
		return strconv.Itoa(p.processes) + " processes " + wording.ProcessName(p.group, p.process)
	case p.many() && p.group != "":
		return strconv.Itoa(p.processes) + " processes of group " + p.group
	case p.many():
		return strconv.Itoa(p.processes) + " processes"
	case p.process != "":
		return wording.ProcessName(p.group, p.process)
	case p.group != "":
		return "group " + p.group
	}
	return ""
}

// where is the host, or how many there are.
func (p party) where() string {
	if p.host == "" && p.hosts > 1 {
		return strconv.Itoa(p.hosts) + " hosts"
	}
	return p.host
}

// String is how a sentence begins: "api:api_00 on web1".
func (p party) String() string {
	name, where := p.name(), p.where()
	switch {
	case name == "":
		return where
	case where == "":
		return name
	}
	return name + " on " + where
}

// subject is how a subject begins: the host first, where there is one, since
// mailboxes cut off the rest.
func (p party) subject() string {
	name, where := p.name(), p.where()
	if p.many() || name == "" || where == "" {
		return p.String()
	}
	return where + " " + name
}

// subjects are how a subject may begin, what says most first: with the names of up to
// three processes where several are meant.
func (p party) subjects() []string {
	var list []string
	for n := len(p.names); n > 0 && p.many() && p.process == ""; n-- {
		who := strings.Join(p.names[:n], ", ")
		if others := p.processes - n; others > 0 {
			who += " +" + strconv.Itoa(others)
		}
		switch {
		case p.host != "":
			who = p.host + " " + who
		case p.hosts > 1:
			who += " on " + p.where()
		}
		list = append(list, who)
	}
	return append(list, p.subject())
}
