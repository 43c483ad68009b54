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
	p := w.alive[pid]
	if p == nil && !w.closed {
		if started, ours := w.ours(pid); ours {
			p = w.add(pid, started, false)
		}
	}
	if list := w.kept[pid]; p == nil && len(list) > 0 {
		p = list[len(list)-1] // it is over already
	}
	if p != nil && (p.name == Name{} || !p.reaped) {
		p.name = name
		w.starts.bind(name, p)
	}
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
	var found []*process
	for _, p := range w.kept[pid] {
		if p.name == name || p.name == (Name{}) {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return Exit{}, false
	}

	p := found[0]
	for _, other := range found[1:] {
		if other.status != p.status || other.known != p.known {
			for _, p := range found {
				w.drop(p)
			}
			return Exit{}, false
		}
	}
	w.starts.bind(name, p)
	w.take(p, name)
	return p.exit(), true
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
