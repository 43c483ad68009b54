package deathwatch

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// parentOf returns the parent of a process by procfs; ok is false where that cannot
// be read.
func parentOf(proc string, pid int) (parent int, ok bool) {
	b, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, false
	}
	// The name in brackets may hold anything (proc_pid_stat(5)).
	_, rest, found := bytes.Cut(b[max(0, bytes.LastIndexByte(b, ')')):], []byte(" "))
	if !found {
		return 0, false
	}
	fields := bytes.Fields(rest)
	if len(fields) < 2 {
		return 0, false
	}
	parent, err = strconv.Atoi(string(fields[1]))
	return parent, err == nil
}

// lastPID returns the process id that was given last, of processes and of threads
// (proc_loadavg(5)).
func lastPID(proc string) (pid int, ok bool) {
	b, err := os.ReadFile(filepath.Join(proc, "loadavg"))
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(b)
	if len(fields) < 5 {
		return 0, false
	}
	pid, err = strconv.Atoi(string(fields[4]))
	return pid, err == nil
}

// maxSteps bounds how many new process ids are tried one by one; above it, all of
// procfs is read.
const maxSteps = 4 << 10

// Look watches the children of supervisord that were started since the last look. An
// event names a process id only when the program has stayed up for startsecs, which
// is too late for those that die before.
func (w *Watch) Look() {
	if w.cfg.Parent() == 0 {
		return
	}
	defer w.nameAll()
	last, ok := lastPID(w.cfg.Proc)
	if !ok {
		return
	}
	w.looks.Lock()
	defer w.looks.Unlock()

	from := w.looked
	w.looked = last
	switch {
	case last == from:
		return
	case from != 0 && last > from && last-from <= maxSteps:
		for pid := from + 1; pid <= last; pid++ {
			w.try(pid)
		}
	default:
		for _, pid := range pids(w.cfg.Proc) {
			w.try(pid)
		}
	}
}

// try watches a process if it is certain that it is supervisord's child.
func (w *Watch) try(pid int) {
	if parent, ok := parentOf(w.cfg.Proc, pid); ok && parent == w.cfg.Parent() {
		w.Add(pid)
	}
}

// pids returns the processes that procfs shows.
func pids(proc string) (list []int) {
	dir, err := os.Open(proc)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

// maxAsked bounds how often the variables of one process are read: those of another
// user are hidden for good.
const maxAsked = 100

// nameAll finds out the names of processes that are not known yet. supervisord gives
// them to its children as variables (process.py _spawn_as_child), which are there when
// the program is executed and gone when it has died.
func (w *Watch) nameAll() {
	w.mu.Lock()
	defer w.mu.Unlock()

	if w.base == nil {
		w.base = environ(w.cfg.Proc, w.cfg.Parent())
	}
	for pid, p := range w.alive {
		if p.name != (Name{}) || p.asked >= maxAsked {
			continue
		}
		p.asked++
		if env := environ(w.cfg.Proc, pid); !bytes.Equal(env, w.base) {
			p.name = Name{Group: variable(env, "SUPERVISOR_GROUP_NAME"), Process: variable(env, "SUPERVISOR_PROCESS_NAME")}
		}
	}
}

func environ(proc string, pid int) []byte {
	b, _ := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "environ"))
	return b
}

// variable returns the last value of a variable, as a program would see it.
func variable(environ []byte, name string) (value string) {
	for _, line := range bytes.Split(environ, []byte{0}) {
		if v, ok := bytes.CutPrefix(line, []byte(name+"=")); ok {
			value = string(v)
		}
	}
	return value
}
