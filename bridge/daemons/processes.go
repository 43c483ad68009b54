package daemons

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"supernats/bridge/supervisordconf"
)

// Running is a supervisord that runs on this machine.
type Running struct {
	PID int
	// Conf is its configuration file, "" where that is not known. Contained says that it
	// runs in a container: its files are not ours.
	Conf      string
	Contained bool
	// Bridges are those that it has started.
	Bridges []Bridge
}

// Bridge is a bridge that runs.
type Bridge struct {
	PID int
	// Args are the words of its command line after its name.
	Args []string
}

// Environ are the variables of a bridge, ours where they may not be read.
func (b Bridge) Environ() map[string]string { return environOf(b.PID) }

// Machine is what runs here.
type Machine struct {
	Daemons []Running
	// Orphans are bridges that no supervisord has started that still runs.
	Orphans []Bridge
	// Partial says that the processes of others are hidden from us.
	Partial bool
}

// process is what a process says of itself.
type process struct {
	parent int
	argv   []string
}

// Look looks at all processes.
func Look() Machine {
	processes := readProcesses()
	_, seesFirst := processes[1]
	m := Machine{Partial: !seesFirst}

	bridges := map[int][]Bridge{} // by the process id of their supervisord, 0 without one
	for pid, p := range processes {
		if isBridge(p.argv) {
			above := daemonAbove(processes, pid)
			bridges[above] = append(bridges[above], Bridge{PID: pid, Args: p.argv[1:]})
		}
	}
	for pid, p := range processes {
		// supervisord's child looks like it until it has become its program.
		if isDaemon(p.argv) && !slices.Equal(p.argv, processes[p.parent].argv) {
			r := Running{PID: pid, Contained: isContained(pid), Bridges: bridges[pid]}
			if !r.Contained {
				r.Conf, _ = supervisordconf.Find(pid)
			}
			m.Daemons = append(m.Daemons, r)
		}
	}

	slices.SortFunc(m.Daemons, func(a, b Running) int { return a.PID - b.PID })
	m.Orphans = slices.DeleteFunc(bridges[0], func(b Bridge) bool { return isContained(b.PID) })
	return m
}

// readProcesses reads all processes that we may see, by their ids.
func readProcesses() map[int]process {
	entries, _ := os.ReadDir("/proc")
	found := make(map[int]process, len(entries))
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		// The name, in brackets, may hold anything.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) < 2 {
			continue
		}

		line, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		p := process{argv: strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")}
		p.parent, _ = strconv.Atoi(fields[1])
		found[pid] = p
	}
	return found
}

// daemonAbove returns the supervisord that has started a process, perhaps by way of env,
// runuser and the like; 0 without one.
func daemonAbove(processes map[int]process, pid int) int {
	for range len(processes) {
		p, ok := processes[pid]
		if !ok {
			return 0
		}
		if pid = p.parent; isDaemon(processes[pid].argv) {
			return pid
		}
	}
	return 0
}

// isDaemon reports whether a command line is that of a supervisord, with or without its
// interpreter.
func isDaemon(argv []string) bool {
	for i, word := range argv {
		base := filepath.Base(word)
		switch {
		case base == "supervisord":
			return true
		case i == 0 && !strings.HasPrefix(base, "python") && !strings.HasPrefix(base, "pypy"):
			return false
		case i > 0 && !strings.HasPrefix(word, "-"):
			return false // another script
		}
	}
	return false
}

// isBridge reports whether a command line is that of a bridge itself: none of its other
// commands, and no wrapper before it.
func isBridge(argv []string) bool {
	if len(argv) == 0 || !strings.HasPrefix(filepath.Base(argv[0]), "supernats-bridge") {
		return false
	}
	return len(argv) == 1 || argv[1] == "run" || strings.HasPrefix(argv[1], "-") && !slices.Contains(argv, "doctor")
}

// isContained reports whether a process sees other files than we do.
func isContained(pid int) bool {
	its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	own, ownErr := os.Readlink("/proc/self/ns/mnt")
	return err == nil && ownErr == nil && its != own
}
