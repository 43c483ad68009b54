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
