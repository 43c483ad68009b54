package deathwatch

import "time"

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

	t := &w.table
	if t.alive[pid] == nil && !w.closed {
		if started, ours := w.children.isOurs(pid); ours {
			t.add(pid, started, false)
		}
	}
	if p := t.named(pid, name); p != nil {
		p.name, p.running = name, true
		t.starts.bind(name, p)
	}
}

// Starting takes note that supervisord has reported the start of a program.
func (w *Watch) Starting(name Name) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.table.starts.add(name)
}

// Stopping takes note that a process has been asked to stop: its death is not waited for.
func (w *Watch) Stopping(pid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.table.alive[pid]; p != nil {
		p.stopping, p.pending = true, false
	}
	for _, p := range w.table.ends.byPID[pid] {
		p.pending = false
	}
}

// Gap takes note that events were lost. A death that is reported without a process id
// cannot be matched with those before any more.
func (w *Watch) Gap() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.table.loosen()
}

// Exit returns how a process ended, once, for the event that reports its death:
// supervisord has reaped it. What is ambiguous, since its number was used again, is not
// known.
func (w *Watch) Exit(pid int, name Name) (Exit, bool) {
	w.mu.Lock()
	defer w.unlock()
	w.catchUp()

	t := &w.table
	if p := t.alive[pid]; p != nil {
		t.settleReported(p)
	}
	p := t.ends.find(pid, name)
	if p == nil {
		return Exit{}, false
	}
	t.starts.bind(name, p)
	return t.take(p, name), true
}

// ExitNamed returns how the process with a name ended, once, for an event without a
// process id: the oldest one that was not asked for yet.
//
// One that has died before its name could be read is found by its place among those that
// were started, or by elimination: if all processes without a name ended the same way,
// that is how it ended. That needs the connector, by which none is missing. starting are
// other programs that are being started: as long as they have no process with their name
// they may have ended too. With certain, there has been a process of this program, and that
// does not matter.
func (w *Watch) ExitNamed(name Name, certain bool, starting []Name) (Exit, bool) {
	w.mu.Lock()
	defer w.unlock()
	w.catchUp()

	t := &w.table
	for _, p := range t.alive {
		// Its descriptor may be readable, and Run has not come to it.
		switch {
		case p.name == name:
			t.settleReported(p)
		case p.name == Name{} && !p.leftAt.IsZero():
			t.settle(p)
		}
	}

	// By its name, or by its place among those that were started.
	fork := t.starts.forkOf(name, certain)
	for _, p := range t.ends.order {
		if !p.loose && (p.name == name || p.name == Name{} && fork != 0 && p.fork == fork) {
			t.starts.bind(name, p)
			return t.take(p, name), true
		}
	}

	// By elimination.
	nameless := t.ends.nameless()
	if !t.connected || len(nameless) == 0 || !certain && !t.allNamed(starting) {
		return Exit{}, false
	}
	for _, p := range nameless {
		if p.status != nameless[0].status {
			return Exit{}, false
		}
	}
	exit := t.take(nameless[0], name)
	if len(nameless) > 1 {
		exit.PID = 0
	}
	return exit, true
}

// Pending reports whether there are deaths that supervisord has not reported yet.
func (w *Watch) Pending() bool {
	w.mu.Lock()
	defer w.mu.Unlock()

	since := time.Now().Add(-pendingFor)
	for p := range w.table.dying {
		if p.pending && p.died.After(since) {
			return true
		}
	}
	return w.table.ends.pendingSince(since)
}

// Sweep does what nothing else has led to: it watches processes that were refused a
// descriptor if there is room now, looks for what the connector has missed, and drops
// ends that were never asked for. Call it every few seconds.
func (w *Watch) Sweep() {
	w.mu.Lock()
	for p := range w.table.dying {
		w.table.settle(p) // before Linux 6.9 the reap is not reported
	}
	w.table.ends.dropOld()
	w.tryRefused()
	overrun := w.overrun
	w.overrun = false
	w.unlock()

	if overrun {
		w.children.startOver()
		w.Look()
	}
}

// tryRefused tries to watch some of the processes that were refused a descriptor. mu is
// held.
func (w *Watch) tryRefused() {
	t := &w.table
	tries := 0
	for pid := range t.refused {
		if tries++; tries > maxYoung || len(t.byFD) >= w.cfg.Files {
			break
		}
		if p := t.alive[pid]; p != nil {
			_ = t.open(p)
		} else if started, ours := w.children.isOurs(pid); ours {
			t.add(pid, started, false)
		} else {
			delete(t.refused, pid)
		}
	}
}

// Stats are how many processes are watched now, how many are not since there is no
// descriptor for them, and how many ends were dropped because no event has asked for
// them.
func (w *Watch) Stats() (watched, refused int, dropped uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.table.byFD), len(w.table.refused), w.table.ends.dropped
}
