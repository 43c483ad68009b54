package look

import "time"

// Life is what is known of a process that has died.
type Life struct {
	// Started is when it was started, by the clock of Now: right to 5 ms, since /proc
	// counts in hundredths of a second.
	Started time.Duration
	// Gone is when it was noticed that it was gone, 0 if it was not.
	Gone time.Duration
	// Last is the last look at it; its Time is zero if it died before one.
	Last Look
}

// keepFor is how long a process that is gone waits for its event, which may stand in
// supervisord's buffer after thousands of others.
const keepFor = time.Hour

// process is one that runs, or has died and waits for its event.
type process struct {
	pid   int
	start uint64 // ticks since the start of the machine: with pid, its identity
	last  Look
	// inherited means that it is none of supervisord's programs, which lead a group each
	// (process.py _spawn_as_child), but something that one of them has left to it.
	inherited bool
	buried    time.Duration // when it was noticed that it is gone
	next      *process      // one that had the same pid later, and is gone too
}

// Add notes that supervisord has a process. One that is known changes nothing.
func (l *Looker) Add(pid int) {
	if pid <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.alive[pid] == nil && len(l.added) < l.cfg.Max {
		l.added = append(l.added, pid)
		signal(l.soon)
	}
}

// Death is that of a process which supervisord has reaped; times are by the clock of
// Now.
type Death struct {
	PID int
	// Started is when the process was started, 0 if that is not known.
	Started time.Duration
	// Died is when it has died, or when that was reported.
	Died time.Duration
}

// Take returns what is known of a process that has died, once: of several with its pid
// the one that was started then, or else the oldest. What is older than it is
// forgotten: its event was lost.
func (l *Looker) Take(d Death) (Life, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()

	p := l.find(d, (*process).startedWith)
	if p == nil {
		p = l.find(d, (*process).startedBefore)
	}
	if p == nil {
		return Life{}, false
	}

	for first := l.gone[d.PID]; first != nil && first != p; first = l.gone[d.PID] {
		l.drop(first)
	}
	if l.alive[d.PID] == p {
		delete(l.alive, d.PID)
	} else {
		l.drop(p)
	}
	return Life{Started: ticks(p.start) + tick/2, Gone: p.buried, Last: p.last}, true
}

// find returns the oldest process with the pid of a death that is the one; nil without
// any. mu is held.
func (l *Looker) find(d Death, is func(*process, Death) bool) *process {
	for p := l.gone[d.PID]; p != nil; p = p.next {
		if is(p, d) {
			return p
		}
	}
	if p := l.alive[d.PID]; p != nil && is(p, d) {
		return p
	}
	return nil
}

// startedWith reports whether a process was started when the one that died was.
func (p *process) startedWith(d Death) bool {
	return d.Started != 0 && (d.Started-ticks(p.start)).Abs() <= 2*tick
}

// startedBefore reports whether a process may be the one that died: the time of a start may
// be by a clock that stood still while the machine was suspended.
func (p *process) startedBefore(d Death) bool { return ticks(p.start) <= d.Died }

// bury moves a process to those that wait for their event. mu is held.
func (l *Looker) bury(p *process) {
	delete(l.alive, p.pid)
	if p.inherited {
		return // no event will come
	}

	p.buried = Now()
	if first := l.gone[p.pid]; first == nil {
		l.gone[p.pid] = p
	} else {
		for first.next != nil {
			first = first.next
		}
		first.next = p
	}
	l.order = append(l.order, p)
	if len(l.order) > l.cfg.Max {
		l.drop(l.order[0])
	}
}

// forgetOld drops those whose event has not come for keepFor. mu is held.
func (l *Looker) forgetOld() {
	for now := Now(); len(l.order) > 0 && now-l.order[0].buried > keepFor; {
		l.drop(l.order[0])
	}
}

// drop forgets a process that is gone: the oldest one of its pid. mu is held.
func (l *Looker) drop(p *process) {
	if p.next == nil {
		delete(l.gone, p.pid)
	} else {
		l.gone[p.pid] = p.next
	}
	for i := range l.order {
		if l.order[i] == p {
			l.order = append(l.order[:i], l.order[i+1:]...)
			return
		}
	}
}

// Stats are how many processes are looked at, and how many there was no place for.
func (l *Looker) Stats() (looking, beyond int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.alive), l.beyond
}
