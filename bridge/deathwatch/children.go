package deathwatch

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxSteps bounds how many new process ids are tried one by one; above it, all of
// procfs is read.
const maxSteps = 4 << 10

// children finds the processes that supervisord has started, in procfs.
type children struct {
	cfg *Config

	mu      sync.Mutex // guards what is below it
	looked  int        // up to which process id it has looked; 0 for none
	session int        // supervisord's, 0 while it is not known
}

// find calls a func with the children that were started since the last call.
func (c *children) find(found func(pid int, started time.Time)) {
	last := lastPID(c.cfg.Proc)
	c.mu.Lock()
	defer c.mu.Unlock()
	from := c.looked
	c.looked = last
	if last == from && last != 0 {
		return
	}

	var list []int
	if from != 0 && last > from && last-from <= maxSteps {
		for pid := from + 1; pid <= last; pid++ {
			list = append(list, pid)
		}
	} else { // the first look, or the numbers began again
		list = pids(c.cfg.Proc)
	}
	for _, pid := range list {
		if s, ok := readStat(c.cfg.Proc, pid); ok && c.isStarted(s) {
			found(pid, s.started)
		}
	}
}

// startOver lets the next find look at all processes.
func (c *children) startOver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = 0
}

// isStarted reports whether supervisord has started a process. What a program has started,
// and left to supervisord when it died, has another session: only the children of
// supervisord are leaders of their group (process.py _spawn_as_child calls setpgrp), which
// cannot leave their session.
func (c *children) isStarted(s stat) bool {
	parent := c.cfg.Parent
	if s.parent != parent {
		return false
	}
	if c.session == 0 {
		own, _ := readStat(c.cfg.Proc, parent)
		c.session = own.session
	}
	return s.session == c.session
}

// isOurs reports whether a process is a child of supervisord, and when it was started: a
// number that was used again by another program is not. Where that cannot be known it is
// taken for one.
func (c *children) isOurs(pid int) (started time.Time, ours bool) {
	if s, ok := readStat(c.cfg.Proc, pid); ok {
		return s.started, s.parent == c.cfg.Parent
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return started, !errors.Is(err, unix.ESRCH)
	}
	defer unix.Close(fd)

	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_PID}
	if c.cfg.Info(fd, &info) == nil && info.Mask&unix.PIDFD_INFO_PID != 0 {
		return started, int(info.Ppid) == c.cfg.Parent
	}
	return started, true
}
