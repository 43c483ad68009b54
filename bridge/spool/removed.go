package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"supernats/bridge/spool/files"
	"supernats/bridge/spool/marks"
	"supernats/bridge/spool/segment"
)

// copyPart is how much of a segment is copied at a time.
const copyPart = 1 << 20

// restorer restores the files of a spool that somebody removed while they are open. The
// spool's lock is held.
type restorer struct {
	s      *Spool
	failed bool // files were removed, and are not restored yet
}

// Check checks whether somebody has removed files of the spool, and restores them:
// as long as they are open, nothing in them is lost. found says that something was
// missing. If it could not be restored the error is ErrRemoved, wrapped, and nothing is
// appended until another Check succeeds.
func (s *Spool) Check() (found bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished || !s.restorer.failed && !s.restorer.missing() {
		return false, nil
	}
	if err := s.restorer.restore(); err != nil {
		s.restorer.failed = true
		return true, fmt.Errorf("%w: %w", ErrRemoved, err)
	}
	s.restorer.failed = false
	return true, nil
}

// missing reports whether a file of the spool no longer has a name.
func (r *restorer) missing() bool {
	s := r.s
	if s.lock != nil && files.Unlinked(s.lock) || s.check.Removed() || s.counted.Removed() {
		return true
	}
	for _, seg := range s.segments {
		if f := seg.Opened(); f != nil && files.Unlinked(f) {
			return true
		}
	}
	return s.tail.f != nil && files.Unlinked(s.tail.f)
}

// restore restores the files that have no name. The reading side may continue with those
// that it has open: they hold the same bytes.
func (r *restorer) restore() error {
	s := r.s
	if err := os.MkdirAll(s.opt.Dir, files.DirMode); err != nil {
		return fmt.Errorf("make the spool's directory: %w", err)
	}
	if files.Unlinked(s.lock) {
		lock, err := files.TryLock(s.opt.Dir)
		if err != nil {
			return err
		}
		_ = s.lock.Close()
		s.lock = lock
	}

	for _, seg := range s.segments {
		if f := seg.Opened(); f == nil || !files.Unlinked(f) {
			continue
		}
		if err := r.restoreSegment(seg); err != nil {
			return fmt.Errorf("restore %s: %w", seg.Name, err)
		}
	}
	if s.tail.f != nil && files.Unlinked(s.tail.f) {
		_ = s.tail.f.Close()
		s.tail.f = nil
	}

	if s.check.Removed() {
		check, _, err := marks.OpenCheckpoint(s.opt.FS, s.opt.Dir)
		if err != nil {
			return err
		}
		if err := errors.Join(s.check.Replace(check), s.check.Write(s.mark)); err != nil {
			return err
		}
	}
	if s.counted.Removed() {
		counted, _, _, err := marks.OpenTally(s.opt.FS, s.opt.Dir)
		if err != nil {
			return err
		}
		_ = s.counted.Close()
		s.counted = counted
		counted.Store(&s.tally)
	}
	if s.opt.Sync < 0 {
		return nil
	}
	return s.opt.FS.SyncDir(s.opt.Dir)
}

// restoreSegment copies a segment from its open file. Until the copy is complete it has
// another name.
func (r *restorer) restoreSegment(seg *segment.File) (err error) {
	s := r.s
	name := filepath.Join(s.opt.Dir, files.LockName+".new")
	f, err := s.opt.FS.Open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()

	old := seg.Opened()
	part := make([]byte, min(copyPart, seg.End))
	for off := int64(0); off < seg.End; {
		n, err := old.ReadAt(part[:min(int64(len(part)), seg.End-off)], off)
		if n == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return err
		}
		if _, err := f.WriteAt(part[:n], off); err != nil {
			return err
		}
		off += int64(n)
	}

	if s.opt.Sync >= 0 {
		if err := f.Sync(); err != nil {
			return err
		}
	}

	if err := os.Rename(name, seg.Name); err != nil {
		return err
	}
	restored, err := s.opt.FS.Open(seg.Name, os.O_RDONLY)
	if err != nil {
		return err
	}
	s.stale = append(s.stale, old)
	seg.Reopen(restored)
	return nil
}
