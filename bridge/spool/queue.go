package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
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

// QueueOptions are the settings of a queue. Of Options, Dir is not used.
type QueueOptions struct {
	Options
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
	Opening func(dir string, own bool) (last func(number uint64, rec []byte), opened func(left Left))
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
	opt  QueueOptions
	more chan struct{}
	kick chan struct{} // wakes the loop

	mu       sync.Mutex
	disk     *Spool // nil until it can be opened
	base     string // the directory that the slot is in
	slot     lockedSlot
	earlier  []*Spool // of others, oldest first; they are only read
	late     []*Spool // found since the last Rewind
	mem      memory
	moved    bool   // something that was handed out of memory is on the disk now
	place    []byte // of the last event in memory that is answered
	unsure   unsure // an event in memory that is not answered yet
	retry    time.Time
	refused  error      // of the last Append
	diskErr  error      // why the disk takes nothing; nil while it does
	owed     []reported // what the loss records in memory report
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
	from *Spool
	n    int
}

// OpenQueue makes a queue, and tries once to open its spool. The error is that of ctx.
func OpenQueue(ctx context.Context, opt QueueOptions) (*Queue, error) {
	if opt.Event == nil {
		opt.Event = func(rec []byte) []byte { return rec[:0] }
	}
	if opt.Raise == nil {
		opt.Raise = func(string, string, string) {}
	}
	if opt.Clear == nil {
		opt.Clear = func(string) {}
	}
	if opt.Lost == nil {
		opt.Lost = func(Loss) {}
	}
	if opt.Failed == nil {
		opt.Failed = func(error) {}
	}
	if opt.Waiting == nil {
		opt.Waiting = func(string) {}
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
// Errors: ErrFull, ErrFinished, ErrTooBig. Append may be called again.
func (q *Queue) Append(rec []byte) error {
	_, err := q.append(rec, nothing, false)
	return err
}

// AppendSafe is Append for the record of an event that is answered when it is safe,
// which is the next one to be answered. If it is in memory, settled is closed when it
// is acknowledged, or on disk after all; nil says that it is safe.
func (q *Queue) AppendSafe(rec []byte) (settled <-chan struct{}, err error) {
	return q.append(rec, nothing, true)
}

// AppendLoss is Append for a record that reports events as lost: those that
// Options.Lost was called for, or those of Left.Memory.
func (q *Queue) AppendLoss(rec []byte, memory bool) error {
	of := ofDamage
	if memory {
		of = ofMemory
	}
	_, err := q.append(rec, of, false)
	return err
}

func (q *Queue) append(rec []byte, loss reported, safe bool) (settled <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.finished:
		return nil, ErrFinished
	case len(rec) == 0:
		return nil, errEmpty
	case len(rec) > maxRecord:
		return nil, ErrTooBig
	}
	settled, q.refused = q.store(rec, loss, safe)
	if !q.appended.Load() {
		q.appended.Store(true)
	}
	return settled, q.refused
}

// store does it. The lock is held.
func (q *Queue) store(rec []byte, loss reported, safe bool) (settled <-chan struct{}, err error) {
	if q.disk != nil && len(q.mem.recs) == 0 && (q.diskErr == nil || time.Now().After(q.retry)) {
		err := q.disk.appendReporting(rec, loss)
		if errors.Is(err, os.ErrNotExist) {
			// The directory is gone: it is made again before anything else happens.
			if found, cerr := q.disk.Check(); found && cerr == nil {
				q.found = time.Now()
				q.wake()
				err = q.disk.appendReporting(rec, loss)
			}
		}
		switch {
		case err == nil:
			if loss == ofDamage {
				q.settleEarlier()
			}
			if q.diskErr != nil {
				q.diskErr = nil
				q.wake()
			}
			return nil, nil
		case errors.Is(err, ErrFull) && !errors.Is(err, ErrDiskFull):
			q.wakeFor(&q.refused, err)
			return nil, err
		}
		q.retry = time.Now().Add(diskRetry)
		q.wakeFor(&q.diskErr, err)
	}
	now := time.Now()
	if !q.mem.fits(len(rec), now) {
		q.wakeFor(&q.refused, ErrFull)
		return nil, ErrFull
	}
	place := q.opt.Event(rec)
	q.mem.append(rec, place != nil, now)
	switch {
	case place != nil && safe:
		w := settling{q.mem.safe + uint64(len(q.mem.recs)), make(chan struct{})}
		q.settled, settled = append(q.settled, w), w.done
		q.unsure = unsure{w.records, append(q.unsure.place[:0], place...)}
	case place != nil:
		q.place = append(q.place[:0], place...)
	}
	if loss != nothing {
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
		s.settle(ofDamage)
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
	q.disk.noteMemory(uint64(answered), q.place)
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

// Next returns the next record, as that of a Spool does; also ErrEarlier.
func (q *Queue) Next() (rec []byte, ok bool, err error) {
	if q.again.Load() {
		return nil, false, ErrEarlier
	}
	q.mu.Lock()
	disk, earlier := q.disk, q.earlier
	q.mu.Unlock()
	for _, s := range earlier {
		rec, ok, err := s.Next()
		if ok {
			q.hand(s)
			return rec, true, nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, false, err
		}
	}
	for {
		if disk != nil {
			rec, ok, err := disk.Next()
			if ok {
				q.hand(disk)
				return rec, true, nil
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, false, err
			}
		}
		rec, ok, retry, err := q.nextInMemory(disk)
		if !retry {
			return rec, ok, err
		}
	}
}

// nextInMemory is Next of what is in memory; retry says that the disk has got
// something meanwhile, which goes first.
func (q *Queue) nextInMemory(disk *Spool) (rec []byte, ok, retry bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if disk != nil && q.mem.read < len(q.mem.recs) && disk.behind() {
		return nil, false, true, nil
	}
	rec, ok, err = q.mem.next()
	if ok {
		q.hand(nil)
	}
	return rec, ok, false, err
}

func (q *Queue) hand(from *Spool) {
	if n := len(q.runs); n > 0 && q.runs[n-1].from == from {
		q.runs[n-1].n++
		return
	}
	q.runs = append(q.runs, handed{from, 1})
}

// More receives a value when Next may have something again.
func (q *Queue) More() <-chan struct{} { return q.more }

// Ack says that the oldest n records that Next has returned and that are not done are
// so, see Spool.Ack.
func (q *Queue) Ack(n int, seq uint64) (err error) {
	for n > 0 {
		if len(q.runs) == 0 {
			return fmt.Errorf("ack %d records more than were handed out", n)
		}
		run := &q.runs[0]
		k := min(n, run.n)
		if run.from == nil {
			if q.hasMoved() {
				return errors.Join(err, errMoved)
			}
			q.ackMemory(k)
		} else {
			err = errors.Join(err, run.from.Ack(k, seq))
		}
		n -= k
		if run.n -= k; run.n == 0 {
			q.runs = slices.Delete(q.runs, 0, 1)
		}
	}
	err = errors.Join(err, q.closeDrained())
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
	return err
}

// moveAfter is how long nothing of what is in memory is acknowledged before it is
// moved to a disk that takes records again.
const moveAfter = time.Second

var errMoved = errors.New("records have been moved from memory to the disk")

// move appends to the disk what waits in memory and does not get away. What of it was
// handed out is handed out again: Next returns ErrEarlier.
func (q *Queue) move(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.disk == nil || len(q.mem.recs) == 0 || now.Sub(q.mem.moved) < moveAfter || now.Before(q.retry) {
		return
	}
	q.disk.newSegment() // see ackMemory
	handedOut := q.mem.read
	n, _ := q.disk.appendAll(q.mem.recs) // the next Append meets the error too
	if n == 0 {
		q.retry = now.Add(diskRetry)
		return
	}

	q.mem.read = max(n, handedOut)
	q.mem.ack(n, q.opt.Event)
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
	q.signal()
}

func (q *Queue) ackMemory(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mem.ack(n, q.opt.Event)
	q.noteSafe()
	if len(q.mem.recs) > 0 {
		return
	}
	q.settleOwed()
	if q.disk != nil {
		// The next record on disk is not the one after the last there: what an
		// earlier run has left is read as of one piece, segment by segment.
		q.disk.newSegment()
	}
	q.wake()
}

// settleOwed says that the loss records that were in memory are stored. The lock is
// held.
func (q *Queue) settleOwed() {
	for _, loss := range q.owed {
		if q.disk != nil {
			q.disk.settle(loss)
		}
		if loss == ofDamage {
			q.settleEarlier()
		}
	}
	q.owed = nil
}

func (q *Queue) hasMoved() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.moved
}

// closeDrained lets go of the spools of others that are all published.
func (q *Queue) closeDrained() (err error) {
	q.mu.Lock()
	earlier := q.earlier
	q.mu.Unlock()
	for _, s := range earlier {
		if !s.drained() || slices.ContainsFunc(q.runs, func(h handed) bool { return h.from == s }) {
			continue
		}
		q.mu.Lock()
		q.earlier = slices.DeleteFunc(slices.Clone(q.earlier), func(o *Spool) bool { return o == s })
		q.mu.Unlock()
		err = errors.Join(err, s.dismiss())
	}
	return err
}

// Rewind makes Next continue with the oldest record that is not done.
func (q *Queue) Rewind() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.again.Store(false)
	q.runs = q.runs[:0]
	q.mem.read, q.moved = 0, false
	var errs []error
	for _, s := range q.earlier {
		errs = append(errs, s.Rewind())
	}
	if q.disk != nil {
		errs = append(errs, q.disk.Rewind())
	}
	return errors.Join(errs...)
}

// Doubt returns how many records have come to be the oldest since the queue was
// opened, or since the last call, that an earlier run may have sent, and the sequence
// of its last acknowledgement. Call it after Rewind.
func (q *Queue) Doubt() (records int, seq uint64) {
	q.mu.Lock()
	late := q.late
	q.late = nil
	q.mu.Unlock()
	for i, s := range late {
		st := s.Stats()
		if records += int(st.Records); i == 0 || st.Seq < seq {
			seq = st.Seq
		}
	}
	return records, seq
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

// QueueStats are figures of a moment.
type QueueStats struct {
	Stats
	// Memory is how many of Records are in memory, Disk why they are not on disk.
	Memory int
	Disk   error
}

// Stats returns how much waits. Err is why the last Append stored nothing.
func (q *Queue) Stats() QueueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	var st QueueStats
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
		st.Err = ErrFinished
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
		n, _ := disk.appendAll(left) // the error is that some are left
		q.mem.drop(n, q.opt.Event)
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
		s, err = takeSlot(ctx, dir, q.opt.Owner, lifeOf(q.opt.Supervisord), q.opt.Waiting)
	}
	var disk *Spool
	var opened func(Left)
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
func (q *Queue) noteEarlier(s *Spool) {
	if s.Stats().Records == 0 {
		return
	}
	q.late = append(q.late, s)
	q.again.Store(true)
	q.signal()
}

func (q *Queue) openSlot(ctx context.Context, s lockedSlot, own bool) (*Spool, func(Left), error) {
	opt := q.opt.Options
	opt.Dir, opt.lock, opt.more = s.dir, s.lock, q.more
	opt.Lost = q.lost
	opened := func(Left) {}
	if q.opt.Opening != nil {
		opt.Last, opened = q.opt.Opening(s.dir, own)
	}
	spool, err := Open(ctx, opt)
	return spool, opened, err
}

// lost passes on what a spool reports.
func (q *Queue) lost(l Loss) {
	q.mu.Lock()
	q.damaged = time.Now()
	if l.File != "" && !slices.Contains(q.damage, l.File) && len(q.damage) < maxSlots {
		q.damage = append(q.damage, l.File)
	}
	q.mu.Unlock()
	q.wake()
	q.opt.Lost(l)
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
		lock, err := tryLock(name)
		if err != nil {
			continue
		}
		s, opened, err := q.openSlot(ctx, lockedSlot{dir: name, lock: lock}, false)
		if err != nil {
			q.opt.Failed(fmt.Errorf("open the spool that somebody has left: %w", err))
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

// report raises what is wrong and clears what is over.
func (q *Queue) report() {
	wrong := q.troubles()
	for cause := range q.raised {
		if _, still := wrong[cause]; !still {
			delete(q.raised, cause)
			q.opt.Clear(cause)
		}
	}
	for cause, t := range wrong {
		if q.raised[cause] != t.text {
			q.raised[cause] = t.text
			q.opt.Raise(cause, t.text, t.fix)
		}
	}
}

type trouble struct{ text, fix string }

// momentFor is how long a trouble that was over at once is shown.
const momentFor = 5 * time.Second

// troubles returns what is wrong, by cause.
func (q *Queue) troubles() map[string]trouble {
	q.mu.Lock()
	defer q.mu.Unlock()
	wrong := map[string]trouble{}
	dir, err := q.slot.dir, q.diskErr
	memory := "; events go through memory, and are answered when the stream has them, but for ticks and output"
	switch {
	case err == nil:
	case errors.Is(err, ErrDiskFull), isFull(err):
		wrong[CauseDiskFull] = trouble{
			"the file system of the spool has no room for it" + memory,
			"make room: df -h " + dir + "; df -i " + dir,
		}
	case errors.Is(err, ErrLocked):
		wrong[CauseLocked] = trouble{
			"the spool cannot be opened: " + err.Error() + memory,
			"stop the other bridge, or give each its own --spool-dir",
		}
	case errors.Is(err, ErrRemoved):
		wrong[CauseRemoved] = trouble{
			"the files of the spool were removed and cannot be made again: " + err.Error() + memory,
			"mkdir -p " + dir,
		}
	default:
		wrong[CauseUnusable] = trouble{
			"the spool cannot be used: " + err.Error() + memory,
			unusableFix(err),
		}
	}
	if !q.found.IsZero() && time.Since(q.found) < momentFor && wrong[CauseRemoved].text == "" {
		wrong[CauseRemoved] = trouble{
			"somebody removed the files of the spool in " + dir + "; they were made again, nothing in them is lost",
			"find out who did: ls -la " + dir,
		}
	}
	q.damage = slices.DeleteFunc(q.damage, func(name string) bool {
		_, err := os.Stat(name)
		return errors.Is(err, os.ErrNotExist)
	})
	switch {
	case len(q.damage) == 0 && !q.damaged.IsZero() && time.Since(q.damaged) < momentFor:
		wrong[CauseDamaged] = trouble{
			"records of the spool are missing and lost",
			"find out who removes or cuts files there, and check the disk (dmesg): ls -la " + dir,
		}
	case len(q.damage) > 0:
		wrong[CauseDamaged] = trouble{
			"the spool was damaged and records are lost; the damaged file is kept: " + q.damage[0],
			"check the disk (dmesg), then rm " + q.damage[0],
		}
	}
	return wrong
}

// unusableFix says what to do about a directory that cannot be used.
func unusableFix(err error) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return "mount a volume that may be written, and set --spool-dir to a directory on it"
	case errors.Is(err, os.ErrPermission):
		return fmt.Sprintf("chown -R %d the directory, or set --spool-dir to one that uid %d may write to", os.Geteuid(), os.Geteuid())
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, os.ErrExist):
		return "remove the file that is in the way, or set --spool-dir"
	}
	return "check the directory and the disk (dmesg), or set --spool-dir"
}

// noteMemory puts into the tally what waits in memory.
func (s *Spool) noteMemory(events uint64, place []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.memory = s.left.Memory + events
	if len(place) > 0 {
		s.tally.place = append(s.tally.place[:0], place...)
	}
	s.counted.store(&s.tally)
}

// settle says that a record that reports events as lost is stored elsewhere.
func (s *Spool) settle(loss reported) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(loss)
	s.counted.store(&s.tally)
}

// newSegment makes the next record begin one.
func (s *Spool) newSegment() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail != nil && s.newest.end > headerSize {
		s.retire()
	}
}

// behind reports that something is left to read. It is for the reading side.
func (s *Spool) behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read.number < s.next
}

// drained reports that all that was appended is done.
func (s *Spool) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mark.Next >= s.next
}

// appendAll appends records, to a spool that is finished too, and returns how many it
// took.
func (s *Spool) appendAll(recs [][]byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removed {
		return 0, ErrRemoved
	}
	for _, rec := range recs {
		if err := s.append(rec, nothing); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// dismiss closes a spool that is all published, and removes what is left of it.
func (s *Spool) dismiss() error {
	dir := s.opt.Dir
	s.settle(ofDamage)
	s.mu.Lock()
	s.dropAll()
	s.mu.Unlock()
	_ = os.Remove(filepath.Join(dir, ownerName))
	if strings.HasPrefix(filepath.Base(dir), slotPrefix) {
		// Nobody can have locked it: it is ours until Close, and has no name then.
		for _, name := range []string{checkName, tallyName, lockName} {
			_ = os.Remove(filepath.Join(dir, name))
		}
		_ = os.Remove(dir)
	}
	return s.Close()
}
