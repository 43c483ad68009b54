package ownlog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// File follows supervisord's log in the file system. It is not for use by several
// goroutines. It holds the file open, so that reading continues when the file is renamed:
//
//   - supervisord rotates the log itself, or does so on SIGUSR2: it renames the file
//     and opens a new one at the path. The old one is read to its end first, then
//     those that came between, in the order of their last change.
//   - another program renames or removes the file: supervisord continues to write into the
//     old one. The reader continues too, and Trouble reports it.
//   - another program cuts the file (copytruncate), or supervisord writes over it
//     (logfile_backups=0): what was before off is no longer what was read there.
//     Lines between may be lost, which is a gap.
//
// Memory: one chunk of fileChunk bytes. A read of more than maxUnread begins again near the
// end.
type File struct {
	// Path is where supervisord opens it.
	Path string
	file *os.File
	// pid is supervisord's, 0 where its descriptors cannot be looked at.
	pid int
	// fd is the descriptor of supervisord that overwrites the file from its beginning
	// with lines of its own, -1 for none: only what is before its position can be read.
	fd int

	// placed means that off was set. The next read begins there, if mark is still what is
	// in the file before it.
	placed bool
	off    int64
	mark   []byte
	gap    bool // the next lines follow lines that were not read

	// moved is whether the path leads elsewhere, or nowhere; movedSize how large the
	// file was when that was noticed.
	moved     bool
	movedSize int64
	// stale is whether supervisord is known to write into a file that was moved.
	stale bool
}

const (
	fileChunk = 256 << 10
	// fileTail is how far before the end the first read begins.
	fileTail = 8 << 20
	// maxUnread bounds what one read goes through: some 100 ms.
	maxUnread = 64 << 20
	markSize  = 64
	// maxRotations bounds how many files one read goes through.
	maxRotations = 100
)

// Inode returns the file that is read, the zero Inode if there is none or l is nil.
func (l *File) Inode() Inode {
	if l == nil {
		return Inode{}
	}
	st, err := l.file.Stat()
	if err != nil {
		return Inode{}
	}
	return InodeOf(st)
}

// Close closes the file.
func (l *File) Close() { l.file.Close() }

// skipToEnd leaves out what is in the file now.
func (l *File) skipToEnd() error {
	size, err := l.size()
	if err != nil {
		return err
	}
	if err := l.begin(size); err != nil {
		return err
	}
	l.placed, l.gap = true, false
	return nil
}

// Sink takes what is read: whole lines, or none. gap says that there may be lines before
// them that will never come.
type Sink = func(lines string, gap bool)

// Read reads what is new; done means that it has come to the end.
func (l *File) Read(sink Sink) (done bool, err error) {
	for range maxRotations {
		if err := l.rest(sink); err != nil {
			return false, err
		}
		next, complete, err := l.successor()
		if err != nil || next == "" {
			return err == nil, err
		}

		// Nothing is written to the old file any more, but there may be lines that
		// were written since.
		if err := l.rest(sink); err != nil {
			return false, err
		}
		f, err := OpenRegular(next)
		if errors.Is(err, fs.ErrNotExist) {
			continue // rotated again meanwhile
		}
		if err != nil {
			return false, err
		}
		l.file.Close()
		l.file, l.off, l.mark, l.gap = f, 0, nil, !complete
		l.moved, l.stale = false, false
	}
	return false, nil
}

// size is up to where the file can be read.
func (l *File) size() (int64, error) {
	st, err := l.file.Stat()
	if err != nil {
		return 0, err
	}
	if l.fd < 0 {
		return st.Size(), nil
	}
	info, err := readFDInfo(l.pid, l.fd)
	if err != nil {
		return 0, err
	}
	return min(st.Size(), info.pos), nil
}

// rest reads to the end of the open file.
func (l *File) rest(sink Sink) error {
	size, err := l.size()
	if err != nil {
		return err
	}
	switch {
	case !l.placed, size-l.off > maxUnread:
		if err := l.begin(max(size-fileTail, 0)); err != nil {
			return err
		}
	case !l.unchanged(size):
		if err := l.begin(0); err != nil {
			return err
		}
	}
	l.placed = true

	buf := make([]byte, min(fileChunk, max(size-l.off, 0)))
	for l.off < size {
		n, err := l.file.ReadAt(buf[:min(int64(len(buf)), size-l.off)], l.off)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			break
		}
		lines := buf[:n]
		if end := bytes.LastIndexByte(lines, '\n') + 1; end > 0 {
			lines = lines[:end]
		} else if n < fileChunk {
			break // a line that is not finished
		}
		l.off += int64(len(lines))
		l.mark = append(l.mark[:0], lines[max(len(lines)-markSize, 0):]...)
		sink(string(lines), l.gap)
		l.gap = false
	}
	return nil
}

// begin places the reader at the first line that begins at or after an offset.
func (l *File) begin(off int64) error {
	l.off, l.mark, l.gap = off, nil, true
	if off == 0 {
		return nil
	}
	buf := make([]byte, fileChunk)
	n, err := l.file.ReadAt(buf, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
		n = i + 1
	}
	l.off += int64(n)
	return nil
}

// unchanged reports whether what was read is still there.
func (l *File) unchanged(size int64) bool {
	if size < l.off {
		return false
	}
	now := make([]byte, len(l.mark))
	_, err := l.file.ReadAt(now, l.off-int64(len(l.mark)))
	return err == nil && bytes.Equal(now, l.mark)
}

// successor returns the file that follows the open one, "" if supervisord still
// writes into it. complete means that no file between them is missing.
func (l *File) successor() (next string, complete bool, err error) {
	own, err := l.file.Stat()
	if err != nil {
		return "", false, err
	}
	there, err := os.Stat(l.Path)
	if err == nil && os.SameFile(own, there) {
		l.moved, l.stale = false, false
		return "", true, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}

	written := l.moved && own.Size() > l.movedSize
	l.moved, l.movedSize = true, own.Size()
	if open, known := descriptors(l.pid); known {
		written = open.has(own)
		l.stale = written
	}
	l.stale = l.stale || written
	if written || there == nil || there.Size() == 0 {
		return "", true, nil
	}
	return l.between(own), linked(own), nil
}

// between returns the oldest file that was changed after a file that was moved: one
// that was rotated too, or the log itself.
func (l *File) between(own fs.FileInfo) string {
	type candidate struct {
		path string
		at   time.Time
	}
	var found []candidate
	paths, _ := filepath.Glob(globEscape(l.Path) + "?*")
	for _, path := range paths {
		st, err := os.Stat(path)
		if err == nil && st.Mode().IsRegular() && st.ModTime().After(own.ModTime()) &&
			!os.SameFile(st, own) && !strings.HasSuffix(path, ".gz") {
			found = append(found, candidate{path, st.ModTime()})
		}
	}
	if len(found) == 0 {
		return l.Path
	}

	// Of two that were changed at the same time, path.2 was rotated before path.1.
	return slices.MinFunc(found, func(a, b candidate) int {
		return cmp.Or(a.at.Compare(b.at), -strings.Compare(a.path, b.path))
	}).path
}

func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// Zone returns by how much the times in the log are ahead of our own clock and zone:
// the time of its last line against that of its last change. Zones differ by
// quarters of an hour.
func (l *File) Zone() time.Duration {
	const quarter = 15 * time.Minute
	st, err := l.file.Stat()
	if err != nil {
		return 0
	}
	size, err := l.size()
	if err != nil {
		return 0
	}
	buf := make([]byte, min(size, 16<<10))
	if _, err := l.file.ReadAt(buf, size-int64(len(buf))); err != nil && !errors.Is(err, io.EOF) {
		return 0
	}

	// From the last line back to one that has a time.
	text := string(buf)
	for text != "" {
		i := strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n') + 1
		if at, ok := FirstTime(text[i:]); ok {
			ahead := at.Sub(st.ModTime()).Round(quarter)
			if ahead.Abs() > 26*time.Hour {
				return 0 // of no zone: the clock was set, or a child wrote the line
			}
			return ahead
		}
		text = text[:i]
	}
	return 0
}

// Trouble says what is wrong with a file that was moved away.
func (l *File) Trouble() (text, fix string) {
	if !l.stale {
		return "", ""
	}
	return fmt.Sprintf("supervisord's log %s was renamed or removed by another program, "+
			"and supervisord still writes into the old file", l.Path),
		"kill -USR2 supervisord after each rotation (postrotate), or use copytruncate, " +
			"or leave rotation to logfile_maxbytes of [supervisord]"
}
