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
	// lookEvery is how often a queue looks after itself while records come, lookIdle
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
// spool.Nothing, up to 8 MiB or 20,000 records in memory. It opens the spool itself, tries
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

	mu       sync.Mutex
	disk     *spool.Spool // nil until it can be opened
	base     string       // the directory that the slot is in
	slot     lockedSlot
	earlier  []*spool.Spool // of others, oldest first; they are only read
	late     []*spool.Spool // found since the last Rewind
	mem      memory
	moved    bool   // something that was handed out of memory is on the disk now
	place    []byte // of the last event in memory that is answered
	unsure   unsure // an event in memory that is not answered yet
	retry    time.Time
	refused  error            // of the last Append
	diskErr  error            // why the disk takes nothing; nil while it does
	owed     []spool.Reported // what the loss records in memory report
	room     chan struct{}
	settled  []settling // who waits for what is in memory
	finished bool
	found    time.Time // when a removal was found
	damage   []string  // files that were set aside
	damaged  time.Time // when a damage was found

	appended atomic.Bool // since the loop has looked
	again    atomic.Bool // Next returns ErrEarlier

	// Of the reading side alone.
	runs []handed

	// Of the loop alone.
	raised map[string]string
	free   map[string]time.Time

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

// settling is one who waits until so many records that were in memory are safe.
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
		raised: map[string]string{}, free: map[string]time.Time{},
	}
	q.open(ctx)
	if ctx.Err() != nil {
		return nil, errors.Join(ctx.Err(), q.Close())
	}
	q.report()
	loopCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	q.stop = stop
	q.loop.Go(func() { q.run(loopCtx) })
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
	switch {
	case q.finished:
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
				q.found = time.Now()
				q.wake()
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
				q.wake()
			}
			return nil, nil
		case errors.Is(err, spool.ErrFull) && !errors.Is(err, spool.ErrDiskFull):
			q.wakeFor(&q.refused, err)
			return nil, err
		}
		q.retry = time.Now().Add(diskRetry)
		q.wakeFor(&q.diskErr, err)
	}
	now := time.Now()
	if !q.mem.fits(len(rec), now) {
		q.wakeFor(&q.refused, spool.ErrFull)
		return nil, spool.ErrFull
	}
	place := q.opt.Spool.Event(rec)
	q.mem.append(rec, place != nil, now)
	switch {
	case place != nil && safe:
		w := settling{q.mem.safe + uint64(len(q.mem.recs)), make(chan struct{})}
		q.settled, settled = append(q.settled, w), w.done
		q.unsure = unsure{w.records, append(q.unsure.place[:0], place...)}
	case place != nil:
		q.place = append(q.place[:0], place...)
	}
	if loss != spool.Nothing {
		q.owed = append(q.owed, loss)
	}
	q.noteMemory()
	q.signal()
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
		q.place, u.records = append(q.place[:0], u.place...), 0
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

// wakeFor notes an error, and wakes the loop if it is another one.
func (q *Queue) wakeFor(was *error, err error) {
	if *was == nil || (*was).Error() != err.Error() {
		q.wake()
	}
	*was = err
}

func (q *Queue) wake() {
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

func (q *Queue) signal() {
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// Finish says that nothing will be appended any more: when all is read, Next returns
// io.EOF.
func (q *Queue) Finish() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.finished, q.mem.finished = true, true
	if q.disk != nil {
		q.disk.Finish()
	}
	q.signal()
}

// Wake makes More receive a value.
func (q *Queue) Wake() { q.signal() }

// Room returns a channel that is closed when Append may have room again.
func (q *Queue) Room() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.room == nil {
		q.room = make(chan struct{})
	}
	return q.room
}

// Used is the part of Options.Max, or of the memory's limit, that is in use.
func (q *Queue) Used() float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	used := q.mem.used()
	if q.disk != nil {
		used = max(used, q.disk.Used())
	}
	return used
}

// Stats are figures of a moment.
type Stats struct {
	spool.Stats
	// Memory is how many of Records are in memory, Disk why they are not on disk.
	Memory int
	Disk   error
}

// Stats returns how much waits. Err is why the last Append stored nothing.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	var st Stats
	if q.disk != nil {
		st.Stats = q.disk.Stats()
	}
	for _, s := range q.earlier {
		e := s.Stats()
		st.Records += e.Records
		st.Bytes += e.Bytes
		st.Segments += e.Segments
	}
	st.Memory, st.Disk = len(q.mem.recs), q.diskErr
	st.Records += uint64(st.Memory)
	if st.Err = q.refused; q.finished {
		st.Err = spool.ErrFinished
	}
	return st
}

// Oldest returns the oldest record that is not done, nil if there is none.
func (q *Queue) Oldest() ([]byte, error) {
	q.mu.Lock()
	all := slices.Clone(q.earlier)
	if q.disk != nil {
		all = append(all, q.disk)
	}
	var mem []byte
	if len(q.mem.recs) > 0 {
		mem = q.mem.recs[0]
	}
	q.mu.Unlock()
	for _, s := range all {
		if rec, err := s.Oldest(); rec != nil || err != nil {
			return rec, err
		}
	}
	return mem, nil
}

// Dir returns the directory of the spool that is in use, "" while there is none.
func (q *Queue) Dir() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.disk == nil {
		return ""
	}
	return q.slot.dir
}

// Instance returns a short name of the owner that stays the same over restarts and is
// another one for each supervisord.
func (q *Queue) Instance() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.disk == nil {
		return slotOwner{Owner: q.opt.Owner}.instance()
	}
	return q.slot.owner.instance()
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
		errs = append(errs, fmt.Errorf("%d records are lost: they were in memory, and neither JetStream nor the disk took them", len(left)))
	}
	for _, s := range earlier {
		errs = append(errs, s.Close())
	}
	if disk != nil {
		errs = append(errs, disk.Close())
	}
	return errors.Join(errs...)
}
