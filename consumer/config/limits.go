package config

import "supernats/consumer/state"

// Limits are what one host, and all of them, can make the daemon hold: a bridge may send any
// names of hosts and processes.
type Limits struct {
	Hosts            int `yaml:"hosts"`
	ProcessesPerHost int `yaml:"processes_per_host"`
	// Processes are those of all hosts; each takes about a kilobyte of memory.
	Processes int `yaml:"processes"`
}

func defaultLimits() Limits {
	d := state.DefaultLimits()
	return Limits{Hosts: d.Hosts, ProcessesPerHost: d.Processes, Processes: d.AllProcesses}
}

// Fleet returns the limits of the package state; what is not set is as by default.
func (l Limits) Fleet() state.Limits {
	d := state.DefaultLimits()
	if l.Hosts > 0 {
		d.Hosts = l.Hosts
	}
	if l.ProcessesPerHost > 0 {
		d.Processes = l.ProcessesPerHost
	}
	if l.Processes > 0 {
		d.AllProcesses = l.Processes
	}
	return d
}

func (p *problems) checkLimits(l Limits) {
	for _, n := range []struct {
		key   string
		value int
	}{
		{key: "hosts", value: l.Hosts},
		{key: "processes_per_host", value: l.ProcessesPerHost},
		{key: "processes", value: l.Processes},
	} {
		if n.value < 1 {
			p.add("limits."+n.key, "invalid value %d: want a number above 0: nothing would be recorded", n.value)
		}
	}
}
