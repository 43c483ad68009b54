package deathwatch

import (
	"bytes"
	"errors"
	"io/fs"
)

// maxSteps bounds how many new process ids are tried one by one; above it, all of
// procfs is read.
const maxSteps = 4 << 10

// Look watches the children of supervisord that were started since the last look. An
// event names a process id only when the program has stayed up for startsecs, which is
// too late for those that die before. Where Connected, only the first look is needed.
func (w *Watch) Look() {
	parent := w.cfg.Parent
	last := lastPID(w.cfg.Proc)
	w.looks.Lock()
	defer w.looks.Unlock()

	from := w.looked
	w.looked = last
	switch {
	case last == from && last != 0:
		return
	case from != 0 && last > from && last-from <= maxSteps:
		for pid := from + 1; pid <= last; pid++ {
			w.try(pid, parent)
		}
	default: // the first look, or the numbers began again
		for _, pid := range pids(w.cfg.Proc) {
			w.try(pid, parent)
		}
	}
}

// Sees reports whether Look finds anything: procfs shows the processes of supervisord's
// user, and which process id was given last.
func (w *Watch) Sees() bool {
	_, shown := readStat(w.cfg.Proc, w.cfg.Parent)
	return shown && lastPID(w.cfg.Proc) > 0
}

// try watches a process if procfs shows that supervisord has started it. What a
// program has started, and left to supervisord when it died, has another session:
// only the children of supervisord are leaders of their group (process.py
// _spawn_as_child calls setpgrp), which cannot leave their session.
func (w *Watch) try(pid, parent int) {
	s, ok := readStat(w.cfg.Proc, pid)
	if !ok || s.parent != parent {
		return
	}
	if w.session == 0 {
		own, _ := readStat(w.cfg.Proc, parent)
		w.session = own.session
	}
	if s.session != w.session {
		return
	}
	w.mu.Lock()
	defer w.unlock()
	w.add(pid, s.started, false)
}

const (
	// maxAsked bounds how often the variables of one process are read, maxYoung how many
	// are read in one call.
	maxAsked = 200
	maxYoung = 64
)

// FindNames finds out the names of processes that are not known yet, and reports
// whether there are more to try. supervisord gives them to its children as variables,
// which are there when the program is executed and gone when it has died.
func (w *Watch) FindNames() (more bool) {
	w.mu.Lock()
	var young []*process
	for len(w.unnamed) > 0 && len(young) < maxYoung {
		p := w.unnamed[len(w.unnamed)-1]
		w.unnamed = w.unnamed[:len(w.unnamed)-1]
		if p.name == (Name{}) && !p.reaped {
			young = append(young, p)
		}
	}
	w.mu.Unlock()

	// Until it executes its program a child shows the variables of supervisord.
	own, _ := environ(w.cfg.Proc, w.cfg.Parent)
	names, hidden := make([]Name, len(young)), make([]bool, len(young))
	for i, p := range young {
		env, err := environ(w.cfg.Proc, p.pid)
		hidden[i] = errors.Is(err, fs.ErrPermission)
		if !bytes.Equal(env, own) {
			names[i] = nameIn(env)
		}
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	for i, p := range young {
		p.asked++
		switch {
		case p.name != Name{}:
		case names[i] != Name{}:
			p.name = names[i]
		case p.asked < maxAsked && !hidden[i]:
			w.unnamed = append(w.unnamed, p)
		}
	}
	return len(w.unnamed) > 0
}
