// Package spool is a log on disk of records that wait for something: appended at
// one end, read in order, and removed at the other end when they are done.
//
// Append returns when the operating system has the record: it survives the death
// of the process. Options.Sync says when it reaches the platter, and so survives
// that of the machine. Files are only ever appended to; after a restart, and
// after an error, a new segment is begun. Segments are removed whole when all
// their records are done. Append never waits for room: when Options.Max, or the
// file system but for 64 MiB or, on a small one, a fiftieth, is used up it returns
// ErrFull. A Queue then continues in memory.
//
// Whatever a crash leaves at the end of a segment that is no whole record is
// passed over: it was never reported as stored. Damage anywhere else is
// reported as a Loss, the segment is kept under another name, and reading continues
// after it. What was ever appended is counted in a tally, so that what is missing,
// a whole segment too, is known to the event. Files that somebody removes while they
// are open are made again with all that is in them.
//
// Memory is one read buffer (256 KiB, or the largest record), one of a record to
// be written, 32 bytes for each record that is read and not done, and some 100
// bytes for each segment; a Queue's is 8 MiB more, while the disk takes nothing. Four
// files are open, one for each of 96 segments, and one more for each segment that
// was left since the last flush.
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
	// Sync is how often what was appended is flushed to the platter: 0 before
	// every Append returns, negative never.
	Sync time.Duration
	// SegmentBytes is when a new segment begins; 16 MiB, or an eighth of Max, if
	// 0.
	SegmentBytes int64
	// Lost is called, from inside Next, for records that cannot be read; may be nil.
	// A process that dies before Queue.AppendLoss, or before the records after them
	// are done, reports them again.
	Lost func(Loss)
	// Event returns of a record that is an event where it stands among the events,
	// not nil; nil of any other record, which is not counted when it is lost. What it
	// returned last is given back by Left. If it is nil all records are events.
	Event func(rec []byte) (place []byte)
	// Last is given, from inside Open, the records that were appended last, oldest
	// first, be they done or not: those of the newest segment that has any. rec is
	// valid during the call, numbers that are missing are of records that cannot be
	// read. May be nil.
	Last func(number uint64, rec []byte)
	// Waiting is called once if another process has the spool open, with that
	// one's process id as far as its lock says; may be nil.
	Waiting func(holder string)
	// Failed is called for errors that are no reason to stop: a flush or a removal
	// that failed. It must not call the spool; may be nil.
	Failed func(error)

	// FS is the file system; the real one if it is nil.
	FS files.System
	// More receives a value when there may be something to read; that of Spool.More if it
	// is nil. Lock is the directory's, held already; see files.TryLock. Both are of a Queue.
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
	// log, where no later record shows it.
	Records uint64
	// Bytes is how much of the segment is damaged.
	Bytes int64
	// Later says that the events among the records are counted when all that was
	// appended is read. Then another Loss, with nothing but Events, says how many they
	// were, unless they were none.
	Later  bool
	Events uint64
}

// Left is what an earlier run has left beside its records.
type Left struct {
	// Place is what Options.Event returned for the last event, nil if that is not
	// known.
	Place []byte
	// Damaged says that the last records cannot be read, and that it is not known
	// which they were.
	Damaged bool
	// Memory is how many events were in the memory of a Queue when it died.
	Memory uint64
}

// Spool is an open spool. Append may be called by several goroutines, the reading
// side (Next, Ack, Rewind) by one; Close when they are done.
type Spool struct {
	opt  Options
	lock *os.File
	more chan struct{}

	mu       sync.Mutex
	segments []*segment.File // oldest first
	newest   *segment.File   // the last of them; one without a file if there is none
	bytes    int64           // of all segments
	next     uint64          // number of the record to be appended
	refused  error           // of the last Append
	mark     marks.Checkpoint
	finished bool
	room     room // see Room
	tally    marks.Tally
	counted  *marks.TallyFile // where the tally is kept; nil if that cannot be

	tail  tailFile // where the newest segment is written
	frame []byte   // buffer of Append
	space space

	restorer restorer

	left      Left
	exactTail *segment.File // the newest one at the start, if it is known to the last record
	stale     []files.File  // of segments that are done, to be closed by the reading side
	owed      uint64        // events reported as lost, and not as reported; under mu
	suspect   bool          // what is lost is to be counted at the end of what is read
	base      uint64        // of tally.events, what was settled when the spool was opened, or lost since

	reader reader // of the reading side alone
	done   cursor // the first record not done; written by the reading side
	check  *marks.CheckpointFile

	stopSync chan struct{}
	synced   sync.WaitGroup
	closed   sync.Once
}

// Open opens the spool in a directory, waiting for another process that has it
// open until ctx ends.
func Open(ctx context.Context, opt Options) (*Spool, error) {
	if opt.Dir == "" || opt.Max <= 0 || opt.SegmentBytes < 0 {
		return nil, errors.New("spool: Dir and Max must be set")
	}
	if opt.FS == nil {
		opt.FS = files.Disk{}
	}
	if opt.SegmentBytes == 0 {
		opt.SegmentBytes = min(defaultSegment, max(opt.Max/8, 64<<10))
	}
	if opt.Lost == nil {
		opt.Lost = func(Loss) {}
	}
	if opt.Last == nil {
		opt.Last = func(uint64, []byte) {}
	}
	if opt.Waiting == nil {
		opt.Waiting = func(string) {}
	}
	if opt.Failed == nil {
		opt.Failed = func(error) {}
	}
	if opt.Event == nil {
		opt.Event = func(rec []byte) []byte { return rec[:0] }
	}
	if opt.More == nil {
		opt.More = make(chan struct{}, 1)
	}

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

// Finish says that nothing will be appended any more: when all is read, Next
// returns io.EOF.
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
	// Records is how many are not done, Bytes what all segments take.
	Records  uint64
	Bytes    int64
	Segments int
	// Err is why the last Append stored nothing, or ErrFinished: nil while records
	// are taken.
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
