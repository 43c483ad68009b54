package deathwatch

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Add watches a process of supervisord's with its name, by an event or a process table.
// One that is watched already gets its name; one that is not supervisord's child (any
// more) changes nothing.
func (w *Watch) Add(pid int, name Name) {
	if pid <= 0 {
		return
	}
	w.mu.Lock()
	defer w.unlock()

	w.catchUp()
	if w.alive[pid] == nil && !w.closed {
		if started, ours := w.ours(pid); ours {
			w.add(pid, started, false)
		}
	}
	if p := w.named(pid, name); p != nil {
		p.name, p.running = name, true
		w.starts.bind(name, p)
	}
}

// named returns the process that an event means with a program's name and a process id,
// nil where that is ambiguous. While the event stood in supervisord's buffer the number
// may have been used again, and the ends of both are kept. Events come in the order of
// what they are about, so it is the oldest that has the name. mu is held.
func (w *Watch) named(pid int, name Name) *process {
	alive := w.alive[pid]
	if alive != nil && alive.running {
		return nil // a process table shows it again
	}
	var fitting []*process
	for _, p := range append(slices.Clone(w.kept[pid]), alive) {
		if p != nil && !p.running && (p.name == name || p.name == Name{}) {
			fitting = append(fitting, p)
		}
	}
	for _, p := range fitting {
		if p.name == name && !p.loose {
			return p
		}
	}

	switch {
	case len(fitting) == 1:
		return fitting[0]
	case len(fitting) == 0 && len(w.kept[pid]) == 0:
		return alive // its variables have another name
	}
	return nil
}

// ours reports whether a process is a child of supervisord, and when it was started:
// a number that was used again by another program is not. Where that cannot be known it
// is taken for one.
func (w *Watch) ours(pid int) (started time.Time, ours bool) {
	if s, ok := readStat(w.cfg.Proc, pid); ok {
		return s.started, s.parent == w.cfg.Parent
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return started, !errors.Is(err, unix.ESRCH)
	}
	defer unix.Close(fd)
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_PID}
	if w.cfg.Info(fd, &info) == nil && info.Mask&unix.PIDFD_INFO_PID != 0 {
		return started, int(info.Ppid) == w.cfg.Parent
	}
	return started, true
}

// Stopping takes note that a process has been asked to stop: its death is not waited for.
func (w *Watch) Stopping(pid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.alive[pid]; p != nil {
		p.stopping, p.pending = true, false
	}
	for _, p := range w.kept[pid] {
		p.pending = false
	}
}

// Gap takes note that events were lost. A death that is reported without a process id
// cannot be matched with those before any more.
func (w *Watch) Gap() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loosen()
}

// Exit returns how a process ended, once, for the event that reports its death:
// supervisord has reaped it. What is ambiguous, since its number was used again, is not
// known.
func (w *Watch) Exit(pid int, name Name) (Exit, bool) {
	w.mu.Lock()
	defer w.unlock()

	w.catchUp()
	if p := w.alive[pid]; p != nil {
		w.settleFor(p)
	}
	p := w.endOf(pid, name)
	if p == nil {
		return Exit{}, false
	}
	w.starts.bind(name, p)
	w.take(p, name)
	return p.exit(), true
}

// endOf returns the end of a process by its number, nil where that is ambiguous: of ends
// with one number the oldest that is the program's own, or one of those without a name,
// if they are all the same. mu is held.
func (w *Watch) endOf(pid int, name Name) *process {
	var fitting []*process
	for _, p := range w.kept[pid] {
		switch {
		case p.name == name && (p.running || !p.loose):
			return p
		case p.name == name, p.name == Name{}:
			fitting = append(fitting, p)
		}
	}
	if len(fitting) == 0 {
		return nil
	}

	for _, p := range fitting {
		if p.status != fitting[0].status || p.known != fitting[0].known {
			for _, p := range fitting {
				w.drop(p)
			}
			return nil
		}
	}
	return fitting[0]
}

// ExitNamed returns how the process with a name ended, once, for an event without a
// process id: the oldest one that nobody has asked for.
//
// One that has died before its name could be read is found by its place among those that
// were started, or by elimination: if all processes without a name ended the same way,
// that is how it ended. That needs the connector, by which none is missing. starting are other programs that are being
// started: as long as they have no process with their name they may have ended too.
// With certain, there has been a process of this program, and that does not matter.
func (w *Watch) ExitNamed(name Name, certain bool, starting []Name) (Exit, bool) {
	w.mu.Lock()
	defer w.unlock()

	w.catchUp()
	for _, p := range w.alive {
		// Its descriptor may be readable, and Run has not come to it.
		switch {
		case p.name == name:
			w.settleFor(p)
		case p.name == Name{} && !p.leftAt.IsZero():
			w.settle(p)
		}
	}

	fork := w.starts.forkOf(name, certain)
	var nameless []*process
	for _, p := range w.order {
		switch {
		case p.loose:
		case p.name == name, p.name == Name{} && fork != 0 && p.fork == fork:
			w.starts.bind(name, p)
			w.take(p, name)
			return p.exit(), true
		case p.name == Name{} && p.known:
			nameless = append(nameless, p)
		}
	}
	if w.connector == nil || len(nameless) == 0 || !certain && !w.allNamed(starting) {
		return Exit{}, false
	}
	for _, p := range nameless {
		if p.status != nameless[0].status {
			return Exit{}, false
		}
	}
	w.take(nameless[0], name)
	exit := nameless[0].exit()
	if len(nameless) > 1 {
		exit.PID = 0
	}
	return exit, true
}

// allNamed reports whether each of some programs has a process. mu is held.
func (w *Watch) allNamed(names []Name) bool {
	missing := make(map[Name]bool, len(names))
	for _, name := range names {
		missing[name] = true
	}
	for _, p := range w.alive {
		delete(missing, p.name)
	}
	return len(missing) == 0
}

// settleFor settles a process whose event has come: it has been reaped, or its number
// is that of another one by now. mu is held.
func (w *Watch) settleFor(p *process) {
	p.reported = true
	w.settle(p)
	p.reported = p.reaped
	if p.reaped || p.fd >= 0 || p.leftAt.IsZero() {
		return
	}
	p.status, p.known = p.first, time.Since(p.leftAt) < pendingFor
	w.end(p)
}

// take forgets an end that is reported, and what is before it: the events of those were
// lost. mu is held.
func (w *Watch) take(p *process, name Name) {
	for i := 0; i < len(w.order) && w.order[i] != p; {
		if w.order[i].name == name {
			w.drop(w.order[i])
		} else {
			i++
		}
	}
	w.drop(p)
}

// Pending reports whether there are deaths that supervisord has not reported yet.
func (w *Watch) Pending() bool {
	w.mu.Lock()
	defer w.mu.Unlock()

	late := time.Now().Add(-pendingFor)
	for p := range w.dying {
		if p.pending && p.died.After(late) {
			return true
		}
	}
	for _, p := range slices.Backward(w.order) {
		if p.died.Before(late) {
			return false
		}
		if p.pending {
			return true
		}
	}
	return false
}

// Sweep does what nothing else has led to: it watches processes that were refused a
// descriptor if there is room now, looks for what the connector has missed, and drops
// ends that nobody has asked for. Call it every few seconds.
func (w *Watch) Sweep() {
	w.mu.Lock()
	for p := range w.dying {
		w.settle(p) // before Linux 6.9 nobody reports the reap
	}
	for len(w.order) > 0 && time.Since(w.order[0].died) > keepFor {
		w.drop(w.order[0])
		w.dropped++
	}
	tries := 0
	for pid := range w.refused {
		if tries++; tries > maxYoung || len(w.byFD) >= w.cfg.Files {
			break
		}
		if p := w.alive[pid]; p != nil {
			_ = w.open(p)
		} else if started, ours := w.ours(pid); ours {
			w.add(pid, started, false)
		} else {
			delete(w.refused, pid)
		}
	}
	overrun := w.overrun
	w.overrun = false
	w.unlock()

	if overrun {
		w.looks.Lock()
		w.looked = 0
		w.looks.Unlock()
		w.Look()
	}
}

// Stats are how many processes are watched now, how many are not since there is no
// descriptor for them, and how many ends were dropped since nobody has asked.
func (w *Watch) Stats() (watched, refused int, dropped uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.byFD), len(w.refused), w.dropped
}
