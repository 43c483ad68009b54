package programlog

import (
	"errors"
	"io"
	"os"
	"slices"
	"strconv"

	"supernats/bridge/deathreason/ownlog"
	"supernats/schema"
)

// Tail is what can be read of one log of a life.
type Tail struct {
	path string
	// begin and end are where the life began and ended; zero for the beginning and the
	// end of the log.
	begin, end mark
	// Known is whether the path is known, None whether there is nothing to be shown.
	Known, None bool
}

// Tails returns what belongs to the life that an event ended, of stdout and stderr.
func (l *Logs) Tails(e *schema.Event) (t [2]Tail) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.procs[procID{e.Group, e.Process}]
	if p == nil {
		return t
	}

	begin, end := p.lifeOf(e)
	for i, path := range p.paths {
		t[i] = Tail{path: path, begin: begin[i], end: end[i], Known: !p.unknown[i], None: path == "" || l.shared[path]}
	}
	if p.paths[0] == p.paths[1] {
		t[1].None = true
	}
	return t
}

// lifeOf returns where the life that an event ended begins and ends.
func (p *procLogs) lifeOf(e *schema.Event) (begin, end [2]mark) {
	begin = p.start
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
	return begin, end
}

// Read reads at most n bytes of the end of a life's log. whole means that they begin where
// the life or the log did, or a line. A log that was rotated meanwhile continues from one
// file to the next.
func (t *Tail) Read(n int64) (text string, whole bool, err error) {
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
		from, to := t.within(files[i])
		part, err := files[i].read(max(from, to-n), to)
		if err != nil {
			return "", false, err
		}
		text, whole = part+text, to-n <= from
		n -= int64(len(part))
	}
	return text, whole, nil
}

// within returns what of a file is of the life.
func (t *Tail) within(f rotated) (from, to int64) {
	to = f.size
	if f.id == t.begin.file && t.begin.size <= f.size {
		from = t.begin.size
	}
	if f.id == t.end.file && t.end.size < f.size {
		to = t.end.size
	}
	if from > to {
		from = 0 // the log was cut meanwhile
	}
	return from, to
}

// rotated is one file of a log.
type rotated struct {
	file *os.File
	id   ownlog.Inode
	size int64
}

// open opens the log and the files that it was before (path.1, path.2): newest first.
func (t *Tail) open() ([]rotated, error) {
	const most = 3
	var files []rotated
	for i := range most {
		path := t.path
		if i > 0 {
			path += "." + strconv.Itoa(i)
		}
		f, err := ownlog.OpenRegular(path)
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
		files = append(files, rotated{f, ownlog.InodeOf(st), st.Size()})
		if t.end == (mark{}) && (t.begin == (mark{}) || t.begin.file == ownlog.InodeOf(st)) {
			break
		}
	}
	return files, nil
}

func (f rotated) read(from, to int64) (string, error) {
	b := make([]byte, to-from)
	n, err := f.file.ReadAt(b, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return string(b[:n]), nil
}

// Span is what to ask supervisord for of a log that may not be read: an offset and a
// length in bytes, or, with a length of 0, how much before the end where nothing is known
// of its size. Both are 0 if the life wrote nothing. atBegin means that it begins where
// the life did.
func (t *Tail) Span(most int64) (off, n int64, atBegin bool) {
	st, err := os.Stat(t.path)
	if err != nil || !st.Mode().IsRegular() {
		return -most, 0, false
	}

	from, to, file := int64(0), st.Size(), ownlog.InodeOf(st)
	if t.end.file == file && t.end.size < to {
		to = t.end.size
	}
	if t.begin.file == file && t.begin.size <= to {
		from = t.begin.size
	}
	from = max(from, to-most)
	if from == to {
		return 0, 0, false
	}
	return from, to - from, from == t.begin.size
}
