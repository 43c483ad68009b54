package oom

import (
	"context"
	"time"
)

const (
	// lookEvery is how often the machine is asked whether it has killed anyone.
	lookEvery = 500 * time.Millisecond
	// A process may move itself to another cgroup, most likely before it executes its
	// program: where it is is looked up after firstLook, and then after twice as long,
	// up to lastLook.
	firstLook = 5 * time.Millisecond
	lastLook  = time.Minute
	// lostAfter is how many looks a process that is not there any more is kept for its
	// death to be reported: some two hours.
	lostAfter = 128
	// settledAfter is how long after its counter rose a victim has been sent its signal for
	// certain.
	settledAfter = 100 * time.Millisecond
)

// Run looks where processes are, and whether the machine has killed anyone, until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	look := time.Now().Add(lookEvery) // the next Look
	due := look                       // the next of those and of followMoves
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()

	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.fresh:
			if time.Until(due) > firstLook {
				due = time.Now().Add(firstLook)
				timer.Reset(firstLook)
			}
			continue
		case <-timer.C:
		}

		due = w.followMoves()
		if now := time.Now(); !now.Before(look) {
			w.Look()
			look = now.Add(lookEvery)
		}
		if due.IsZero() || due.After(look) {
			due = look
		}
		due = later(due, time.Now().Add(firstLook))
		timer.Reset(time.Until(due))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// followMoves looks where processes are for which it is time, and returns when it is
// for the next one; for those that have been running for a while the next look will do.
func (w *Watch) followMoves() (next time.Time) {
	now := time.Now()
	w.mu.Lock()
	var due []int
	for pid, p := range w.alive {
		if !p.next.After(now) {
			due = append(due, pid)
		}
	}
	w.mu.Unlock()

	for _, pid := range due { // each on its own: others wait for mu
		w.mu.Lock()
		if p := w.alive[pid]; p != nil {
			w.move(pid, p)
			p.wait = min(2*p.wait, lastLook)
			p.next = now.Add(p.wait)
			if p.lost > lostAfter {
				w.drop(pid)
			}
		}
		w.mu.Unlock()
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.alive {
		if p.wait < lookEvery && (next.IsZero() || p.next.Before(next)) {
			next = p.next
		}
	}
	return next
}

// Look asks whether the machine has killed anyone since the last look, and reads the
// counters if it has. Run calls it.
func (w *Watch) Look() {
	w.mu.Lock()
	if w.log != nil {
		w.log.mark()
	}
	kills, counts := w.tree.kills(w.buf)
	quiet := counts && w.counts && kills == w.kills
	w.kills, w.counts = kills, counts
	if !quiet {
		w.changed = time.Now()
	}

	named := w.lookLog(kills, quiet)
	var due []*group
	for _, g := range w.cgroups.groups {
		if !quiet || len(g.raises) > 0 {
			due = append(due, g)
		}
	}
	w.mu.Unlock()

	for _, g := range due { // each on its own: others wait for mu
		w.mu.Lock()
		w.cgroups.sample(g)
		if named {
			g.raises, g.unclear = nil, nil
		}
		w.mu.Unlock()
		if !named {
			w.dismiss(g)
		}
	}
}

// lookLog reads the log if there may be something in it, and reports whether it has
// named everyone.
func (w *Watch) lookLog(kills uint64, quiet bool) (complete bool) {
	switch {
	case w.log == nil:
		return false
	case quiet && w.log.complete(kills), quiet && time.Since(w.changed) > namedFor:
		w.log.settle(kills)
		return true
	}
	return w.readLog(kills, w.counts)
}

// dismiss drops the rises of a group if none of its processes is dying of them: the
// victim is a process that is not followed.
func (w *Watch) dismiss(g *group) {
	now := time.Now()
	pids, ok := w.suspects(g, now)
	if !ok {
		return
	}

	buf := make([]byte, 0, 4<<10)
	for _, pid := range pids {
		if sent, gone := w.tree.pendingKill(pid, buf); sent || gone {
			return
		}
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range g.raises {
		if now.Sub(r.at) >= settledAfter {
			r.left = 0
		}
	}
}

// suspects returns the processes of a group that may be victims of its rises; ok is false
// if it has none whose victim was sent its signal for certain.
func (w *Watch) suspects(g *group, now time.Time) (pids []int, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g.unassigned(now) == 0 || now.Sub(g.raises[0].at) < settledAfter {
		return nil, false
	}

	for pid, p := range w.alive {
		if p.group == g && !p.isGone() {
			pids = append(pids, pid)
		}
	}
	return pids, true
}
