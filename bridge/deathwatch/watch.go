// Package deathwatch learns from the kernel that a program of supervisord has died,
// and why. supervisord itself sleeps in poll for up to a second before it reaps a
// child (supervisord.py runforever), and of a death that nobody may see in its log it
// says nothing at all.
//
//	fork          found by its pid, or among supervisord's children: pidfd_open
//	  │
//	exit          its descriptor is readable: Died, upon which the bridge wakes supervisord
//	  │
//	reap          it is hung up: the wait status is read and kept, the descriptor closed
//	  │
//	EXITED        Exit takes the status of its pid
//
// A pidfd stays with its process: a pid that is used again is another entry. What
// the kernel cannot say is left out and never guessed: supervisord's log says it then.
//
// Descriptors are bounded by Config.Files, one for each process that runs; statuses
// that nobody has taken by maxKept, the oldest go first. That is 1 MB at most.
package deathwatch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxKept bounds the statuses that wait for their event.
	maxKept = 16 << 10
	// together is how long after a death others are waited for before Died is called.
	together = 2 * time.Millisecond
)

// Config is what a Watch needs.
type Config struct {
	// Parent returns the process id of supervisord as it is seen here, 0 while it is
	// not known.
	Parent func() int
	// Died is called after one or more processes have died, 2 ms after the first of
	// them at the latest, from Run's goroutine.
	Died func(deaths int)
	// Files bounds how many processes are watched.
	Files int
	// Proc is where procfs is mounted; /proc if it is empty.
	Proc string
}

// Exit is how a process ended.
type Exit struct {
	// Status is that of wait(2).
	Status unix.WaitStatus
	// Started is when the descriptor was opened, Died when the kernel reported the
	// death; both are of this process's clock.
	Started, Died time.Time
}

// Name is how supervisord calls a process.
type Name struct{ Group, Process string }

// process is one that is watched, or a status that waits for its event.
type process struct {
	pid int
	fd  int
	// name is zero while it is not known; asked is how often its variables were read.
	name   Name
	asked  int
	opened time.Time
	died   time.Time
	status unix.WaitStatus
	reaped bool
}

// Watch watches the children of one supervisord. Its methods may be called from
// several goroutines.
type Watch struct {
	cfg  Config
	poll int // the epoll
	wake int // an eventfd in it, that ends Run

	mu sync.Mutex
	// alive are those with a descriptor, by pid; byFD are the same.
	alive map[int]*process
	byFD  map[int32]*process
	// kept are the statuses that nobody has taken, by pid, the oldest first; order is
	// when they came.
	kept  map[int][]*process
	order []*process

	// base are the variables of supervisord itself, which its children have until they
	// execute their program.
	base []byte

	// looked is up to which process id Look has looked; looks guards it.
	looks  sync.Mutex
	looked int

	// unwatched is how many there was no descriptor for.
	unwatched atomic.Uint64
	// dropped is how many statuses went because nobody took them.
	dropped atomic.Uint64

	info func(fd int, info *unix.PidfdInfo) error // the ioctl; tests play older kernels
}

// ErrUnsupported means that this kernel, or what stands between it and us, has no
// pidfd (before Linux 5.3; a seccomp filter; gVisor).
var ErrUnsupported = errors.New("no pidfd")

// New makes a Watch. The error says why nothing can be watched here.
func New(cfg Config) (*Watch, error) {
	if cfg.Proc == "" {
		cfg.Proc = "/proc"
	}
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	defer unix.Close(self)

	w := &Watch{
		cfg: cfg, alive: map[int]*process{}, byFD: map[int32]*process{}, kept: map[int][]*process{},
		info: unix.IoctlPidfdInfo,
	}
	if w.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("watch processes: %w", err)
	}
	if w.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		err = unix.EpollCtl(w.poll, unix.EPOLL_CTL_ADD, w.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(w.wake)})
	}
	if err != nil {
		_ = unix.Close(w.poll)
		return nil, fmt.Errorf("watch processes: %w", err)
	}
	return w, nil
}

// Tells reports whether the kernel says how a process ended: from Linux 6.15 on.
func (w *Watch) Tells() bool {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	info := unix.PidfdInfo{Mask: maskSupported}
	if w.info(fd, &info) != nil {
		return false
	}
	// Which masks there are is said from 6.17 on; before, the version says it.
	return info.Mask&maskSupported != 0 && info.Supported_mask&unix.PIDFD_INFO_EXIT != 0 || w.release(6, 15)
}

// maskSupported is PIDFD_INFO_SUPPORTED_MASK of linux/pidfd.h.
const maskSupported = 0x20

func (w *Watch) release(major, minor int) bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var a, b int
	_, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &a, &b)
	return err == nil && (a > major || a == major && b >= minor)
}

// Add watches a child of supervisord. One that is watched already, or is not its
// child (any more), changes nothing.
func (w *Watch) Add(pid int) {
	if pid <= 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()

	if p := w.alive[pid]; p != nil {
		if w.settle(p); !p.reaped {
			return
		}
	}
	if len(w.alive) >= w.cfg.Files {
		w.unwatched.Add(1)
		return
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it has been reaped
	}
	if !w.ours(pid, fd) {
		_ = unix.Close(fd)
		return
	}

	p := &process{pid: pid, fd: fd, opened: time.Now()}
	// Edges: one for the death, one for the reap.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd)}
	if err := unix.EpollCtl(w.poll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		_ = unix.Close(fd)
		w.unwatched.Add(1)
		return
	}
	w.alive[pid], w.byFD[int32(fd)] = p, p
}

// ours reports whether a process is a child of supervisord: a number that was used
// again by another program is not. Where that cannot be known it is taken for one.
func (w *Watch) ours(pid, fd int) bool {
	parent := w.cfg.Parent()
	if parent == 0 {
		return true
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_PID}
	if w.info(fd, &info) == nil && info.Mask&unix.PIDFD_INFO_PID != 0 {
		return int(info.Ppid) == parent
	}
	if of, ok := parentOf(w.cfg.Proc, pid); ok {
		return of == parent
	}
	return true
}

// settle reads the wait status of a process if it has been reaped, and lets its
// descriptor go. mu is held.
func (w *Watch) settle(p *process) {
	poll := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, 0); err != nil || n == 0 || poll[0].Revents&unix.POLLHUP == 0 && !w.gone(p) {
		return
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT | unix.PIDFD_INFO_COREDUMP}
	known := w.info(p.fd, &info) == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0

	p.reaped = true
	if p.died.IsZero() {
		p.died = time.Now()
	}
	delete(w.alive, p.pid)
	delete(w.byFD, int32(p.fd))
	_ = unix.Close(p.fd) // takes it out of the epoll too
	if !known {
		return
	}
	p.status = unix.WaitStatus(info.Exit_code)
	w.keep(p)
}

// gone reports whether a process has been reaped, where the kernel does not hang up
// (before Linux 6.9).
func (w *Watch) gone(p *process) bool {
	return errors.Is(unix.PidfdSendSignal(p.fd, 0, nil, 0), unix.ESRCH)
}

func (w *Watch) keep(p *process) {
	w.kept[p.pid] = append(w.kept[p.pid], p)
	w.order = append(w.order, p)
	for len(w.order) > maxKept {
		oldest := w.order[0]
		w.order = w.order[1:]
		if w.take(oldest.pid, oldest) {
			w.dropped.Add(1)
		}
	}
}

// take removes a status.
func (w *Watch) take(pid int, p *process) bool {
	list := w.kept[pid]
	for i := range list {
		if list[i] != p {
			continue
		}
		if len(list) == 1 {
			delete(w.kept, pid)
		} else {
			w.kept[pid] = append(list[:i:i], list[i+1:]...)
		}
		return true
	}
	return false
}

// ExitNamed returns how the process with a name ended, once: the oldest one of that
// name that nobody has taken. It is for events without a process id, and for
// processes that lived long enough for their variables to be read.
func (w *Watch) ExitNamed(name Name) (Exit, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()

	for _, p := range w.alive {
		if p.name == name && !p.died.IsZero() {
			w.settle(p)
		}
	}
	for _, p := range w.order {
		if p.name == name && w.take(p.pid, p) {
			return Exit{Status: p.status, Started: p.opened, Died: p.died}, true
		}
	}
	return Exit{}, false
}

// Exit returns how the process with a pid ended, once: the oldest one that nobody
// has taken. It is for the event that reports the death: supervisord has reaped it.
func (w *Watch) Exit(pid int) (Exit, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()

	if p := w.alive[pid]; p != nil {
		w.settle(p)
	}
	list := w.kept[pid]
	if len(list) == 0 {
		return Exit{}, false
	}
	p := list[0]
	w.take(pid, p)
	return Exit{Status: p.status, Started: p.opened, Died: p.died}, true
}

// Run reports deaths until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		_, _ = unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	defer stop()

	events := make([]unix.EpollEvent, 256)
	deaths, first := 0, time.Time{}
	for {
		wait := -1
		if deaths > 0 {
			wait = int(max(0, time.Until(first.Add(together))+time.Millisecond-1) / time.Millisecond)
		}
		n, err := unix.EpollWait(w.poll, events, wait)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("watch processes: %w", err)
		}
		if died := w.handle(events[:max(n, 0)]); died > 0 {
			if deaths == 0 {
				first = time.Now()
			}
			deaths += died
		}
		if deaths > 0 && time.Since(first) >= together {
			w.cfg.Died(deaths)
			deaths = 0
		}
	}
}

// handle takes note of what epoll reports, and returns how many have died.
func (w *Watch) handle(events []unix.EpollEvent) (died int) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()

	for _, e := range events {
		p := w.byFD[e.Fd]
		if p == nil {
			continue // ours, or one that Exit was faster with
		}
		if p.died.IsZero() {
			p.died = now
			if e.Events&unix.EPOLLHUP == 0 {
				died++
			}
		}
		if e.Events&unix.EPOLLHUP != 0 {
			w.settle(p)
		}
	}
	return died
}

// Close lets all descriptors go. Call it when Run has returned.
func (w *Watch) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()

	for _, p := range w.alive {
		_ = unix.Close(p.fd)
	}
	clear(w.alive)
	clear(w.byFD)
	_ = unix.Close(w.poll)
	_ = unix.Close(w.wake)
}

// Stats are how many processes are watched now, how many there was no descriptor
// for, and how many statuses were dropped since nobody took them.
func (w *Watch) Stats() (watched int, unwatched, dropped uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.alive), w.unwatched.Load(), w.dropped.Load()
}
