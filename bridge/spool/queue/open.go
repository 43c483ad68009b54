package queue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"supernats/bridge/spool"
	"supernats/bridge/spool/files"
)

// keeper is the goroutine that opens the spool, checks that it is still there, moves to it
// what is in memory, and adopts what other bridges have left.
type keeper struct {
	q *Queue
	// free is since when nobody has a spool of another bridge open, by directory.
	free map[string]time.Time
}

// run looks after the queue until ctx ends.
func (k *keeper) run(ctx context.Context) {
	q := k.q
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
			k.open(ctx)
			opened = time.Now()
		}
		k.checkFiles(now)
		k.moveToDisk(now)
		if now.Sub(adopted) >= adoptEvery {
			k.adopt(ctx, now)
			adopted = now
		}
		q.reporter.report()
	}
}

// open tries to open the spool.
func (k *keeper) open(ctx context.Context) {
	q := k.q
	dir, err := q.opt.Find()
	var s lockedSlot
	if err == nil {
		s, err = takeSlot(ctx, dir, q.opt.Owner, lifeOf(q.opt.Supervisord), q.opt.Spool.Waiting)
	}

	var disk *spool.Spool
	var opened func(spool.Left)
	if err == nil {
		disk, opened, err = k.openSlot(ctx, s, true)
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
	q.base = dir
	q.slot = s
	q.disk = disk
	q.diskErr = nil
	if len(q.mem.recs) > 0 || q.stop != nil {
		q.noteMemory()
		k.noteEarlier(disk)
	}
}

// noteEarlier notes a spool that may hold records of an earlier run. The lock is held.
func (k *keeper) noteEarlier(s *spool.Spool) {
	q := k.q
	if s.Stats().Records == 0 {
		return
	}
	q.late = append(q.late, s)
	q.again.Store(true)
	notify(q.more)
}

// openSlot opens the spool in a slot that is locked; own says that the slot is ours. The
// function returned is called with what is left in the spool, before it is used.
func (k *keeper) openSlot(ctx context.Context, s lockedSlot, own bool) (*spool.Spool, func(spool.Left), error) {
	q := k.q
	opt := q.opt.Spool
	opt.Dir = s.dir
	opt.Lock = s.lock
	opt.More = q.more
	opt.Lost = q.reporter.lost
	opened := func(spool.Left) {}
	if q.opt.Opening != nil {
		opt.Last, opened = q.opt.Opening(s.dir, own)
	}
	disk, err := spool.Open(ctx, opt)
	return disk, opened, err
}

// checkFiles checks whether the spool is still there.
func (k *keeper) checkFiles(now time.Time) {
	q := k.q
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
		q.reporter.removed = now
		q.retry = time.Time{}
	}
}

// adopt opens a spool that another bridge left, to publish what is in it.
func (k *keeper) adopt(ctx context.Context, now time.Time) {
	q := k.q
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

	for _, name := range abandoned(dirs, q.opt.Owner.Host, q.Dir(), k.free, now) {
		lock, err := files.TryLock(name)
		if err != nil {
			continue
		}
		s, opened, err := k.openSlot(ctx, lockedSlot{dir: name, lock: lock}, false)
		if err != nil {
			q.opt.Spool.Failed(fmt.Errorf("open the spool that another bridge left: %w", err))
			continue
		}

		s.Finish()
		opened(s.Left())
		q.mu.Lock()
		q.earlier = append(slices.Clone(q.earlier), s)
		k.noteEarlier(s)
		q.mu.Unlock()
		return
	}
}

// moveAfter is how long nothing of what is in memory is acknowledged before it is
// moved to a disk that takes records again.
const moveAfter = time.Second

// moveToDisk moves to the disk what has waited in memory for moveAfter. Records that were
// handed out are handed out again, from there: Next returns ErrEarlier.
func (k *keeper) moveToDisk(now time.Time) {
	q := k.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.disk == nil || len(q.mem.recs) == 0 || now.Sub(q.mem.moved) < moveAfter || now.Before(q.retry) {
		return
	}

	q.disk.BeginSegment() // as in ackMemory
	handedOut := q.mem.read
	n, _ := q.disk.AppendLeft(q.mem.recs) // the next Append returns the error too
	if n == 0 {
		q.retry = now.Add(diskRetry)
		return
	}

	q.mem.read = max(n, handedOut)
	q.mem.ack(n, q.opt.Spool.Event)
	q.mem.read = max(0, handedOut-n)
	if len(q.mem.recs) == 0 {
		q.diskErr = nil
		q.settleOwed()
	}
	q.noteSafe()
	if handedOut > 0 {
		q.moved = true
		q.again.Store(true)
	}
	notify(q.more)
}
