// Package queue is what waits for JetStream: a spool on disk and, while the disk takes
// nothing, a bounded part in memory, see Queue. It also finds the slot that is ours in a
// directory that several bridges share, and publishes what another one has left there.
package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"supernats/bridge/spool"
)

// ErrEarlier is returned by Queue.Next when records of an earlier run have come to
// light, which go first: Rewind, and ask Doubt.
var ErrEarlier = errors.New("records of an earlier run have been found")

// Causes of a trouble, as Raise and Clear name them.
const (
	CauseDiskFull = "disk-full"
	CauseUnusable = "spool-unusable"
	CauseLocked   = "spool-locked"
	CauseRemoved  = "spool-removed"
	CauseDamaged  = "spool-damaged"
)

const (
	// lookEvery is how often a queue checks itself while records come, lookIdle
	// while none do.
	lookEvery = 200 * time.Millisecond
	lookIdle  = 5 // of those
	// openEvery is how often a spool that cannot be opened is tried.
	openEvery = time.Second
	// adoptEvery is how often abandoned spools are looked for, adoptAfter how long
	// nobody has one open before it is taken for abandoned, adoptDead the same if its
	// supervisord is known to be dead: the next one may just be starting.
	adoptEvery = 5 * time.Second
	adoptAfter = 30 * time.Second
	adoptDead  = 5 * time.Second
)

// Options are the settings of a queue.
type Options struct {
	// Spool are those of the spool on disk, without Dir.
	Spool spool.Options
	// Find returns the directory to be used. It is asked at each attempt.
	Find func() (dir string, err error)
	// Elsewhere are other directories where spools of ours may have been left.
	Elsewhere []string
	Owner     Owner
	// Supervisord is the process id of our supervisord, 0 if that is our parent: there
	// may be a wrapper between them, which lives on when supervisord has started us again.
	Supervisord int
	// Opening is called before each attempt to open the spool in a directory: our own
	// one, or another that somebody has left. What it returns is its Options.Last, and
	// what is called when it is open, before anything is appended to it.
	Opening func(dir string, own bool) (last func(number uint64, rec []byte), opened func(left spool.Left))
	// Raise and Clear report a trouble and its end; either may be nil, and they are
	// called by a goroutine that holds no lock.
	Raise func(cause, text, fix string)
	Clear func(cause string)
}

// Queue is what waits for JetStream: a spool on disk and, while the disk takes
// nothing, up to 8 MiB or 20,000 records in memory. It opens the spool itself, tries
// again while it cannot, and works without one.
//
//   - Records come out in the order in which they were appended. Once something is in
//     memory, everything goes there until all of it is acknowledged; then the disk is
//     tried again.
//   - A spool that is opened late, or that another bridge has left, goes first: Next
//     returns ErrEarlier, and from the next Rewind on its records come before others.
//   - While NATS takes nothing either, memory takes 1,000 records or 1 MiB.
//   - What is in memory dies with the process, so an event that matters is appended
//     with AppendSafe, and answered when it is safe. How many other events are in
//     memory stands in the spool's tally, where there is one.
//   - A spool that is full by Options.Max is no reason to use memory: NATS is away
//     then, and supervisord's buffer is as good a place.
type Queue struct {
	opt  Options
	more chan struct{}
	kick chan struct{} // wakes the loop

	mu sync.Mutex // guards what follows, up to the atomics

	// Where records go.
	disk    *spool.Spool // nil until it can be opened
	base    string       // the directory that the slot is in
	slot    lockedSlot
	earlier []*spool.Spool // of others, oldest first; they are only read
	late    []*spool.Spool // found since the last Rewind
	mem     memory
	moved   bool // something that was handed out of memory is on the disk now

	// Whether they are taken.
	retry    time.Time // when the disk is tried again
	refused  error     // of the last Append
	diskErr  error     // why the disk takes nothing; nil while it does
	room     chan struct{}
	finished bool

	// What was promised of the events in memory.
	place   []byte           // of the last one that is answered
	unsure  unsure           // one that is not answered yet
	owed    []spool.Reported // what the loss records in memory report
	settled []settling       // who waits for what is in memory

	appended atomic.Bool // since the loop has looked
	again    atomic.Bool // Next returns ErrEarlier

	runs     handedOut // of the reading side alone
	keeper   keeper    // of the loop alone, but for its first attempt, in Open
	reporter reporter

	stop context.CancelFunc
	loop sync.WaitGroup
}

// unsure is the event that AppendSafe has put into memory last: it is safe when so
// many records that were in memory are. Until then its place is not noted: to the
// next run, to which supervisord offers it again, it was never there.
type unsure struct {
	records uint64 // 0: there is none
	place   []byte
}

// settling is somebody who waits until so many records that were in memory are safe.
type settling struct {
	records uint64
	done    chan struct{}
}

// handed is how many records in a row were handed out of a spool, or of memory if
// that is nil, and are not acknowledged.
type handed struct {
	from *spool.Spool
	n    int
}

// Open makes a queue, and tries once to open its spool. The error is that of ctx.
func Open(ctx context.Context, opt Options) (*Queue, error) {
	if opt.Spool.Event == nil {
		opt.Spool.Event = func(rec []byte) []byte { return rec[:0] }
	}
	if opt.Raise == nil {
		opt.Raise = func(string, string, string) {}
	}
	if opt.Clear == nil {
		opt.Clear = func(string) {}
	}
	if opt.Spool.Lost == nil {
		opt.Spool.Lost = func(spool.Loss) {}
	}
	if opt.Spool.Failed == nil {
		opt.Spool.Failed = func(error) {}
	}
	if opt.Spool.Waiting == nil {
		opt.Spool.Waiting = func(string) {}
	}

	q := &Queue{
		opt: opt, more: make(chan struct{}, 1), kick: make(chan struct{}, 1),
	}
	q.keeper = keeper{q: q, free: map[string]time.Time{}}
	q.reporter = reporter{q: q, raised: map[string]string{}}

	q.keeper.open(ctx)
	if ctx.Err() != nil {
		return nil, errors.Join(ctx.Err(), q.Close())
	}
	q.reporter.report()

	loopCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	q.stop = stop
	q.loop.Go(func() { q.keeper.run(loopCtx) })
	return q, nil
}

// Append stores a record at the end, on disk or in memory.
//
// Errors: spool.ErrFull, spool.ErrFinished, spool.ErrTooBig. Append may be called again.
func (q *Queue) Append(rec []byte) error {
	_, err := q.append(rec, spool.Nothing, false)
	return err
}

// AppendSafe is Append for the record of an event that is answered when it is safe,
// which is the next one to be answered. If it is in memory, settled is closed when it
// is acknowledged, or on disk after all; nil says that it is safe.
func (q *Queue) AppendSafe(rec []byte) (settled <-chan struct{}, err error) {
	return q.append(rec, spool.Nothing, true)
}

// AppendLoss is Append for a record that reports events as lost: those that
// Options.Lost was called for, or those of Left.Memory.
func (q *Queue) AppendLoss(rec []byte, memory bool) error {
	of := spool.OfDamage
	if memory {
		of = spool.OfMemory
	}
	_, err := q.append(rec, of, false)
	return err
}

func (q *Queue) append(rec []byte, loss spool.Reported, safe bool) (settled <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.finished {
		return nil, spool.ErrFinished
	}
	if err := spool.CheckSize(rec); err != nil {
		return nil, err
	}

	settled, q.refused = q.store(rec, loss, safe)
	if !q.appended.Load() {
		q.appended.Store(true)
	}
	return settled, q.refused
}

// store does it. The lock is held.
func (q *Queue) store(rec []byte, loss spool.Reported, safe bool) (settled <-chan struct{}, err error) {
	if q.disk != nil && len(q.mem.recs) == 0 && (q.diskErr == nil || time.Now().After(q.retry)) {
		err := q.disk.AppendReporting(rec, loss)
		if errors.Is(err, os.ErrNotExist) {
			// The directory is gone: it is made again before anything else happens.
			if found, cerr := q.disk.Check(); found && cerr == nil {
				q.reporter.removed = time.Now()
				notify(q.kick)
				err = q.disk.AppendReporting(rec, loss)
			}
		}
		switch {
		case err == nil:
			if loss == spool.OfDamage {
				q.settleEarlier()
			}
			if q.diskErr != nil {
				q.diskErr = nil
				notify(q.kick)
			}
			return nil, nil
		case errors.Is(err, spool.ErrFull) && !errors.Is(err, spool.ErrDiskFull):
			noteError(&q.refused, err, q.kick)
			return nil, err
		}
		q.retry = time.Now().Add(diskRetry)
		noteError(&q.diskErr, err, q.kick)
	}

	now := time.Now()
	if !q.mem.fits(len(rec), now) {
		noteError(&q.refused, spool.ErrFull, q.kick)
		return nil, spool.ErrFull
	}

	place := q.opt.Spool.Event(rec)
	q.mem.append(rec, place != nil, now)
	switch {
	case place != nil && safe:
		w := settling{q.mem.safe + uint64(len(q.mem.recs)), make(chan struct{})}
		q.settled = append(q.settled, w)
		settled = w.done
		q.unsure = unsure{w.records, append(q.unsure.place[:0], place...)}
	case place != nil:
		q.place = append(q.place[:0], place...)
	}
	if loss != spool.Nothing {
		q.owed = append(q.owed, loss)
	}
	q.noteMemory()
	notify(q.more)
	return settled, nil
}

// Awaited reports whether somebody waits for what is in memory.
func (q *Queue) Awaited() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.settled) > 0
}

// noteSafe notes that records have left the memory, and ends the wait of those whose
// they are. The lock is held.
func (q *Queue) noteSafe() {
	if u := &q.unsure; u.records > 0 && u.records <= q.mem.safe {
		q.place = append(q.place[:0], u.place...)
		u.records = 0
	}
	q.noteMemory()
	q.settled = slices.DeleteFunc(q.settled, func(w settling) bool {
		if w.records > q.mem.safe {
			return false
		}
		close(w.done)
		return true
	})
}

// settleEarlier says that the losses of the spools of others are reported. The lock
// is held.
func (q *Queue) settleEarlier() {
	for _, s := range q.earlier {
		s.Settle(spool.OfDamage)
	}
}

// noteMemory puts into the spool's tally what is in memory.
func (q *Queue) noteMemory() {
	if q.disk == nil {
		return
	}
	answered := q.mem.events
	if q.unsure.records > 0 {
		answered--
	}
	q.disk.NoteMemory(uint64(answered), q.place)
}

// noteError keeps an error, and wakes the loop if it is another one. The lock is held.
func noteError(kept *error, err error, kick chan struct{}) {
	if *kept == nil || (*kept).Error() != err.Error() {
		notify(kick)
	}
	*kept = err
}

// notify puts a value into a channel that holds one.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Finish says that nothing will be appended any more: when all is read, Next returns
// io.EOF.
func (q *Queue) Finish() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.finished = true
	q.mem.finished = true
	if q.disk != nil {
		q.disk.Finish()
	}
	notify(q.more)
}

// Wake makes More receive a value.
func (q *Queue) Wake() { notify(q.more) }

// Room returns a channel that is closed when Append may have room again.
func (q *Queue) Room() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.room == nil {
		q.room = make(chan struct{})
	}
	return q.room
}

// Close stores what is in memory, as far as the disk takes it now, and closes the
// spool.
func (q *Queue) Close() error {
	if q.stop != nil {
		q.stop()
		q.loop.Wait()
	}
	q.Finish()

	q.mu.Lock()
	disk, earlier := q.disk, q.earlier
	left := q.mem.recs
	if disk != nil && len(left) > 0 {
		n, _ := disk.AppendLeft(left) // the error is that some are left
		q.mem.drop(n, q.opt.Spool.Event)
		left = q.mem.recs
		q.noteSafe()
	}
	q.mu.Unlock()

	var errs []error
	if len(left) > 0 {
		errs = append(errs, fmt.Errorf("%d records are lost: they were in memory, "+
			"and neither JetStream nor the disk took them", len(left)))
	}
	for _, s := range earlier {
		errs = append(errs, s.Close())
	}
	if disk != nil {
		errs = append(errs, disk.Close())
	}
	return errors.Join(errs...)
}
