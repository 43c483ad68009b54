package oom

import "time"

// Dead takes note that processes have died, best before they are reaped, and decides
// for each that is followed whether memory ran out. A counter that is read now has
// counted them.
func (w *Watch) Dead(pids ...int) {
	w.mu.Lock()
	defer w.mu.Unlock()

	// The machine's counter rises first. If it has not since the last look, no group's has.
	kills, counts := w.tree.kills(w.buf)
	rose := !counts || !w.counts || kills != w.kills

	groups := map[*group][]int{}
	for _, pid := range pids {
		p := w.alive[pid]
		if p == nil {
			continue
		}
		if rose && p.group != nil && p.group.h.v2 {
			w.move(pid, p) // v2 still says where the dead are
		}
		groups[p.group] = append(groups[p.group], pid)
	}
	if len(groups) == 0 {
		return
	}

	for g := range groups {
		if rose {
			w.cgroups.sample(g)
		}
	}
	complete := w.readLog(kills, counts)
	for g, dead := range groups {
		dead = w.judgeNamed(g, dead)
		if g == nil {
			continue
		}
		if complete {
			g.raises, g.unclear = nil, nil // of whom, is known
		} else if g.unassigned(time.Now()) > 0 {
			w.judgeCounted(g, dead)
		}
	}

	for _, pid := range pids {
		w.drop(pid)
	}
}

// readLog reads the kernel's log if it has not named everyone yet whom the machine's
// counter has counted, and reports whether it has then.
func (w *Watch) readLog(kills uint64, counts bool) (complete bool) {
	if w.log == nil {
		return false
	}
	if !counts || !w.log.complete(kills) {
		w.log.drain(time.Now())
	}
	return counts && w.log.complete(kills)
}

// judgeNamed decides for those that the log names, and returns the others. The group is
// nil where it is not known.
func (w *Watch) judgeNamed(g *group, dead []int) (others []int) {
	if w.log == nil {
		return dead
	}

	now := time.Now()
	for _, pid := range dead {
		v, ok := w.log.named[pid]
		if !ok {
			others = append(others, pid)
			continue
		}
		delete(w.log.named, pid)

		verdict := verdict{oom: w.cgroups.namedPlace(g, v, now)}
		if g != nil {
			verdict.raise = g.claim(now)
		}
		w.verdicts.keep(pid, verdict)
	}
	return others
}

// judgeCounted decides by numbers: the dead of a group whose counter rose are victims if
// no more processes can be than it rose by.
func (w *Watch) judgeCounted(g *group, dead []int) {
	var killed []int
	for _, pid := range dead {
		if sent, gone := w.tree.pendingKill(pid, w.buf); sent || gone {
			killed = append(killed, pid)
		}
	}
	if len(killed) == 0 {
		return
	}

	// The counter is read again if it is too low: for those that are dying it rose before
	// they were sent the signal.
	fits := func(candidates int) bool {
		if candidates > g.unassigned(time.Now()) {
			w.cgroups.sample(g)
		}
		return candidates <= g.unassigned(time.Now())
	}
	candidates := len(killed) + len(g.unclear)
	certain := fits(candidates) && fits(candidates+w.dying(g, dead, g.unassigned(time.Now())-candidates))

	now := time.Now()
	for _, pid := range killed {
		if certain {
			w.verdicts.keep(pid, verdict{oom: w.cgroups.countedPlace(g, now), raise: g.claim(now)})
		} else {
			g.unclear = append(g.unclear, now)
			w.unclear++
		}
	}
}

// dying counts the other processes of a group that were sent SIGKILL. Where there is
// room for all of them it does not look.
func (w *Watch) dying(g *group, dead []int, room int) (n int) {
	known := make(map[int]bool, len(dead))
	for _, pid := range dead {
		known[pid] = true
	}
	var others []int
	for pid, p := range w.alive {
		if p.group == g && !known[pid] && !p.isGone() {
			others = append(others, pid)
		}
	}
	if len(others) <= room {
		return len(others)
	}

	for _, pid := range others {
		if sent, gone := w.tree.pendingKill(pid, w.buf); sent || gone {
			n++
		}
	}
	return n
}
