package deaths

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// While programs start, their names are read, and where the kernel does not report
// them, they themselves are looked for: every lookSoon for hurry, since what dies at
// once is gone after a millisecond or two, and then every lookLater for hurryLasts
// since the last start or death.
const (
	lookSoon   = 100 * time.Microsecond
	hurry      = 50 * time.Millisecond
	lookLater  = time.Millisecond
	hurryLasts = 3 * time.Second
	// nameLater is the same for names alone.
	nameLater = 20 * time.Millisecond
)

// lookForNewborn finds new processes and their names until ctx ends.
func (k *kernel) lookForNewborn(ctx context.Context) {
	// Timers of the Go runtime have the resolution of epoll, a millisecond.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(lookSoon/10), 0, 0, 0)

	k.watch.Look()
	for {
		k.watch.FindNames()
		select {
		case <-ctx.Done():
			return
		case <-k.starts:
		}
		k.lookWhileStarting(ctx)
	}
}

// lookWhileStarting looks until hurryLasts after the last start or death, or until all is
// found.
func (k *kernel) lookWhileStarting(ctx context.Context) {
	for begun := time.Now(); ctx.Err() == nil && time.Since(begun) < hurryLasts; {
		more := k.watch.FindNames()
		if !k.watch.Connected() {
			k.watch.Look()
		} else if !more {
			return
		}

		nap := lookSoon
		switch {
		case time.Since(begun) < hurry:
		case k.watch.Connected():
			nap = nameLater
		default:
			nap = lookLater
		}
		_ = unix.Nanosleep(&unix.Timespec{Nsec: int64(nap)}, nil)

		select {
		case <-k.starts:
			begun = time.Now()
		default:
		}
	}
}
