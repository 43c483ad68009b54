package deathwatch

import (
	"errors"
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"supernats/schema"
)

const (
	// maxKept bounds the ends that wait for their event, and keepFor for how long: it may
	// stand in supervisord's buffer after thousands of others. One of 65,536 events, as
	// the bridge's section has it, holds fewer deaths: each has its start there too.
	maxKept = 32 << 10
	keepFor = time.Hour
	// maxAlive bounds the processes without a descriptor that are remembered.
	maxAlive = 64 << 10
	// leaderLast is how long the other threads of a process may take to end after its
	// first one: if that ended long before, its status is not that of the process.
	leaderLast = time.Second
	// pendingFor is for how long after a death supervisord is expected to be late with
	// its event; then it has woken up by itself.
	pendingFor = 3 * time.Second
)

// Name is how supervisord calls a process.
type Name = schema.ProcessName

// Exit is how a process ended.
type Exit struct {
	// PID is 0 if it was one of several that ended the same way.
	PID int
	// Status is that of wait(2), if Known.
	Status unix.WaitStatus
	Known  bool
	// Started is when it was started; zero if that is not known. Died is when the
	// kernel reported the death.
	Started, Died time.Time
}

// process is one that is watched, or an end that waits for its event.
type process struct {
	pid        int
	fd         int // -1 without a descriptor
	generation int32
	fork       int // its number among those that the connector has reported, else 0
	// refused says that there are too many descriptors; without one and not refused it
	// had been reaped before it was opened.
	refused bool

	// name is zero while it is not known; asked is how often its variables were read.
	name  Name
	asked int
	// running is set when an event has named it: supervisord took it for RUNNING.
	running bool
	// stopping is set when it has been asked to stop: nobody waits for its death.
	// pending is set when somebody does.
	stopping, pending bool
	// loose is set when events or processes were missed: then it is not certain which
	// one an event without a process id is about.
	loose bool

	started, died time.Time
	// first is the status of its first thread, and leftAt when it ended, by the connector.
	first  unix.WaitStatus
	leftAt time.Time

	// reported is set when its event has come.
	reported bool
	reaped   bool
	status   unix.WaitStatus
	known    bool
}

func (p *process) exit() Exit {
	return Exit{PID: p.pid, Status: p.status, Known: p.known, Started: p.started, Died: p.died}
}

// table is what a Watch knows of processes. Watch.mu guards it.
type table struct {
	generation int32
	alive      map[int]*process   // not reaped, by pid
	byFD       map[int32]*process // those of them with a descriptor
	dying      map[*process]bool  // those that have died
	unnamed    []*process         // those to find the name of, the youngest last
	kept       map[int][]*process // ended, and nobody has asked; by pid, oldest first
	order      []*process         // the same in their order

	starts  starts
	refused map[int]bool // processes that there was no descriptor for
	dropped uint64       // ends that nobody has asked for
	overrun bool         // the connector has missed something, see Sweep
}

func newTable() table {
	return table{
		alive: map[int]*process{}, byFD: map[int32]*process{}, dying: map[*process]bool{},
		kept: map[int][]*process{}, refused: map[int]bool{},
	}
}

// add watches a process that supervisord has started, nil if it cannot be. One that has
// been reaped is kept if the connector has reported its start: it will report its end.
// mu is held.
func (w *Watch) add(pid int, started time.Time, reported bool) *process {
	if p := w.alive[pid]; p != nil {
		if w.settle(p); !p.reaped {
			return p
		}
	}
	p := &process{pid: pid, fd: -1, started: started}
	err := w.open(p)
	useless := err != nil && (w.connector == nil || errors.Is(err, unix.ESRCH) && !reported)
	if useless || len(w.alive) >= maxAlive {
		w.close(p)
		return nil
	}

	w.alive[pid] = p
	if len(w.unnamed) >= maxKept {
		w.unnamed = slices.Delete(w.unnamed, 0, maxKept/2)
	}
	w.unnamed = append(w.unnamed, p)
	w.added = append(w.added, pid)
	return p
}

// open opens the descriptor of a process. The error is ESRCH if it has been reaped.
// mu is held.
func (w *Watch) open(p *process) error {
	fd, err := -1, error(unix.EMFILE)
	if len(w.byFD) < w.cfg.Files {
		fd, err = unix.PidfdOpen(p.pid, 0)
	}
	if err == nil {
		// Edges: one for the death, one for the reap.
		w.generation++
		if err = w.expect(fd, unix.EPOLLIN|unix.EPOLLET, w.generation); err != nil {
			_ = unix.Close(fd)
		}
	}

	switch {
	case err == nil:
		p.fd, p.generation, p.refused = fd, w.generation, false
		w.byFD[int32(fd)] = p
		delete(w.refused, p.pid)
		return nil
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT):
		// The last two are said of the number of a thread.
		delete(w.refused, p.pid)
		return unix.ESRCH
	}
	if p.refused = true; len(w.refused) < maxAlive {
		w.refused[p.pid] = true
	}
	return err
}

// close closes the descriptor of a process, which takes it out of the epoll too. mu is
// held.
func (w *Watch) close(p *process) {
	if p.fd < 0 {
		return
	}
	delete(w.byFD, int32(p.fd))
	_ = unix.Close(p.fd)
	p.fd = -1
}

// dies takes note of a death. mu is held.
func (w *Watch) dies(p *process, at time.Time) {
	if !p.died.IsZero() {
		return
	}
	p.died = at
	w.dying[p] = true
	w.dead = append(w.dead, p.pid)
	if p.stopping || p.reported {
		return
	}
	d := Death{Ran: math.MaxInt64, Orderly: !p.leftAt.IsZero() && orderly(p.first)}
	if !p.started.IsZero() {
		d.Ran = at.Sub(p.started)
	}
	p.pending = w.cfg.Died(d)
}

func orderly(s unix.WaitStatus) bool {
	if s.Exited() {
		return s.ExitStatus() == 0
	}
	switch s.Signal() {
	case unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2:
		return true
	}
	return false
}

// left takes note of the end of the first thread of a process. Of one with a descriptor
// that says when all threads have ended. mu is held.
func (w *Watch) left(pid int, status unix.WaitStatus, at time.Time) {
	p := w.alive[pid]
	if p == nil {
		return // supervisord has inherited it
	}
	p.first, p.leftAt = status, at
	if p.fd < 0 {
		w.dies(p, at)
		w.settle(p)
	}
}

// settle ends the watch of a process if it has been reaped. mu is held.
func (w *Watch) settle(p *process) {
	if p.fd < 0 {
		// Of one that was refused a descriptor, only its event says that it is reaped.
		if !p.leftAt.IsZero() && !p.refused {
			p.status, p.known = p.first, true
			w.end(p)
		}
		return
	}
	poll := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, 0); err != nil || n == 0 {
		return
	}
	w.dies(p, time.Now())
	if poll[0].Revents&unix.POLLHUP == 0 && !w.gone(p) {
		return
	}

	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT | unix.PIDFD_INFO_COREDUMP}
	switch {
	case w.cfg.Info(p.fd, &info) == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0:
		p.status, p.known = unix.WaitStatus(info.Exit_code), true
	case !p.leftAt.IsZero() && p.died.Sub(p.leftAt) < leaderLast:
		p.status, p.known = p.first, true
	}
	w.end(p)
}

// gone reports whether a process has been reaped, where the kernel does not hang up
// (before Linux 6.9).
func (w *Watch) gone(p *process) bool {
	return errors.Is(unix.PidfdSendSignal(p.fd, 0, nil, 0), unix.ESRCH)
}

// end keeps the end of a process for its event. mu is held.
func (w *Watch) end(p *process) {
	w.close(p)
	p.reaped = true
	delete(w.alive, p.pid)
	delete(w.dying, p)
	delete(w.refused, p.pid)

	w.kept[p.pid] = append(w.kept[p.pid], p)
	w.order = append(w.order, p)
	if len(w.order) > maxKept {
		w.drop(w.order[0])
		w.dropped++
	}
}

// drop forgets the end of a process. mu is held.
func (t *table) drop(p *process) {
	i := slices.Index(t.order, p)
	if i < 0 {
		return
	}
	t.order = slices.Delete(t.order, i, i+1)
	list := t.kept[p.pid]
	if i = slices.Index(list, p); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if t.kept[p.pid] = list; len(list) == 0 {
		delete(t.kept, p.pid)
	}
}

// loosen is for when events or processes were missed. mu is held.
func (t *table) loosen() {
	t.starts.forget()
	for _, p := range t.order {
		p.loose = true
	}
	for _, p := range t.alive {
		p.loose = true
	}
}
