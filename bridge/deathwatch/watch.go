// Package deathwatch learns from the kernel that a program of supervisord has died, and
// why. supervisord itself sleeps in poll for up to a second before its next round
// (supervisord.py runforever), and reports no reason where its log may not be read.
//
//	fork      reported by the process connector, or found by its number, or among
//	  │       supervisord's children: pidfd_open
//	exit      its descriptor is readable: Died, upon which the bridge wakes supervisord
//	  │
//	reap      it is hung up: the wait status is read and kept, the descriptor closed
//	  │
//	EXITED    Exit takes the status
//
// Two sources say how a process ended. A pidfd knows the wait status after the reap
// (Linux 6.15), but only if it was opened before: what dies within a millisecond may be
// gone by then. The connector knows of every process; of one whose first thread ends
// before the others it gives the status of that thread, so the pidfd goes first.
//
// A pidfd stays with its process: a number that is used again is another entry. What
// the kernel cannot say is left out and never guessed: supervisord's log says it then.
//
// Under pressure: one descriptor for each process that runs, Config.Files at most, the
// rest is counted; maxKept ends that were not asked for yet, 5 MB at most, the oldest are
// dropped and counted. No method waits for anything but a mutex, under which nothing but
// descriptors of this process is asked.
package deathwatch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Config is what a Watch needs.
type Config struct {
	// Parent is the process id of supervisord as it is seen here.
	Parent int
	// Died is called with the death of a process that is not known to have been asked to
	// stop. It returns whether its event is waited for, see Pending. It must not block,
	// and must not call the Watch.
	Died func(Death) bool
	// Started is called when the connector has reported the start of a process, whose
	// name is to be found then. The same holds for it; it may be nil.
	Started func()
	// Added is called with processes that are watched from now on, and Dead with those
	// that have died, most of them before supervisord has reaped them. The same holds for
	// both; they may be nil.
	Added, Dead func(pids []int)
	// Files bounds how many processes are watched.
	Files int
	// Proc is where procfs is mounted; /proc if it is empty.
	Proc string
	// NoConnector leaves the process connector alone.
	NoConnector bool
	// Info asks a pidfd; unix.IoctlPidfdInfo if it is nil.
	Info func(fd int, info *unix.PidfdInfo) error
}

// Watch watches the children of one supervisord. Its methods may be called from
// several goroutines.
type Watch struct {
	cfg      Config
	poller   poller
	children children

	// connector is nil where the kernel has none for us. It is set by New; mu guards its
	// use.
	connector *connector

	// mu guards what is below it.
	mu     sync.Mutex
	closed bool
	table  table
	// overrun means that the connector has missed something, see Sweep.
	overrun bool
}

// Death is what is known of one before supervisord has reaped the process.
type Death struct {
	// Ran is how long it had been running, very long if that is not known.
	Ran time.Duration
	// Orderly says that it has ended as one that was asked to stop: by itself and with
	// success, or by a signal that supervisord may be told to send. False if that is
	// not known.
	Orderly bool
}

// ErrUnsupported means that this kernel, or what stands between it and us, has no
// pidfd (before Linux 5.3; a seccomp filter; gVisor).
var ErrUnsupported = errors.New("no pidfd")

// New makes a Watch, which the caller closes. The error says why nothing can be watched
// here.
func New(cfg Config) (*Watch, error) {
	if cfg.Proc == "" {
		cfg.Proc = "/proc"
	}
	if cfg.Started == nil {
		cfg.Started = func() {}
	}
	if cfg.Info == nil {
		cfg.Info = unix.IoctlPidfdInfo
	}

	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	_ = unix.Close(self)

	w := &Watch{cfg: cfg}
	w.children.cfg = &w.cfg
	if w.poller, err = newPoller(); err != nil {
		return nil, err
	}
	if !cfg.NoConnector {
		w.connect()
	}
	w.table = newTable(&w.cfg, w.poller, w.Connected())
	return w, nil
}

// connect subscribes to the process connector where there is one.
func (w *Watch) connect() {
	c, err := openConnector(w.cfg.Parent)
	if err != nil {
		return
	}
	if w.poller.add(c.fd, unix.EPOLLIN, 0) != nil {
		c.close()
		return
	}
	w.connector = c
}

// Connected reports whether every start and death is reported by the kernel: then
// Look need not be called again.
func (w *Watch) Connected() bool { return w.connector != nil }

// KernelReportsExits reports whether the kernel says how a process ended.
func KernelReportsExits() bool {
	return (&Watch{cfg: Config{Info: unix.IoctlPidfdInfo}}).ReportsExits()
}

// ReportsExits reports whether a pidfd says how a process ended: from Linux 6.15 on.
func (w *Watch) ReportsExits() bool {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)

	info := unix.PidfdInfo{Mask: maskSupported}
	if w.cfg.Info(fd, &info) != nil {
		return false
	}
	// Which masks there are is said from 6.17 on; before, the version says it.
	return info.Mask&maskSupported != 0 && info.Supported_mask&unix.PIDFD_INFO_EXIT != 0 || release(6, 15)
}

// maskSupported is PIDFD_INFO_SUPPORTED_MASK of linux/pidfd.h.
const maskSupported = 0x20

func release(major, minor int) bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var a, b int
	_, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &a, &b)
	return err == nil && (a > major || a == major && b >= minor)
}

// Look watches the children of supervisord that were started since the last look. An
// event names a process id only when the program has stayed up for startsecs, which is
// too late for those that die before. Where Connected, only the first look is needed.
func (w *Watch) Look() {
	w.children.find(func(pid int, started time.Time) {
		w.mu.Lock()
		defer w.unlock()
		w.table.add(pid, started, false)
	})
}

// Sees reports whether Look finds anything: procfs shows the processes of supervisord's
// user, and which process id was given last.
func (w *Watch) Sees() bool {
	_, shown := readStat(w.cfg.Proc, w.cfg.Parent)
	return shown && lastPID(w.cfg.Proc) > 0
}

// Run reports deaths until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, w.poller.interrupt)
	defer stop()

	events := make([]unix.EpollEvent, 256)
	for {
		n, err := w.poller.wait(events)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("watch processes: %w", err)
		}

		w.mu.Lock()
		w.handle(events[:max(n, 0)])
		w.unlock()
	}
}

// unlock unlocks mu and reports what has changed while it was held.
func (w *Watch) unlock() {
	t := &w.table
	added, dead := t.added, t.dead
	t.added, t.dead = nil, nil
	w.mu.Unlock()

	if len(added) > 0 && w.cfg.Added != nil {
		w.cfg.Added(added)
	}
	if len(dead) > 0 && w.cfg.Dead != nil {
		w.cfg.Dead(dead)
	}
}

// catchUp takes what the connector has reported and Run has not come to: a process
// that has been reaped has been reported before. mu is held.
func (w *Watch) catchUp() {
	if w.connector != nil && !w.closed {
		w.receive()
	}
}

// handle takes note of what epoll reports. mu is held.
func (w *Watch) handle(events []unix.EpollEvent) {
	now := time.Now()
	if w.connector != nil {
		w.receive() // it knows how those that epoll reports have ended
	}
	for _, e := range events {
		if w.connector != nil && e.Fd == int32(w.connector.fd) {
			continue
		}
		p := w.table.byFD[e.Fd]
		if p == nil || p.generation != e.Pad {
			continue // the end of Run, or one that has been closed
		}
		w.table.noteDeath(p, now)
		if e.Events&unix.EPOLLHUP != 0 {
			w.table.settle(p)
		}
	}
}

// receive takes what the connector reports. mu is held, and connector is not nil.
func (w *Watch) receive() {
	for {
		msg, err := w.connector.next()
		switch {
		case errors.Is(err, unix.EINTR), err == nil && msg == nil:
			continue
		case errors.Is(err, unix.ENOBUFS):
			w.overrun = true
			w.table.loosen()
			continue
		case err != nil: // EAGAIN: there is no more
			return
		}

		at := when(msg)
		switch what(msg) {
		case whatFork:
			starts := &w.table.starts
			starts.forks++
			if p := w.table.add(field(msg, forkPID), at, true); p != nil {
				p.fork, p.started = starts.forks, at
			}
			w.cfg.Started()
		case whatExit:
			w.table.noteLeaderEnd(field(msg, exitPID), unix.WaitStatus(field(msg, exitStatus)), at)
		}
	}
}

// Close closes all descriptors. Call it when Run has returned.
func (w *Watch) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.closed = true
	w.table.closeAll()
	if w.connector != nil {
		w.connector.close()
	}
	w.poller.close()
}
