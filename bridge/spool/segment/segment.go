// Package segment is one file of a spool's log: its format, the list of a directory's
// segments, and a window through which their records are found, whatever a crash or a bad
// disk has left between them.
//
// Memory is a Window's buffer: ReadBuffer, or the largest record.
package segment

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"supernats/bridge/spool/files"
)

const (
	suffix     = ".segment"
	damaged    = ".damaged"
	nameDigits = 20
	// maxFirst is far above what a supervisord can say, and far below an overflow.
	maxFirst = 1 << 62
)

// File is one segment.
//
//   - First and Name are set once. The others belong to the log that the segment is part
//     of: what guards that guards them.
//   - Opened and Reopen may be called by any goroutine.
type File struct {
	First uint64 // number of its first record
	After uint64 // number of the record after its last one
	Name  string
	End   int64 // where the next frame goes, or the end of the file
	Next  *File // if it is not the newest

	failed int // how often a Window could not read it
	f      atomic.Pointer[reading]
}

// reading is a segment's file, open to read it, even if it is removed meanwhile.
type reading struct{ files.File }

// Open opens the segment for reading. Without that it is opened by its name when it is
// read.
func (s *File) Open(fs files.System) {
	if f, err := fs.Open(s.Name, os.O_RDONLY); err == nil {
		s.Reopen(f)
	}
}

// Reopen makes f, which holds the same, the file that the segment is read from. What was
// that before is the caller's to close.
func (s *File) Reopen(f files.File) { s.f.Store(&reading{f}) }

// Opened returns what Open has opened, nil if that is nothing.
func (s *File) Opened() files.File {
	if r := s.f.Load(); r != nil {
		return r.File
	}
	return nil
}

// MayRetry reports whether it is worth trying again to read what a Window could not read.
// After Patience times it reads around what is damaged; what it then still cannot read it
// never will: the file may not be opened, or another version wrote it.
func (s *File) MayRetry() bool { return 0 < s.failed && s.failed < Patience }

// DamagedName is the name under which the segment is kept when it is damaged.
func (s *File) DamagedName() string { return strings.TrimSuffix(s.Name, suffix) + damaged }

// List returns the segments in a directory, oldest first. Where the last one ends is not
// known yet. What is damaged in one, the header too, is found when it is read: the name
// says what is needed.
func List(fs files.System, dir string) ([]*File, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("list the segments: %w", err)
	}

	var all []*File
	for _, e := range names {
		first, ok := ParseName(e.Name)
		if !ok {
			continue
		}
		seg := &File{
			First: first, After: math.MaxUint64, Name: filepath.Join(dir, e.Name), End: max(HeaderSize, e.Size),
		}
		if n := len(all); n > 0 {
			all[n-1].Next = seg
			all[n-1].After = first
		}
		all = append(all, seg)
	}
	return all, nil
}

// Name returns the name of the segment whose first record has a number.
func Name(first uint64) string { return fmt.Sprintf("%0*d%s", nameDigits, first, suffix) }

// ParseName returns the number of a segment's first record; ok is false if name is not
// that of a segment.
func ParseName(name string) (first uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != nameDigits {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil && first > 0 && first <= maxFirst
}

// IsDamaged reports whether a name is that of a segment that was set aside.
func IsDamaged(name string) bool { return strings.HasSuffix(name, damaged) }
