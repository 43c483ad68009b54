package look

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Run looks until ctx ends.
func (l *Looker) Run(ctx context.Context) error {
	// Ticks of supervisord come first; without them this is the clock.
	clock := time.NewTimer(every)
	defer clock.Stop()
	hurry := time.NewTimer(0)
	defer hurry.Stop()

	for until := time.Now().Add(hurryLasts); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-l.tick:
			clock.Reset(tickLate)
			l.pass(ctx, true)
		case <-clock.C:
			clock.Reset(every)
			l.pass(ctx, true)
		case <-l.soon:
			now := time.Now()
			if now.After(until) { // else hurry is set
				hurry.Reset(soonAfter)
			}
			until = now.Add(hurryLasts)
		case <-hurry.C:
			l.pass(ctx, false)
			if time.Now().Before(until) {
				hurry.Reset(hurryEvery)
			}
		}
	}
	return ctx.Err()
}

// pass looks at all processes, or at those that are new or young.
func (l *Looker) pass(ctx context.Context, all bool) {
	begun := time.Now()
	l.discover()

	young := Now() - hurryLasts
	l.mu.Lock()
	l.forgetOld()
	for _, p := range l.alive {
		if all || ticks(p.start) > young || p.last.Time.IsZero() {
			l.turn = append(l.turn, p)
		}
	}
	l.mu.Unlock()

	for i, p := range l.turn {
		l.look(p)
		if (i+1)%batch != 0 {
			continue
		}
		if !l.rest(ctx, min(time.Since(begun)*restShare, longestRest)) {
			break
		}
		begun = time.Now()
	}
	clear(l.turn) // those that were taken meanwhile are garbage
	l.turn = l.turn[:0]
}

// rest waits, and reports whether ctx has not ended.
func (l *Looker) rest(ctx context.Context, d time.Duration) bool {
	l.resting.Reset(d)
	select {
	case <-ctx.Done():
		return false
	case <-l.resting.C:
		return true
	}
}

// discover begins to look at new processes: children of supervisord, and those that events
// have named.
func (l *Looker) discover() {
	l.found = l.found[:0]
	children := false
	if l.cfg.Parent != 0 {
		l.found, children = l.proc.children(l.found, l.cfg.Parent)
	}

	l.mu.Lock()
	if !children { // what events name is among them otherwise
		l.found = append(l.found, l.added...)
	}
	l.added = l.added[:0]
	fresh := l.found[:0]
	for _, pid := range l.found {
		if l.alive[pid] == nil {
			fresh = append(fresh, pid)
		}
	}
	free := l.cfg.Max - len(l.alive)
	l.beyond = max(0, len(fresh)-free)
	l.mu.Unlock()

	if len(fresh) > free {
		err := fmt.Errorf("%w: %d are looked at, %d are not", ErrTooMany, l.cfg.Max, len(fresh)-free)
		l.said.report(ErrTooMany, err)
		fresh = fresh[:free]
	}
	for _, pid := range fresh {
		l.begin(pid)
	}
}

// begin begins to look at a process.
func (l *Looker) begin(pid int) {
	s, err := l.proc.stat(pid)
	switch {
	case err != nil && !errors.Is(unix.Kill(pid, 0), unix.ESRCH):
		l.said.report(ErrHidden, fmt.Errorf("process %d is %w: %w", pid, ErrHidden, err))
		return
	case err != nil || s.isDead() || l.cfg.Parent != 0 && s.parent != l.cfg.Parent:
		return
	}

	l.mu.Lock()
	l.alive[pid] = &process{pid: pid, start: s.start}
	l.mu.Unlock()
}

// look looks at one process.
func (l *Looker) look(p *process) {
	s, err := l.proc.stat(p.pid)
	same := err == nil && s.start == p.start
	if same && (s.isDead() || s.forked) {
		return // its memory is gone, so that what was seen before is worth more, or supervisord's
	}

	var seen Look
	if same {
		seen = Look{
			Time: time.Now(), RSS: s.rss, Peak: max(l.proc.peak(p.pid), s.rss), CPU: ticks(s.cpu),
			Threads: s.threads, Descriptors: l.proc.descriptors(p.pid),
			Age: max(0, Now()-ticks(p.start)-tick/2),
		}
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.alive[p.pid] != p: // taken meanwhile
	case same:
		p.last = seen
		// supervisord's own lead a group as soon as they run.
		p.inherited = l.cfg.Parent != 0 && s.group != p.pid && seen.Age > hurryEvery
	case err == nil, errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH):
		l.bury(p)
	}
}
