// Package spool is a log on disk of records that wait for something: appended at
// one end, read in order, and removed at the other end when they are done.
//
// Append returns when the operating system has the record: it survives the death
// of the process. Options.Sync says when it reaches the platter, and so survives
// that of the machine. A record is never overwritten; segments are removed whole
// when all their records are done. Append never blocks: when Options.Max, or the
// file system but for a reserve of a twentieth, is used up it returns ErrFull.
//
// Whatever a crash leaves at the end of the log that is no whole record is cut
// off: such a record was never acknowledged to anybody, or younger than the last
// sync. Damage anywhere else is reported as a Loss, the segment is kept under
// another name, and reading goes on behind it.
//
// Memory is one read buffer (256 KiB, or the largest record) and 24 bytes for
// each record that is read and not done.
package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// ErrFull is returned while there is no room. Nothing of the record is stored.
var ErrFull = errors.New("spool is full")

// ErrFinished is returned by Append after Finish.
var ErrFinished = errors.New("spool is closed for new records")

// Options are the settings of a spool; Dir and Max must be set.
type Options struct {
	// Dir is made if it is missing, with mode 0750.
	Dir string
	// Max is how many bytes the segments may take.
	Max int64
	// Sync is how often what was appended is flushed to the platter: 0 before
	// every Append returns, negative never.
	Sync time.Duration
	// SegmentBytes is when a new segment begins; 16 MiB, or an eighth of Max, if
	// 0.
	SegmentBytes int64
	// Lost is told of records that cannot be read; may be nil.
	Lost func(Loss)
	// Waiting is called once if another process has the spool open, with what its
	// lock says of it; may be nil.
	Waiting func(holder string)
	// Failed is told of errors that are no reason to stop: a flush or a removal
	// that failed; may be nil.
	Failed func(error)

	fs files
}

const (
	defaultSegment = 16 << 20
	// reserve is the part of the file system that is never used: 1 of so many.
	reserve = 20
	// spaceEvery is how many bytes are appended between two looks at the space.
	spaceEvery = 1 << 20
)

// Loss tells of records that are damaged.
type Loss struct {
	// File is what was set aside.
	File string
	// Records is how many were lost, 0 if that is not known.
	Records uint64
	// Bytes is how much of the segment is damaged.
	Bytes int64
}

// Spool is an open spool. Append may be called by one goroutine, the reading
// side (Next, Ack, Rewind) by another.
type Spool struct {
	opt  Options
	lock *os.File
	more chan struct{}

	mu       sync.Mutex
	segments []*segment // oldest first; the last one is written to; never empty
	bytes    int64      // of all segments
	next     uint64     // number of the record to be appended
	frame    []byte     // buffer of Append
	unseen   int64      // bytes appended since the last look at the space
	diskFull bool
	finished bool
	dirty    map[*segment]bool // not flushed
	room     chan struct{}     // closed and replaced when there is room again

	read   cursor   // the next record to read
	done   cursor   // the first record not done
	flying []cursor // behind each record between done and read
	check  *checkpointFile
	mark   Checkpoint

	// Of the reading side alone.
	win     window
	damaged map[*segment]int64 // bytes that are no records

	stopSync chan struct{}
	synced   sync.WaitGroup
}

// segment is one file. end is where the next frame goes, or where the last one
// ends.
type segment struct {
	first uint64
	name  string
	f     file
	end   int64
}

// Open opens the spool in a directory, waiting for another process that has it
// open until ctx ends.
func Open(ctx context.Context, opt Options) (*Spool, error) {
	if opt.Dir == "" || opt.Max <= 0 {
		return nil, errors.New("spool: Dir and Max must be set")
	}
	if opt.fs == nil {
		opt.fs = disk{}
	}
	if opt.SegmentBytes == 0 {
		opt.SegmentBytes = min(defaultSegment, max(opt.Max/8, 64<<10))
	}
	if opt.Lost == nil {
		opt.Lost = func(Loss) {}
	}
	if opt.Waiting == nil {
		opt.Waiting = func(string) {}
	}
	if opt.Failed == nil {
		opt.Failed = func(error) {}
	}
	if err := os.MkdirAll(opt.Dir, dirMode); err != nil {
		return nil, fmt.Errorf("make the spool's directory: %w", err)
	}
	lock, err := acquire(ctx, opt.Dir, opt.Waiting)
	if err != nil {
		return nil, fmt.Errorf("open spool %s: %w", opt.Dir, err)
	}
	s := &Spool{
		opt: opt, lock: lock, more: make(chan struct{}, 1), room: make(chan struct{}),
		dirty: map[*segment]bool{}, stopSync: make(chan struct{}),
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open spool %s: %w", opt.Dir, err), s.closeFiles())
	}
	if opt.Sync > 0 {
		s.synced.Add(1)
		go s.syncLoop()
	}
	return s, nil
}

// load finds the segments, the end of the log and the checkpoint.
func (s *Spool) load() error {
	names, err := s.opt.fs.Names(s.opt.Dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		first, ok := parseName(name)
		if !ok {
			continue
		}
		seg, err := s.openSegment(name, first)
		if err != nil {
			return err
		}
		if seg != nil {
			s.segments = append(s.segments, seg)
			s.bytes += seg.end
		}
	}
	s.next = 1
	if len(s.segments) > 0 {
		if s.next, err = s.cutTail(s.segments[len(s.segments)-1]); err != nil {
			return err
		}
	}
	if s.check, s.mark, err = openCheckpoint(s.opt.fs, s.opt.Dir); err != nil {
		return err
	}
	// After a power cut the checkpoint may know of records that are gone. Their
	// numbers are not given again.
	if s.mark.Next > s.next || len(s.segments) == 0 {
		s.next = max(s.next, s.mark.Next)
		if err := s.addSegment(); err != nil {
			return err
		}
	}
	return s.seek()
}

// openSegment opens a file that is named like a segment; nil if it holds nothing,
// because the machine died when it was made. What is damaged in it, the header
// too, is found when it is read: the name says what is needed.
func (s *Spool) openSegment(name string, first uint64) (*segment, error) {
	path := filepath.Join(s.opt.Dir, name)
	f, err := s.opt.fs.Open(path, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if size <= headerSize {
		return nil, errors.Join(f.Close(), s.opt.fs.Remove(path))
	}
	return &segment{first: first, name: path, f: f, end: size}, nil
}

// setAside keeps a damaged file under another name and reports it.
func (s *Spool) setAside(path string, records uint64, bytes int64) {
	kept := path[:len(path)-len(suffix)] + damaged
	if err := s.opt.fs.Link(path, kept); err != nil && !errors.Is(err, os.ErrExist) {
		s.opt.Failed(fmt.Errorf("set a damaged segment aside: %w", err))
	}
	s.opt.Lost(Loss{File: kept, Records: records, Bytes: bytes})
}

// Finish says that nothing will be appended any more: when all is read, Next
// returns io.EOF.
func (s *Spool) Finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	s.signal()
}

// Close flushes and closes the files and lets go of the directory.
func (s *Spool) Close() error {
	s.Finish()
	close(s.stopSync)
	s.synced.Wait()
	var err error
	if s.opt.Sync >= 0 {
		err = s.flush()
	}
	return errors.Join(err, s.closeFiles())
}

func (s *Spool) closeFiles() error {
	var errs []error
	for _, seg := range s.segments {
		errs = append(errs, seg.f.Close())
	}
	if s.check != nil {
		errs = append(errs, s.check.close())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// Stats are figures of a moment.
type Stats struct {
	// Records are those not done, Bytes what their segments take.
	Records  uint64
	Bytes    int64
	Segments int
}

// Stats returns how much the spool holds.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Records: s.next - s.mark.Next, Bytes: s.bytes, Segments: len(s.segments)}
}
