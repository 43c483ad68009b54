// Package spool is a log of records on disk: appended at one end, read in order, and
// removed at the other end when they are done.
//
// Append returns when the operating system has the record, which then survives the death
// of the process. Options.Sync determines when it reaches the platter, and so survives the
// death of the machine. Files are only ever appended to; after a restart, and after an
// error, a new segment begins. A segment is removed as a whole when all its records are
// done.
//
// Append never waits for room. It returns ErrFull when Options.Max is used up, or the file
// system except for a reserve of 64 MiB (a fiftieth of a small one). A Queue then continues
// in memory.
//
// An incomplete record that a crash leaves at the end of a segment is skipped: it was never
// reported as stored. Damage anywhere else is reported as a Loss, the segment is kept under
// another name, and reading continues after the damage. A tally counts all that was ever
// appended, so that the exact number of missing events is known, even if a whole segment is
// gone. Files that somebody removes while they are open are restored from what is open.
//
// Memory: one read buffer (256 KiB, or the largest record), one buffer for the record to
// be written, 32 bytes for each record that is read and not done, and some 100 bytes for
// each segment; for a Queue 8 MiB more while the disk takes nothing. Open files: four, one
// for each of up to 96 segments, and one more for each segment ended since the last flush.
//
// A spool's directory holds
//
//	lock                          held by the process that has the spool open
//	checkpoint                    what is done, see package marks
//	tally                         how much there was, see package marks
//	owner                         whose it is, see package queue
//	slot-2, slot-3, …             directories of the same kind, of other bridges
//	00000000000000000001.segment  records 1, 2, …, see package segment
//	00000000000000004711.segment  records 4711, 4712, …
//	00000000000000000815.damaged  what was set aside, for a person to look at
package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"supernats/bridge/spool/files"
	"supernats/bridge/spool/marks"
	"supernats/bridge/spool/segment"
)

// ErrFull is returned while there is no room. Nothing of the record is stored.
var ErrFull = errors.New("spool is full")

// ErrFinished is returned by Append after Finish.
var ErrFinished = errors.New("spool is closed for new records")

// Options are the settings of a spool; Dir and Max must be set.
type Options struct {
	// Dir is made if it is missing, with mode 0750.
	Dir string
	// Max is how many bytes the segments may take. While nothing waits one record
	// is taken whatever its size, so they may take one segment or one record more.
	Max int64
	// Sync is how often what was appended is flushed to the platter: 0 for before
	// every return of Append, negative for never.
	Sync time.Duration
	// SegmentBytes is when a new segment begins; 16 MiB, or an eighth of Max, if
	// 0.
	SegmentBytes int64
	// Lost is called from inside Next for records that cannot be read; may be nil.
	// A process that dies before Queue.AppendLoss, or before the records after the loss
	// are done, reports it again.
	Lost func(Loss)
	// Event returns the place of an event among the events, which is not nil; nil for a
	// record that is not an event, and that is not counted when it is lost. Left has what
	// it returned last. Without it all records are events.
	Event func(rec []byte) (place []byte)
	// Last is called from inside Open for the records that were appended last, done or
	// not, oldest first: those of the newest segment that has any. rec is valid during the
	// call. A missing number is that of a record that cannot be read. May be nil.
	Last func(number uint64, rec []byte)
	// Waiting is called once if another process has the spool open, with the process id
	// in its lock, which may be empty; may be nil.
	Waiting func(holder string)
	// Failed is called for errors after which the spool continues: a flush or a removal
	// that failed. It must not call the spool; may be nil.
	Failed func(error)

	// FS is the file system; the real one if it is nil.
	FS files.System
	// More receives a value when there may be something to read; made by Open if it is nil.
	// Lock is the directory's, already held; see files.TryLock. Both are for a Queue.
	More chan struct{}
	Lock *os.File
}

const defaultSegment = 16 << 20

// Loss is records that are damaged or missing.
type Loss struct {
	// File is where the damaged segment is kept, empty if nothing is left of it.
	File string
	// First is the number of the first record lost.
	First uint64
	// Records is how many were lost, 0 if that is not known: at the end of the
	// log no later record shows it.
	Records uint64
	// Bytes is how much of the segment is damaged.
	Bytes int64
	// Later says that the events among the records are counted when all that was appended
	// is read. If there were any, another Loss, with nothing but Events, then gives their
	// number.
	Later  bool
	Events uint64
}

// Left is what an earlier run left beside its records.
type Left struct {
	// Place is what Options.Event returned for the last event, nil if that is not
	// known.
	Place []byte
	// Damaged says that the last records cannot be read, and that their numbers are not
	// known.
	Damaged bool
	// Memory is how many events were in the memory of a Queue when it died.
	Memory uint64
}

// Spool is an open spool. Append may be called by several goroutines, the reading side
// (Next, Ack, Rewind) by one; Close when they are done.
//
//   - Records have consecutive numbers. Those before mark.Next are done, those up to
//     reader.read are handed out, next is the number of the one to be appended.
//   - newest is the last of segments, and the only one that grows. Without any it is one
//     that has no file, so that the reading side has a place to wait.
//   - bytes is the sum of the segments' ends, damage and torn frames included.
//   - A segment is removed only after a checkpoint that does not need it is on the platter,
//     unless Options.Sync is negative.
//   - tally.Settled is at most tally.Events. Where they differ at the end of all that can be
//     read, the difference is lost, and reported.
type Spool struct {
	opt  Options
	more chan struct{}

	mu       sync.Mutex // guards what follows, up to done
	lock     *os.File   // of the directory
	segments []*segment.File
	newest   *segment.File
	bytes    int64
	next     uint64
	finished bool
	refused  error // of the last Append

	tail     tailFile // where the newest segment is written
	frame    []byte   // buffer of Append
	space    space
	room     room // see Room
	restorer restorer

	mark    marks.Checkpoint
	tally   marks.Tally
	counted *marks.TallyFile // where the tally is kept; nil if that cannot be
	left    Left
	stale   []files.File // of segments that are done, to be closed by the reading side
	suspect bool         // events may be missing: countLost counts them at the end
	base    uint64       // events that were settled when the spool was opened, or lost since
	owed    uint64       // events that Options.Lost was called for, and that no record reports yet
	done    cursor       // the first record not done; written by the reading side

	exactTail *segment.File // the newest one at the start, if the tally knows its last record; set once
	reader    reader        // of the reading side alone
	check     *marks.CheckpointFile

	stopSync chan struct{} // closed by Close
	synced   sync.WaitGroup
	closed   sync.Once
}

// setDefaults fills in what is not set.
func (o *Options) setDefaults() {
	if o.FS == nil {
		o.FS = files.Disk{}
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = min(defaultSegment, max(o.Max/8, 64<<10))
	}
	if o.Lost == nil {
		o.Lost = func(Loss) {}
	}
	if o.Last == nil {
		o.Last = func(uint64, []byte) {}
	}
	if o.Waiting == nil {
		o.Waiting = func(string) {}
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	if o.Event == nil {
		o.Event = func(rec []byte) []byte { return rec[:0] }
	}
	if o.More == nil {
		o.More = make(chan struct{}, 1)
	}
}

// Open opens the spool in a directory, waiting for another process that has it
// open until ctx ends.
func Open(ctx context.Context, opt Options) (*Spool, error) {
	if opt.Dir == "" || opt.Max <= 0 || opt.SegmentBytes < 0 {
		return nil, errors.New("spool: Dir and Max must be set")
	}
	opt.setDefaults()

	lock := opt.Lock
	if lock == nil {
		var err error
		if err = os.MkdirAll(opt.Dir, files.DirMode); err != nil {
			return nil, fmt.Errorf("make the spool's directory: %w", err)
		}
		if lock, err = files.Acquire(ctx, opt.Dir, opt.Waiting); err != nil {
			return nil, fmt.Errorf("open spool %s: %w", opt.Dir, err)
		}
	}

	s := &Spool{
		opt: opt, lock: lock, more: opt.More,
		space:    space{fs: opt.FS, dir: opt.Dir, unseen: spaceEvery},
		stopSync: make(chan struct{}),
	}
	s.reader = reader{s: s, win: segment.NewWindow(opt.FS)}
	s.restorer = restorer{s: s}
	s.tail = tailFile{mu: &s.mu, sync: opt.Sync, report: opt.Failed}
	if err := (&loader{s: s}).load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open spool %s: %w", opt.Dir, err), s.closeFiles())
	}
	if opt.Sync > 0 {
		s.synced.Go(func() { s.tail.flushUntil(s.stopSync) })
	}
	return s, nil
}

// Dir returns the spool's directory.
func (s *Spool) Dir() string { return s.opt.Dir }

// Left returns what an earlier run has left.
func (s *Spool) Left() Left { return s.left }

// Finish ends appending: when all is read, Next returns io.EOF.
func (s *Spool) Finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	notify(s.more)
}

// Close flushes and closes the files and frees the directory.
func (s *Spool) Close() (err error) {
	s.closed.Do(func() {
		s.Finish()
		close(s.stopSync)
		s.synced.Wait()
		if s.opt.Sync >= 0 {
			err = errors.Join(s.tail.flush(), s.check.Sync())
		}
		err = errors.Join(err, s.closeFiles())
	})
	return err
}

func (s *Spool) closeFiles() error {
	errs := []error{s.reader.win.Close(), s.counted.Close()}
	for _, seg := range s.segments {
		if f := seg.Opened(); f != nil {
			s.stale = append(s.stale, f)
		}
	}
	for _, f := range s.stale {
		errs = append(errs, f.Close())
	}
	if s.tail.f != nil {
		errs = append(errs, s.tail.f.Close())
	}
	if s.check != nil {
		errs = append(errs, s.check.Close())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// Stats are figures of a moment.
type Stats struct {
	// Records is how many are not done, Bytes the size of all segments.
	Records  uint64
	Bytes    int64
	Segments int
	// Err is why the last Append stored nothing, or ErrFinished; nil while records are
	// stored.
	Err error
	// Seq is the stream's sequence of the last acknowledgement, 0 if it is not known.
	Seq uint64
}

// Stats returns how much the spool holds.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		Records: s.next - s.mark.Next, Bytes: s.bytes, Segments: len(s.segments),
		Err: s.refused, Seq: s.mark.Seq,
	}
	if s.finished {
		st.Err = ErrFinished
	}
	return st
}
