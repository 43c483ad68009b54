package look

import "time"

// Life is what is known of a process that has died.
type Life struct {
	// Started is when it was started, by the clock of Now: right to 5 ms, since /proc
	// counts in hundredths of a second.
	Started time.Duration
	// Last is the last look at it; its Time is zero if it died before one.
	Last Look
}

// process is one that runs, or has died and waits for its event.
type process struct {
	pid   int
	start uint64 // ticks since the start of the machine: with pid, its identity
	last  Look
	next  *process // one that had the same pid later, and is gone too
}

// Add says that supervisord has a process. One that is known changes nothing.
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

// Take returns what is known of a process that supervisord has reaped, once: of
// several with its pid, the oldest. died is when that was, by the clock of Now: a
// process that was started after it is another one.
func (l *Looker) Take(pid int, died time.Duration) (Life, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()

	p := l.gone[pid]
	if p != nil {
		l.drop(p)
	} else if p = l.alive[pid]; p != nil && ticks(p.start) <= died {
		delete(l.alive, pid)
	} else {
		return Life{}, false
	}
	return Life{Started: ticks(p.start) + tick/2, Last: p.last}, true
}

// bury moves a process to those that wait for their event. mu is held.
func (l *Looker) bury(p *process) {
	delete(l.alive, p.pid)
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
