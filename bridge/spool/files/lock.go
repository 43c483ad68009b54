package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// LockName is the file that is locked by the process that has a spool open.
const LockName = "lock"

// ErrLocked is returned while another process has the spool open.
var ErrLocked = errors.New("another process has the spool open")

// Acquire locks a directory, and waits while another process has it locked; the system
// frees the lock of a process that dies. waiting is called once if it has to wait.
func Acquire(ctx context.Context, dir string, waiting func(holder string)) (*os.File, error) {
	for reported := false; ; {
		f, err := TryLock(dir)
		if !errors.Is(err, ErrLocked) {
			return f, err
		}

		if !reported {
			waiting(Holder(dir))
			reported = true
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w (pid %s): %w", ErrLocked, Holder(dir), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// TryLock takes the lock of a directory, or returns ErrLocked.
func TryLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, LockName), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, Mode)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil && Unlinked(f) {
		err = syscall.EWOULDBLOCK // its holder removed it: the next one is another file
	}

	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}

	// For people. (Not cut to nothing first: ext4 would flush it at Close.)
	if n, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err == nil {
		_ = f.Truncate(int64(n))
	}
	return f, nil
}

// Holder returns the process id in the lock of a directory, empty if there is none.
func Holder(dir string) string {
	text, _ := os.ReadFile(filepath.Join(dir, LockName))
	return strings.TrimSpace(string(text))
}
