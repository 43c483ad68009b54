package supervisord

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/procfs"

	"supernats/schema"
)

// logs knows where programs log, and how large each log was when a life ended: what
// stands before that is not of the next life.
//
// supervisord reads what a process wrote last, then makes the event of its death, and
// hands that to a listener whose section comes before the program's in the order of
// priorities before it starts the process again (process.py finish, supervisord.py
// runforever). So the log's size is looked at as soon as the event has come, by a
// goroutine of its own that supervisord does not wait for.
type logs struct {
	notes chan note

	mu    sync.Mutex
	procs map[procID]*procLogs
	// pid is supervisord's, log its own log.
	pid int
	log inode
	// shared holds the paths into which more than one program writes, or supervisord
	// itself, withheld the names of programs that have such a path or a standard
	// descriptor of supervisord's, sorted.
	shared   map[string]bool
	withheld []string
}

const (
	maxProcs = 1 << 14
	maxNotes = 1 << 10
	// maxMarks is of how many ends of lives the sizes are kept, a process.
	maxMarks = 4
)

// note is an event that ended a life.
type note struct {
	event   string
	serial  uint64
	payload []byte
}

// procLogs are the logs of one process: stdout and stderr.
type procLogs struct {
	paths [2]string // "" for none
	// unknown is set where the configuration alone does not say.
	unknown [2]bool
	// listener means that it is an event listener, whose log nobody expects.
	listener bool
	start    [2]mark // of the first life that is known
	marks    []marks // ends of lives, oldest first
}

// marks are where the logs of a process ended when a life did.
type marks struct {
	serial uint64 // of the event
	at     [2]mark
}

// mark is a place in a log. The zero mark is the beginning.
type mark struct {
	file inode
	size int64
}

func (l *logs) init() {
	l.notes = make(chan note, maxNotes)
	l.procs, l.shared = map[procID]*procLogs{}, map[string]bool{}
}

// Note takes notice of an event at once, before it is explained: where the logs end
// now, this life of its process ended. It waits for nobody. What comes faster than
// files can be looked at is not noted, and the next life's log then begins too early.
func (r *Reasons) Note(event string, serial uint64, payload []byte) {
	switch event {
	case schema.ProcessStateExited, schema.ProcessStateBackoff, schema.ProcessStateStopped:
	default:
		return
	}
	if r.cfg.Tail <= 0 {
		return
	}
	select {
	case r.logs.notes <- note{event, serial, slices.Clone(payload)}:
	default:
	}
}

// Run looks at the logs of the programs when they die, until ctx ends.
func (r *Reasons) Run(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, r.cfg.Limit)
	if r.take(limited) {
		r.locate(limited)
		r.end()
	}
	cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-r.logs.notes:
			e := schema.Decode(schema.Raw{Event: n.event, Serial: n.serial, Payload: n.payload}, "", "")
			r.logs.end(procID{e.Group, e.Process}, n.serial)
		}
	}
}

// end notes where the logs of a process end.
func (l *logs) end(id procID, serial uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.procs[id]
	if p == nil {
		return
	}
	m := marks{serial: serial}
	for i, path := range p.paths {
		m.at[i] = markOf(path)
	}
	if len(p.marks) == maxMarks {
		p.marks = slices.Delete(p.marks, 0, 1)
	}
	p.marks = append(p.marks, m)
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
	return mark{inodeOf(st), st.Size()}
}

// own takes what was found out of supervisord's own log and configuration.
func (l *logs) own(at location, pid int, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pid, l.log = pid, inode{}
	if at.file != nil {
		if st, err := at.file.file.Stat(); err == nil {
			l.log = inodeOf(st)
		}
	}
	first := len(l.procs) == 0
	for id, p := range at.config.logs() {
		if known := l.procs[id]; known != nil {
			known.listener = p.listener
		} else if len(l.procs) < maxProcs {
			l.procs[id] = p
		}
	}
	if first && fresh {
		// What was written before supervisord was started is of no life of now. What
		// was written since may be of one.
		since := processStart(pid)
		for _, p := range l.procs {
			for i, path := range p.paths {
				p.start[i] = unwritten(path, since)
			}
		}
	}
	l.share()
}

// unwritten is the end of a log that was last written before a time, else the zero
// mark.
func unwritten(path string, since time.Time) mark {
	if path == "" || since.IsZero() {
		return mark{}
	}
	if st, err := os.Stat(path); err != nil || !st.ModTime().Before(since) {
		return mark{}
	}
	return markOf(path)
}

// processStart is when a process was started, cut to whole seconds; zero if it cannot
// be found out.
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

// know takes the process table.
func (l *logs) know(table []schema.SnapshotProcess) {
	l.mu.Lock()
	defer l.mu.Unlock()
	changed := false
	for i := range table {
		row := &table[i]
		id := procID{row.Group, row.Process}
		paths := [2]string{logOf(row.StdoutLogfile), logOf(row.StderrLogfile)}
		p := l.procs[id]
		if p == nil {
			if len(l.procs) >= maxProcs {
				continue
			}
			p = &procLogs{}
			l.procs[id] = p
			changed = true
		}
		if p.paths != paths {
			p.paths, changed = paths, true
		}
		p.unknown = [2]bool{}
		if len(p.marks) == 0 && p.start == [2]mark{} && row.Start > 0 && row.PID > 0 {
			for i, path := range paths {
				p.start[i] = unwritten(path, time.Unix(row.Start, 0))
			}
		}
	}
	if changed || len(l.procs) > len(table) {
		l.forget(table)
		l.share()
	}
}

// forget drops the processes that a whole table does not have.
func (l *logs) forget(table []schema.SnapshotProcess) {
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

// logOf is the path of a log, "" if there is none (the Go port answers the words of
// its configuration).
func logOf(path string) string {
	switch strings.ToLower(path) {
	case "none", "off", "auto", "syslog":
		return ""
	}
	return path
}

// compare finds the files that are not of one program alone, again.
func (l *logs) compare() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.share()
}

// share finds the files that are not of one program alone.
func (l *logs) share() {
	clear(l.shared)
	l.withheld = l.withheld[:0]
	own := os.Getenv("SUPERVISOR_GROUP_NAME")
	byPath, byFile := map[string]procID{}, map[inode]procID{}
	paths := map[inode]string{}
	for id, p := range l.procs {
		for _, path := range p.paths {
			if path == "" {
				continue
			}
			if _, fd := resolve(path); fd >= 0 {
				l.shared[path] = true
				continue
			}
			if other, ok := byPath[path]; ok && other != id {
				l.shared[path] = true
			}
			byPath[path] = id
			st, err := os.Stat(path)
			if err != nil || !st.Mode().IsRegular() {
				continue
			}
			file := inodeOf(st)
			if other, ok := byFile[file]; file == l.log || ok && other != id {
				l.shared[path] = true
				if before, ok := paths[file]; ok {
					l.shared[before] = true
				}
			}
			byFile[file], paths[file] = id, path
		}
	}
	for id, p := range l.procs {
		if id.group != own && !p.listener && (l.shared[p.paths[0]] || l.shared[p.paths[1]]) {
			l.withheld = append(l.withheld, id.process)
		}
	}
	slices.Sort(l.withheld)
}

// trouble says whose logs cannot be shown.
func (l *logs) trouble() (text, fix string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.withheld) == 0 {
		return "", ""
	}
	const some = 3
	names := strings.Join(l.withheld[:min(some, len(l.withheld))], ", ")
	if n := len(l.withheld) - some; n > 0 {
		names += " and " + strconv.Itoa(n) + " more"
	}
	return fmt.Sprintf("the output of %s goes to supervisord's own output, or into a file that others write too: their events carry no log", names),
		"give each program a stdout_logfile and a stderr_logfile of its own (AUTO makes one), or --log-tail 0 if no logs are wanted"
}

// tailOf is what can be read of one log.
type tailOf struct {
	path       string
	begin, end mark
	// known is whether the path is known, none whether there is nothing to be shown.
	known, none bool
}

// tails returns what belongs to the life that an event ended, of stdout and stderr.
func (l *logs) tails(e *schema.Event) (t [2]tailOf) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.procs[procID{e.Group, e.Process}]
	if p == nil {
		return t
	}
	begin, end := p.start, [2]mark{}
	last := len(p.marks)
	for last > 0 && p.marks[last-1].serial > e.Serial {
		last--
	}
	// FATAL follows the end of the life by some time.
	if last > 0 && (p.marks[last-1].serial == e.Serial || e.Event == schema.ProcessStateFatal) {
		last--
		end = p.marks[last].at
	}
	if last > 0 {
		begin = p.marks[last-1].at
	}
	for i, path := range p.paths {
		t[i] = tailOf{path: path, begin: begin[i], end: end[i], known: !p.unknown[i], none: path == "" || l.shared[path]}
	}
	if p.paths[0] == p.paths[1] {
		t[1].none = true
	}
	return t
}

// read reads at most n bytes of the end of a life's log. whole means that they begin
// where the life or the log did, or a line. A log that was rotated meanwhile goes on
// from one file to the next.
func (t *tailOf) read(n int64) (text string, whole bool, err error) {
	files, err := t.open()
	if err != nil {
		return "", false, err
	}
	defer func() {
		for _, f := range files {
			f.file.Close()
		}
	}()

	// From the newest that the life reached back to that in which it began.
	last := slices.IndexFunc(files, func(f rotated) bool { return f.id == t.end.file })
	if t.end == (mark{}) {
		last = 0
	}
	if last < 0 {
		return "", false, nil // rotated away
	}
	first := slices.IndexFunc(files, func(f rotated) bool { return f.id == t.begin.file })
	if first < last || t.begin == (mark{}) {
		first = last // it is gone: the file is of this life
	}
	for i := last; i <= first && n > 0; i++ {
		f := files[i]
		from, to := int64(0), f.size
		if f.id == t.begin.file && t.begin.size <= f.size {
			from = t.begin.size
		}
		if f.id == t.end.file && t.end.size < f.size {
			to = t.end.size
		}
		if from > to {
			from = 0 // the log was cut meanwhile
		}
		part, err := f.part(max(from, to-n), to)
		if err != nil {
			return "", false, err
		}
		text, whole = part+text, to-n <= from
		n -= int64(len(part))
	}
	return text, whole, nil
}

// rotated is one file of a log.
type rotated struct {
	file *os.File
	id   inode
	size int64
}

// open opens the log and the files that it was before (path.1, path.2): newest first.
func (t *tailOf) open() ([]rotated, error) {
	const most = 3
	var files []rotated
	for i := range most {
		path := t.path
		if i > 0 {
			path += "." + strconv.Itoa(i)
		}
		f, err := openRegular(path)
		if i > 0 && err != nil {
			break
		}
		if err != nil {
			return nil, err
		}
		st, err := f.Stat()
		if err != nil {
			f.Close()
			break
		}
		files = append(files, rotated{f, inodeOf(st), st.Size()})
		if t.end == (mark{}) && (t.begin == (mark{}) || t.begin.file == inodeOf(st)) {
			break
		}
	}
	return files, nil
}

func (f rotated) part(from, to int64) (string, error) {
	b := make([]byte, to-from)
	n, err := f.file.ReadAt(b, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return string(b[:n]), nil
}

// learn takes one row of the process table.
func (l *logs) learn(row schema.SnapshotProcess) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := procID{row.Group, row.Process}
	p := l.procs[id]
	if p == nil && len(l.procs) < maxProcs {
		p = &procLogs{}
		l.procs[id] = p
	}
	if p != nil {
		p.paths, p.unknown = [2]string{logOf(row.StdoutLogfile), logOf(row.StderrLogfile)}, [2]bool{}
	}
}
