package deathwatch

import (
	"time"

	"golang.org/x/sys/unix"

	"supernats/schema"
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

// process is one that is watched, or an end that waits for its event. Watch.mu guards it.
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
	// stopping is set when it has been asked to stop: its death is not waited for. pending is
	// set while its death is waited for.
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

// isOrderly reports whether a status is that of a process that was asked to stop, see Death.
func isOrderly(s unix.WaitStatus) bool {
	if s.Exited() {
		return s.ExitStatus() == 0
	}
	switch s.Signal() {
	case unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2:
		return true
	}
	return false
}
