// Package deathreason finds out why processes died and what they wrote last, which
// supervisord's events do not say. It follows the events and supervisord's own log side by
// side (see replay), asks supervisord where the log does not say enough, and reads the
// logs of the programs. Files are read where that is possible: supervisord may answer
// nothing when it counts, for it is being stopped. The rest is asked for over XML-RPC.
//
// Nothing here is ever in the way of a listener's answer. Under pressure events stay
// without a reason instead of waiting: a call takes at most Config.Limit, and 200 ms more
// where a file system does not answer; until it does there are no reasons, and no waiting.
// After an error supervisord is left alone for 300 ms, then twice as long each time, at
// most a minute.
//
// Memory: at most 32,768 lines of the log, 16,384 events and 16,384 reasons, some 8 MB in
// the worst case, the names, log paths and marks of 16,384 processes, some 10 MB, and the
// answers of one batch.
package deathreason

import (
	"context"
	"time"

	"supernats/bridge/deathreason/ownlog"
	"supernats/bridge/deathreason/programlog"
	"supernats/schema"
)

// DefaultLimit is how long Explain waits for supervisord, in all.
const DefaultLimit = 300 * time.Millisecond

// Received is an event, and when the bridge read it.
type Received struct {
	Event *schema.Event
	At    time.Time
	// Kernel is how the kernel said that the process ended, nil where that is not known.
	// It goes before what supervisord's log says.
	Kernel *schema.Exit
}

// Server is supervisord's XML-RPC. Each method asks in one request where supervisord can
// do that. An error with a method ShuttingDown() that returns true is not reported.
type Server interface {
	// ProcessInfo returns rows of the process table, of processes named group:process.
	// A row is nil where supervisord has none to give.
	ProcessInfo(ctx context.Context, names []string) ([]*schema.SnapshotProcess, error)
	// ReadProcessLogs returns parts of logs, nil for one that cannot be read.
	ReadProcessLogs(ctx context.Context, parts []LogPart) ([]*string, error)
	// IsGoPort reports whether this is known to be the Go port of supervisord, to which
	// each question is a request of its own.
	IsGoPort() bool
}

// LogPart is a part of the log of a process.
type LogPart struct {
	Name   string // group:process
	Stderr bool
	// Offset and Length are in bytes. With a Length of 0, Offset is negative and counts
	// from the end.
	Offset, Length int64
}

// Journal reads supervisord's own log as it grows, over XML-RPC.
type Journal interface {
	// Placed reports whether the next Read continues where the last one ended.
	Placed() bool
	// Read reads what is new; done means that it has come to the end of the log.
	// farEnough reports whether the first read may begin with some lines. sink is called
	// with whole lines, or none; gap means that there may be lines before them that will
	// never come. An error with a method Unreadable() that returns true means that there
	// is no log to be read.
	Read(
		ctx context.Context, farEnough func(lines string) bool, sink func(lines string, gap bool),
	) (done bool, err error)
	// End returns the last n bytes; ok is false where supervisord does not answer, or
	// where the bytes had to be changed.
	End(ctx context.Context, n int) (end string, ok bool)
}

// Settings is what supervisord's command line and configuration say of logs.
type Settings struct {
	OwnLog   ownlog.Settings
	Programs []programlog.Program
}

// Config is what Reasons needs.
type Config struct {
	// Server and Journal are nil where there is no XML-RPC: what can be read from files is
	// found out all the same.
	Server  Server
	Journal Journal
	// Boot is that of this supervisord. Events of another one are not explained: they
	// died in a log that is no longer there, or with pids that mean something else by now.
	Boot string
	// SupervisorPID returns supervisord's process id, 0 where it is not known: then its
	// log is read over XML-RPC.
	SupervisorPID func() int
	// Settings, if not nil, reads the command line and the configuration of the
	// supervisord with a process id.
	Settings func(pid int) Settings
	// Fresh reports, if not nil, whether supervisord has just been started: what its
	// programs' logs hold is of earlier lives.
	Fresh func() bool
	// Tail is how many bytes of a process's stdout and stderr go into an event; 0 turns it
	// off.
	Tail int
	// Limit is how long Explain waits for supervisord in all; DefaultLimit if it is 0.
	Limit time.Duration
	// Warn, if not nil, is given the first error when XML-RPC begins not to answer, and
	// again after it did.
	Warn func(error)
	// Raise and Clear, if not nil, report troubles: reasons, log-rotated, log-tail. They
	// are called again and again with the same cause.
	Raise func(cause, text, fix string)
	Clear func(cause string)
	// KernelKnows, if not nil, reports whether the kernel says how processes end: then a
	// log that does not is no trouble, until a death comes without a reason.
	KernelKnows func() bool
	// Differs, if not nil, is called with an event of which the kernel and supervisord's
	// log say different things.
	Differs func(e *schema.Event, kernel, log *schema.Exit)
}

// Causes of troubles.
const (
	troubleReasons = "reasons"
	troubleRotated = "log-rotated"
	troubleTail    = "log-tail"
)

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	if c.Limit == 0 {
		c.Limit = DefaultLimit
	}
	if c.SupervisorPID == nil {
		c.SupervisorPID = func() int { return 0 }
	}
	if c.Settings == nil {
		c.Settings = func(int) Settings { return Settings{} }
	}
	if c.Fresh == nil {
		c.Fresh = func() bool { return false }
	}

	if c.Warn == nil {
		c.Warn = func(error) {}
	}
	if c.Raise == nil {
		c.Raise = func(string, string, string) {}
	}
	if c.Clear == nil {
		c.Clear = func(string) {}
	}
	if c.KernelKnows == nil {
		c.KernelKnows = func() bool { return false }
	}
	if c.Differs == nil {
		c.Differs = func(*schema.Event, *schema.Exit, *schema.Exit) {}
	}
	return c
}
