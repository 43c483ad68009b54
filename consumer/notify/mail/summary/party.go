package summary

import (
	"slices"
	"strconv"
	"strings"

	"supernats/consumer/wording"
	"supernats/schema"
)

// Origin is one process of one host.
type Origin struct{ Host, Group, Process string }

// OriginOf is whose event ev is.
func OriginOf(a *schema.Notification, ev *schema.AlertEvent) Origin {
	o := Origin{a.Host, a.Group, a.Process}
	if ev.Host != "" {
		o.Host = ev.Host
	}
	if ev.Group != "" {
		o.Group = ev.Group
	}
	if ev.Process != "" {
		o.Process = ev.Process
	}
	return o
}

// Name is the process as supervisorctl writes it: "api:api_00".
func (o Origin) Name() string { return wording.ProcessName(Short(o.Group), Short(o.Process)) }

// String is "api:api_00 on web1".
func (o Origin) String() string {
	return Party{host: Short(o.Host), group: Short(o.Group), process: Short(o.Process)}.String()
}

// Party is whom an alert is about. Its names are short.
type Party struct {
	// host, group and process are those of the alert, or of its events if they all agree
	// and the alert names none.
	host, group, process string
	// processes and hosts are how many different ones the events name.
	processes, hosts int
	// names are those of the first maxNamed processes that the events name, each once.
	names []string
}

// PartyOf finds out whom an alert is about.
func PartyOf(a *schema.Notification) Party {
	p := Party{host: a.Host, group: a.Group, process: a.Process}
	if p.host == "" || p.process == "" {
		p.addEvents(a)
	}
	p.host, p.group, p.process = Short(p.host), Short(p.group), Short(p.process)
	return p
}

// addEvents is for an alert about several processes: their events say which.
func (p *Party) addEvents(a *schema.Notification) {
	processes, hosts := make(map[Origin]bool), make(map[string]bool)
	var last Origin
	for i := range a.Events {
		last = OriginOf(a, &a.Events[i])
		if last.Host != "" {
			hosts[last.Host] = true
		}
		if last.Process != "" && !processes[last] {
			processes[last] = true
			if name := last.Name(); len(p.names) < maxNamed && !slices.Contains(p.names, name) {
				p.names = append(p.names, name)
			}
		}
	}

	p.processes, p.hosts = len(processes), len(hosts)
	if len(hosts) == 1 {
		p.host = last.Host
	}
	if len(processes) == 1 && last.Process != "" {
		p.group, p.process = last.Group, last.Process
	}
}

// isMany reports whether several processes are meant.
func (p Party) isMany() bool { return p.processes > 1 }

// moreEvents says that there are more events than processes; more is how many there are
// besides the one that the alert is reported by.
func (p Party) moreEvents(more int) string {
	if more < p.processes {
		return ""
	}
	return " (" + strconv.Itoa(more+1) + " events)"
}

// name is "api:api_00", "group api", "3 processes of group api", or "" for a host.
func (p Party) name() string {
	switch {
	case p.isMany() && p.process != "":
		return strconv.Itoa(p.processes) + " processes " + wording.ProcessName(p.group, p.process)
	case p.isMany() && p.group != "":
		return strconv.Itoa(p.processes) + " processes of group " + p.group
	case p.isMany():
		return strconv.Itoa(p.processes) + " processes"
	case p.process != "":
		return wording.ProcessName(p.group, p.process)
	case p.group != "":
		return "group " + p.group
	}
	return ""
}

// where is the host, or how many there are.
func (p Party) where() string {
	if p.host == "" && p.hosts > 1 {
		return strconv.Itoa(p.hosts) + " hosts"
	}
	return p.host
}

// String is how a sentence begins: "api:api_00 on web1".
func (p Party) String() string { return wording.Join(" on ", p.name(), p.where()) }

// inSubject is how a subject begins: the host first, where there is one, since mailboxes
// cut off the rest.
func (p Party) inSubject() string {
	name, where := p.name(), p.where()
	if p.isMany() || name == "" || where == "" {
		return p.String()
	}
	return where + " " + name
}

// subjects are how a subject may begin, what says most first: with the names of up to
// three processes where several are meant.
func (p Party) subjects() []string {
	var list []string
	for n := len(p.names); n > 0 && p.isMany() && p.process == ""; n-- {
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
	return append(list, p.inSubject())
}
