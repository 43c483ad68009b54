package deathwatch

import (
	"errors"
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxAlive bounds the processes without a descriptor that are remembered.
	maxAlive = 64 << 10
	// leaderLast is how long the other threads of a process may take to end after its
	// first one: if that ended long before, its status is not that of the process.
	leaderLast = time.Second
	// pendingFor is for how long after a death supervisord is expected to be late with
	// its event; then it has woken up by itself.
	pendingFor = 3 * time.Second
)

// table is what a Watch knows of the processes that run, and of those that have ended.
// Watch.mu guards it, in all of its methods.
//
// Invariants:
//   - a process is in alive or in ends, never in both;
//   - byFD holds those of alive with a descriptor, dying those that have died.
type table struct {
	cfg    *Config
	poller poller
	// connected means that the process connector reports every start and death.
	connected bool

	generation int32
	alive      map[int]*process   // not reaped, by pid
	byFD       map[int32]*process // those of them with a descriptor
	dying      map[*process]bool  // those that have died
	refused    map[int]bool       // processes that there was no descriptor for
	unnamed    []*process         // those to find the name of, the youngest last
	ends       ends
	starts     starts

	// added and dead are what Watch.unlock reports.
	added, dead []int
}

func newTable(cfg *Config, poller poller, connected bool) table {
	return table{
		cfg: cfg, poller: poller, connected: connected,
		alive: map[int]*process{}, byFD: map[int32]*process{}, dying: map[*process]bool{},
		refused: map[int]bool{}, ends: ends{byPID: map[int][]*process{}},
	}
}

// add watches a process that supervisord has started, and returns nil if it cannot be. One
// that has been reaped is kept if the connector has reported its start: it will report its
// end.
func (t *table) add(pid int, started time.Time, reported bool) *process {
	if p := t.alive[pid]; p != nil {
		if t.settle(p); !p.reaped {
			return p
		}
	}

	p := &process{pid: pid, fd: -1, started: started}
	err := t.open(p)
	useless := err != nil && (!t.connected || errors.Is(err, unix.ESRCH) && !reported)
	if useless || len(t.alive) >= maxAlive {
		t.close(p)
		return nil
	}

	t.alive[pid] = p
	if len(t.unnamed) >= maxKept {
		t.unnamed = slices.Delete(t.unnamed, 0, maxKept/2)
	}
	t.unnamed = append(t.unnamed, p)
	t.added = append(t.added, pid)
	return p
}

// open opens the descriptor of a process. The error is ESRCH if it has been reaped.
func (t *table) open(p *process) error {
	fd, err := t.openPidfd(p.pid)
	switch {
	case err == nil:
		p.fd, p.generation, p.refused = fd, t.generation, false
		t.byFD[int32(fd)] = p
		delete(t.refused, p.pid)
		return nil
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT):
		// The last two are said of the number of a thread.
		delete(t.refused, p.pid)
		return unix.ESRCH
	}

	p.refused = true
	if len(t.refused) < maxAlive {
		t.refused[p.pid] = true
	}
	return err
}

// openPidfd opens a descriptor of a process and adds it to the poller.
func (t *table) openPidfd(pid int) (fd int, err error) {
	if len(t.byFD) >= t.cfg.Files {
		return -1, unix.EMFILE
	}
	if fd, err = unix.PidfdOpen(pid, 0); err != nil {
		return -1, err
	}

	// Edges: one for the death, one for the reap.
	t.generation++
	if err = t.poller.add(fd, unix.EPOLLIN|unix.EPOLLET, t.generation); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// close closes the descriptor of a process, which takes it out of the poller too.
func (t *table) close(p *process) {
	if p.fd < 0 {
		return
	}
	delete(t.byFD, int32(p.fd))
	_ = unix.Close(p.fd)
	p.fd = -1
}

// closeAll closes all descriptors and forgets everything.
func (t *table) closeAll() {
	for _, p := range t.byFD {
		_ = unix.Close(p.fd)
	}
	*t = newTable(t.cfg, t.poller, t.connected)
}

// noteDeath takes note of a death, and reports it unless the process was asked to stop.
func (t *table) noteDeath(p *process, at time.Time) {
	if !p.died.IsZero() {
		return
	}
	p.died = at
	t.dying[p] = true
	t.dead = append(t.dead, p.pid)
	if p.stopping || p.reported {
		return
	}

	d := Death{Ran: math.MaxInt64, Orderly: !p.leftAt.IsZero() && isOrderly(p.first)}
	if !p.started.IsZero() {
		d.Ran = at.Sub(p.started)
	}
	p.pending = t.cfg.Died(d)
}

// noteLeaderEnd takes note of the end of the first thread of a process. Of one with a
// descriptor that says when all threads have ended.
func (t *table) noteLeaderEnd(pid int, status unix.WaitStatus, at time.Time) {
	p := t.alive[pid]
	if p == nil {
		return // supervisord has inherited it
	}
	p.first, p.leftAt = status, at
	if p.fd < 0 {
		t.noteDeath(p, at)
		t.settle(p)
	}
}

// settle ends the watch of a process if it has been reaped.
func (t *table) settle(p *process) {
	if p.fd < 0 {
		// Of one that was refused a descriptor, only its event says that it is reaped.
		if !p.leftAt.IsZero() && !p.refused {
			p.status, p.known = p.first, true
			t.end(p)
		}
		return
	}

	poll := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, 0); err != nil || n == 0 {
		return
	}
	t.noteDeath(p, time.Now())
	if poll[0].Revents&unix.POLLHUP == 0 && !isReaped(p) {
		return
	}

	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT | unix.PIDFD_INFO_COREDUMP}
	switch {
	case t.cfg.Info(p.fd, &info) == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0:
		p.status, p.known = unix.WaitStatus(info.Exit_code), true
	case !p.leftAt.IsZero() && p.died.Sub(p.leftAt) < leaderLast:
		p.status, p.known = p.first, true
	}
	t.end(p)
}

// isReaped reports whether a process has been reaped, where the kernel does not hang up
// (before Linux 6.9).
func isReaped(p *process) bool {
	return errors.Is(unix.PidfdSendSignal(p.fd, 0, nil, 0), unix.ESRCH)
}

// settleReported settles a process whose event has come: it has been reaped, or its number
// is that of another one by now.
func (t *table) settleReported(p *process) {
	p.reported = true
	t.settle(p)
	p.reported = p.reaped
	if p.reaped || p.fd >= 0 || p.leftAt.IsZero() {
		return
	}
	p.status, p.known = p.first, time.Since(p.leftAt) < pendingFor
	t.end(p)
}

// end keeps the end of a process for its event.
func (t *table) end(p *process) {
	t.close(p)
	p.reaped = true
	delete(t.alive, p.pid)
	delete(t.dying, p)
	delete(t.refused, p.pid)
	t.ends.keep(p)
}

// take returns an end that an event of a name reports, and forgets it.
func (t *table) take(p *process, name Name) Exit {
	t.ends.removeThrough(p, name)
	return p.exit()
}

// named returns the process that an event means with a program's name and a process id,
// nil where that is ambiguous. While the event stood in supervisord's buffer the number
// may have been used again, and the ends of both are kept. Events come in the order of
// what they are about, so it is the oldest that has the name.
func (t *table) named(pid int, name Name) *process {
	alive := t.alive[pid]
	if alive != nil && alive.running {
		return nil // a process table shows it again
	}

	var fitting []*process
	for _, p := range append(slices.Clone(t.ends.byPID[pid]), alive) {
		if p != nil && !p.running && (p.name == name || p.name == Name{}) {
			fitting = append(fitting, p)
		}
	}
	for _, p := range fitting {
		if p.name == name && !p.loose {
			return p
		}
	}

	switch {
	case len(fitting) == 1:
		return fitting[0]
	case len(fitting) == 0 && len(t.ends.byPID[pid]) == 0:
		return alive // its variables have another name
	}
	return nil
}

// allNamed reports whether each of some programs has a process.
func (t *table) allNamed(names []Name) bool {
	missing := make(map[Name]bool, len(names))
	for _, name := range names {
		missing[name] = true
	}
	for _, p := range t.alive {
		delete(missing, p.name)
	}
	return len(missing) == 0
}

// loosen is for when events or processes were missed.
func (t *table) loosen() {
	t.starts.forget()
	t.ends.loosen()
	for _, p := range t.alive {
		p.loose = true
	}
}
