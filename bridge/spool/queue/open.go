package queue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"supernats/bridge/spool"
)

// run looks after the queue until ctx ends.
func (q *Queue) run(ctx context.Context) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	var opened, adopted time.Time
	for n := 0; ; n++ {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-q.kick:
			asked = true
		case <-t.C:
		}
		if !q.appended.Swap(false) && !asked && n%lookIdle != 0 {
			continue
		}
		now := time.Now()
		if q.Dir() == "" && now.Sub(opened) >= openEvery {
			q.open(ctx)
			opened = time.Now()
		}
		q.check(now)
		q.move(now)
		if now.Sub(adopted) >= adoptEvery {
			q.adopt(ctx, now)
			adopted = now
		}
		q.report()
	}
}

// open tries to open the spool.
func (q *Queue) open(ctx context.Context) {
	dir, err := q.opt.Find()
	var s lockedSlot
	if err == nil {
		s, err = takeSlot(ctx, dir, q.opt.Owner, lifeOf(q.opt.Supervisord), q.opt.Spool.Waiting)
	}
	var disk *spool.Spool
	var opened func(spool.Left)
	if err == nil {
		disk, opened, err = q.openSlot(ctx, s, true)
	}
	if err != nil {
		q.mu.Lock()
		q.diskErr = err
		q.mu.Unlock()
		return
	}
	opened(disk.Left())
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.finished {
		disk.Finish()
	}
	q.base, q.slot, q.disk, q.diskErr = dir, s, disk, nil
	if len(q.mem.recs) > 0 || q.stop != nil {
		q.noteMemory()
		q.noteEarlier(disk)
	}
}

// noteEarlier takes note of a spool with records of an earlier run. The lock is held.
func (q *Queue) noteEarlier(s *spool.Spool) {
	if s.Stats().Records == 0 {
		return
	}
	q.late = append(q.late, s)
	q.again.Store(true)
	q.signal()
}

func (q *Queue) openSlot(ctx context.Context, s lockedSlot, own bool) (*spool.Spool, func(spool.Left), error) {
	opt := q.opt.Spool
	opt.Dir, opt.Lock, opt.More = s.dir, s.lock, q.more
	opt.Lost = q.lost
	opened := func(spool.Left) {}
	if q.opt.Opening != nil {
		opt.Last, opened = q.opt.Opening(s.dir, own)
	}
	disk, err := spool.Open(ctx, opt)
	return disk, opened, err
}

// lost passes on what a spool reports.
func (q *Queue) lost(l spool.Loss) {
	q.mu.Lock()
	q.damaged = time.Now()
	if l.File != "" && !slices.Contains(q.damage, l.File) && len(q.damage) < maxSlots {
		q.damage = append(q.damage, l.File)
	}
	q.mu.Unlock()
	q.wake()
	q.opt.Spool.Lost(l)
}

// check looks whether the spool is still there.
func (q *Queue) check(now time.Time) {
	q.mu.Lock()
	disk := q.disk
	q.mu.Unlock()
	if disk == nil {
		return
	}
	found, err := disk.Check()
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case err != nil:
		q.diskErr = err
	case found:
		q.found, q.retry = now, time.Time{}
	}
}

// adopt opens a spool that somebody has left, to publish what is in it.
func (q *Queue) adopt(ctx context.Context, now time.Time) {
	q.mu.Lock()
	busy := len(q.earlier) > 0 || q.finished
	if _, known := readOwner(q.slot.dir); !known && q.disk != nil {
		_ = writeOwner(q.slot.dir, q.slot.owner) // the disk was full, or somebody removed it
	}
	dirs := q.opt.Elsewhere
	if q.base != "" && !slices.Contains(dirs, q.base) {
		dirs = append([]string{q.base}, dirs...)
	}
	q.mu.Unlock()
	if busy {
		return
	}
	for _, name := range abandoned(dirs, q.opt.Owner.Host, q.Dir(), q.free, now) {
		lock, err := spool.TryLock(name)
		if err != nil {
			continue
		}
		s, opened, err := q.openSlot(ctx, lockedSlot{dir: name, lock: lock}, false)
		if err != nil {
			q.opt.Spool.Failed(fmt.Errorf("open the spool that somebody has left: %w", err))
			continue
		}
		s.Finish()
		opened(s.Left())
		q.mu.Lock()
		q.earlier = append(slices.Clone(q.earlier), s)
		q.noteEarlier(s)
		q.mu.Unlock()
		return
	}
}
