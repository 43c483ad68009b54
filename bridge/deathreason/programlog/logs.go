// Package programlog reads what the programs of supervisord wrote last: it knows where
// each process logs and how large each log was when a life ended, since what stands
// before that is not of the next life.
//
// supervisord reads what a process wrote last, then makes the event of its death, and
// hands that to a listener whose section comes before the program's in the order of
// priorities before it starts the process again (process.py finish, supervisord.py
// runforever). So the log's size is looked at as soon as the event has come, by a
// goroutine of its own (Run) that supervisord does not wait for.
//
// Under pressure ends of lives are dropped: at most maxNotes starts and ends wait to be looked at; what
// comes faster is dropped, and the next life's log then begins too early. At most
// maxProcs processes with maxMarks ends each are kept, some 5 MB. A file system that does
// not answer holds up whoever reads a log, and all who use the same Logs.
package programlog

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/procfs"

	"supernats/bridge/deathreason/ownlog"
	"supernats/schema"
	"supernats/schema/codec"
)

const (
	maxProcs = 1 << 14
	maxNotes = 1 << 11
	// maxMarks is of how many ends of lives the sizes are kept, a process.
	maxMarks = 4
)

// Program is where a process logs, as the configuration says it.
type Program struct {
	Group, Process string
	// Listener means that it is an event listener, whose log nobody expects.
	Listener bool
	// Paths are those of stdout and stderr: absolute, or "" for none.
	Paths [2]string
	// Unknown means that the configuration alone does not say.
	Unknown [2]bool
}

// Logs are those of the programs of one supervisord. They may be used by several
// goroutines.
type Logs struct {
	// notes are the events that were not looked at yet, see Note and Run. strange holds a
	// value when a process was started of which it is not known where it logs.
	notes   chan note
	strange chan struct{}

	// mu guards what is below; it is held while files are looked at.
	mu    sync.Mutex
	procs map[procID]*procLogs
	// tabled says that there was a whole process table: what is started and not in it is
	// new.
	tabled bool
	// own is supervisord's own log.
	own ownlog.Inode
	// shared holds the paths into which more than one program writes, or supervisord
	// itself. withheld holds the names of programs that have such a path, or a standard
	// descriptor of supervisord's, sorted. See findShared.
	shared   map[string]bool
	withheld []string
}

type procID struct{ group, process string }

// note is an event that began or ended a life, or added a group.
type note struct {
	event   string
	serial  uint64
	payload []byte
}

// procLogs are the logs of one process: stdout and stderr.
type procLogs struct {
	paths [2]string // "" for none
	// unknown is set where the configuration alone does not say.
	unknown  [2]bool
	listener bool    // see Program
	start    [2]mark // of the first life that is known
	marks    []marks // ends of lives, oldest first
	// moved says that it may log elsewhere by now: its group was added after its paths
	// were learnt, or they never were. early says that since the last mark, which was made
	// without the right paths, the process was not started.
	moved, early bool
}

// marks are where the logs of a process ended when a life did.
type marks struct {
	serial uint64 // of the event
	at     [2]mark
}

// mark is a place in a log. The zero mark is the beginning.
type mark struct {
	file ownlog.Inode
	size int64
}

// New returns Logs that know of no process.
func New() *Logs {
	return &Logs{
		notes: make(chan note, maxNotes), strange: make(chan struct{}, 1),
		procs: map[procID]*procLogs{}, shared: map[string]bool{},
	}
}

// Note takes note of an event at once: where the logs end now, this life of its process
// ended; a process that is started may be new. It does not block. payload is copied.
func (l *Logs) Note(event string, serial uint64, payload []byte) {
	switch event {
	case schema.ProcessStateExited, schema.ProcessStateBackoff, schema.ProcessStateStopped:
	case schema.ProcessStateStarting, schema.ProcessGroupAdded:
	default:
		return
	}
	select {
	case l.notes <- note{event, serial, slices.Clone(payload)}:
	default:
	}
}

// Run looks at what was noted until ctx ends.
func (l *Logs) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-l.notes:
			e := codec.Decode(codec.Raw{Event: n.event, Serial: n.serial, Payload: n.payload}, "", "")
			switch n.event {
			case schema.ProcessGroupAdded:
				l.groupAdded(e.Group)
			case schema.ProcessStateStarting:
				l.begin(e.Group, e.Process)
			default:
				l.End(e.Group, e.Process, n.serial)
			}
		}
	}
}

// End notes where the logs of a process end now: the event with the serial ended its life.
func (l *Logs) End(group, process string, serial uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.procs[procID{group, process}]
	if p == nil {
		return
	}

	m := marks{serial: serial, at: p.ends()}
	p.early = p.moved
	if len(p.marks) == maxMarks {
		p.marks = slices.Delete(p.marks, 0, 1)
	}
	p.marks = append(p.marks, m)
}

// ends are where the logs end now.
func (p *procLogs) ends() (at [2]mark) {
	for i, path := range p.paths {
		at[i] = markOf(path)
	}
	return at
}

// markOf is the end of a log; the zero mark if it is not there.
func markOf(path string) mark {
	if path == "" {
		return mark{}
	}
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return mark{}
	}
	return mark{ownlog.InodeOf(st), st.Size()}
}

// Configure takes what the configuration says of the programs, and the inode of
// supervisord's own log. fresh means that supervisord, whose process id is pid, has just
// been started: what was written before is of no life of now.
func (l *Logs) Configure(programs []Program, own ownlog.Inode, pid int, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.own = own

	first := len(l.procs) == 0
	configured := map[procID]*Program{} // of two of one name the later one counts
	for i := range programs {
		configured[procID{programs[i].Group, programs[i].Process}] = &programs[i]
	}
	for id, p := range configured {
		l.add(id, p)
	}
	if first && fresh {
		// What was written since may be of a life.
		since := processStart(pid)
		for _, p := range l.procs {
			p.startUnwritten(since)
		}
	}
	l.findShared()
}

// add adds a program. What the process table said of it before stays.
func (l *Logs) add(id procID, p *Program) {
	if known := l.procs[id]; known != nil {
		known.listener = p.Listener
	} else if len(l.procs) < maxProcs {
		l.procs[id] = &procLogs{paths: p.Paths, unknown: p.Unknown, listener: p.Listener}
	}
}

// startUnwritten lets the first life that is known begin at the end of each log that was
// last written before a time.
func (p *procLogs) startUnwritten(since time.Time) {
	for i, path := range p.paths {
		p.start[i] = unwritten(path, since)
	}
}

// unwritten is the end of a log that was last written before a time, else the zero mark.
func unwritten(path string, since time.Time) mark {
	if path == "" || since.IsZero() {
		return mark{}
	}
	if st, err := os.Stat(path); err != nil || !st.ModTime().Before(since) {
		return mark{}
	}
	return markOf(path)
}

// processStart is when a process was started, cut to whole seconds; zero if it cannot be
// found out.
func processStart(pid int) time.Time {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return time.Time{}
	}
	stat, err := p.Stat()
	if err != nil {
		return time.Time{}
	}
	start, err := stat.StartTime()
	if err != nil || start <= 0 {
		return time.Time{}
	}
	return time.Unix(int64(start), 0)
}

// Know takes a whole process table: processes that it does not have are forgotten.
func (l *Logs) Know(table []schema.SnapshotProcess) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.tabled = true
	changed := false
	for i := range table {
		if l.update(&table[i]) {
			changed = true
		}
	}
	if changed || len(l.procs) > len(table) {
		l.forgetOthers(table)
		l.findShared()
	}
}

// update takes one row of a whole table and reports whether its paths are new.
func (l *Logs) update(row *schema.SnapshotProcess) (changed bool) {
	p, added := l.proc(procID{row.Group, row.Process})
	if p == nil {
		return false
	}

	paths := pathsOf(row)
	changed = added || p.paths != paths
	p.learn(row)
	if len(p.marks) == 0 && p.start == [2]mark{} && row.Start > 0 && row.PID > 0 {
		p.startUnwritten(time.Unix(row.Start, 0))
	}
	return changed
}

// Learn takes one row of the process table. Compare has to follow.
func (l *Logs) Learn(row *schema.SnapshotProcess) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, _ := l.proc(procID{row.Group, row.Process}); p != nil {
		p.learn(row)
	}
}

// learn takes where a process logs. If its last life ended before that was known, and it
// does not run again, that life ended where the logs do.
func (p *procLogs) learn(row *schema.SnapshotProcess) {
	p.paths, p.unknown = pathsOf(row), [2]bool{}
	if p.early && row.PID == 0 {
		p.marks[len(p.marks)-1].at = p.ends()
	}
	if p.moved && len(p.marks) == 0 && p.start == [2]mark{} && row.Start > 0 && row.PID > 0 {
		p.startUnwritten(time.Unix(row.Start, 0))
	}
	p.moved, p.early = false, false
}

// proc returns the logs of a process, new ones if it is not known; nil if there are too
// many.
func (l *Logs) proc(id procID) (p *procLogs, added bool) {
	if p := l.procs[id]; p != nil {
		return p, false
	}
	if len(l.procs) >= maxProcs {
		return nil, false
	}
	p = &procLogs{}
	l.procs[id] = p
	return p, true
}

// forgetOthers drops the processes that a whole table does not have.
func (l *Logs) forgetOthers(table []schema.SnapshotProcess) {
	if len(l.procs) <= len(table) {
		return
	}
	there := make(map[procID]bool, len(table))
	for i := range table {
		there[procID{table[i].Group, table[i].Process}] = true
	}
	for id := range l.procs {
		if !there[id] {
			delete(l.procs, id)
		}
	}
}

// pathsOf returns the paths of a row of the process table.
func pathsOf(row *schema.SnapshotProcess) [2]string {
	return [2]string{pathOf(row.StdoutLogfile), pathOf(row.StderrLogfile)}
}

// pathOf is the path of a log, "" if there is none (the Go port answers the words of its
// configuration).
func pathOf(path string) string {
	switch strings.ToLower(path) {
	case "none", "off", "auto", "syslog":
		return ""
	}
	return path
}
