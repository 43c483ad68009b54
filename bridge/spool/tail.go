package spool

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"supernats/bridge/spool/files"
)

// tailFile is the file that is appended to, and those before it until they are flushed.
//
//   - A file is only ever appended to. After an error it is retired: it is not written to
//     again.
//   - Files to be flushed are taken out under the lock, and flushed without it.
type tailFile struct {
	mu     *sync.Mutex   // the spool's; guards the fields below it
	sync   time.Duration // Options.Sync
	report func(error)   // Options.Failed

	f       files.File   // the newest segment, open for writing; nil if the next record needs a new one
	retired []files.File // were f, and must be flushed
	dirty   bool         // f must be
}

// retire ends the writing of the newest segment. The lock is held.
func (t *tailFile) retire() {
	if t.f == nil {
		return
	}
	if t.sync > 0 {
		t.retired = append(t.retired, t.f)
	} else if err := t.f.Close(); err != nil {
		t.report(fmt.Errorf("close a segment: %w", err))
	}
	t.f = nil
}

// flush brings to the platter what was appended, oldest first. A flush that failed is not
// tried again: Linux has marked these pages clean, and would report success. They can be
// read as long as the machine runs.
func (t *tailFile) flush() error {
	t.mu.Lock()
	retired, f := t.retired, t.f
	t.retired = nil
	if !t.dirty {
		f = nil
	}
	t.dirty = false
	t.mu.Unlock()

	var errs []error
	for _, f := range retired {
		errs = append(errs, f.Sync(), f.Close())
	}
	if f != nil {
		errs = append(errs, f.Sync())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("flush the spool: %w", err)
	}
	return nil
}

// flushUntil flushes every Options.Sync until stop is closed.
func (t *tailFile) flushUntil(stop <-chan struct{}) {
	ticker := time.NewTicker(t.sync)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			if err := t.flush(); err != nil {
				t.report(err)
			}
		}
	}
}
