// Package queue holds what waits for JetStream: in a spool on disk and, while the disk takes
// nothing, in a bounded part of memory, see Queue. It also finds our slot in a directory
// that several bridges share, and takes over what another bridge left there.
package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"supernats/bridge/spool"
)

// ErrEarlier is returned by Queue.Next when records of an earlier run have come to light:
// they go first. Call Rewind, and then Doubt.
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
	// lookEvery is how often a queue checks itself while records come. While none come it
	// does so each lookIdle-th time.
	lookEvery = 200 * time.Millisecond
	lookIdle  = 5
	// openEvery is how often a spool that could not be opened is tried again.
	openEvery = time.Second
	// adoptEvery is how often a queue searches for abandoned spools. A spool counts as
	// abandoned when nobody has had it open for adoptAfter; for adoptDead, if its supervisord
	// is known to be dead: the next one may just be starting.
	adoptEvery = 5 * time.Second
	adoptAfter = 30 * time.Second
	adoptDead  = 5 * time.Second
)

// Options are the settings of a queue.
type Options struct {
	// Spool is the settings of the spool on disk, without Dir.
	Spool spool.Options
	// Find returns the directory to be used. It is called at each attempt to open the spool.
	Find func() (dir string, err error)
	// Elsewhere is other directories in which spools of ours may have been left.
	Elsewhere []string
	Owner     Owner
	// Supervisord is the process id of our supervisord, 0 if that is our parent. A wrapper
	// between the two may outlive us, when supervisord has already started us again.
	Supervisord int
	// Opening is called before each attempt to open the spool in a directory: our own, or
	// one that another bridge left. It returns the spool's Options.Last, and what is called
	// when it is open, before anything is appended to it. May be nil.
	Opening func(dir string, own bool) (last func(number uint64, rec []byte), opened func(left spool.Left))
	// Raise and Clear report a trouble and its end. They are called by a goroutine that
	// holds no lock; either may be nil.
	Raise func(cause, text, fix string)
	Clear func(cause string)
}

// Queue holds what waits for JetStream: in a spool on disk and, while the disk takes
// nothing, up to 8 MiB or 20,000 records in memory. It opens the spool itself, tries again
// while it cannot, and also works without one.
//
//   - Records come out in the order in which they were appended. Once something is in
//     memory, everything goes there until all of it is acknowledged; then the disk is
//     tried again.
//   - A spool that is opened late, or that another bridge left, goes first: Next returns
//     ErrEarlier, and from the next Rewind on its records come before all others.
//   - While NATS takes nothing either, memory takes 1,000 records or 1 MiB.
//   - What is in memory dies with the process, so an event that matters is appended
//     with AppendSafe, and answered when it is safe. The spool's tally, where there is one,
//     has the number of the other events in memory.
//   - A spool that has reached Options.Max is no reason to use memory: NATS is away then,
//     and supervisord's buffer is as good a place.
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

	// Whether records are taken.
	retry    time.Time // when the disk is tried again
	refused  error     // of the last Append
	diskErr  error     // why the disk takes nothing; nil while it does
	room     chan struct{}
	finished bool

	// What was promised of the events in memory.
	place   []byte           // of the last one that is answered
	unsure  unsure           // the one that is not answered yet
	owed    []spool.Reported // the losses that records in memory report
	settled []settling       // the callers of AppendSafe that wait

	appended atomic.Bool // since the loop last checked
	again    atomic.Bool // Next returns ErrEarlier

	runs     handedOut // of the reading side alone
	keeper   keeper    // of the loop alone, except for its first attempt, in Open
	reporter reporter

	stop context.CancelFunc
	loop sync.WaitGroup
}

// unsure is the event that AppendSafe put into memory last. Until it is safe its place is
// not noted: supervisord offers the event again to the next run, for which it was never
// there.
type unsure struct {
	records uint64 // it is safe when memory.safe is that many; 0: there is none
	place   []byte
}

// settling is a caller of AppendSafe that waits.
type settling struct {
	records uint64        // it waits until memory.safe is that many
	done    chan struct{} // closed then
}

// handed is a run of records that were handed out of one spool, or of memory if from is
// nil, and are not acknowledged.
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

// AppendSafe is Append for the record of an event that is answered only when it is safe;
// no event after it is answered before. If it is in memory, settled is closed when it is
// acknowledged, or on disk after all. If settled is nil it is safe.
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

// Awaited reports whether somebody waits for what is in memory.
func (q *Queue) Awaited() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.settled) > 0
}

// notify puts a value into a channel that holds one.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Finish ends appending: when all is read, Next returns io.EOF.
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

// Close moves what is in memory to the disk, if that takes it now, and closes the spool.
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
		n, _ := disk.AppendLeft(left) // after an error some are left
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
