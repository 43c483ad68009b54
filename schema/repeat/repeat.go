// Package repeat tells the first of several equal errors from those that follow, so that
// a log has each of them once, with how often it came and when it was over.
//
// An error is equal to another one if only numbers differ: the port of a connection, the
// number of a message, how long something took. One that lasts is logged again after an
// hour, since logs are rotated. At most 64 kinds of an hour are kept; what comes beyond
// them counts as one kind.
package repeat

import (
	"maps"
	"strings"
	"sync"
	"time"
)

const (
	// remindAfter is after how long an error that lasts is logged again.
	remindAfter = time.Hour
	// maxKinds and maxKind bound what is kept: how many kinds, and how long their texts
	// are, in bytes.
	maxKinds = 64
	maxKind  = 256
)

// Errors are those of one task that goes on trying. The zero value is ready; it may be
// used by several goroutines.
type Errors struct {
	mu sync.Mutex
	// said is when each kind was logged last, total how many errors there were since
	// begun.
	said  map[string]time.Time
	total int
	begun time.Time
}

// Failed counts an error and reports whether it is to be logged.
func (e *Errors) Failed(err error) bool { return e.FailedAt(err.Error(), time.Now()) }

// FailedAt is Failed of a text at a time.
func (e *Errors) FailedAt(text string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.total++; e.total == 1 {
		e.begun, e.said = now, map[string]time.Time{}
	}

	kind := kindOf(text)
	said, known := e.said[kind]
	if !known && len(e.said) >= maxKinds {
		// Those that would be logged again anyway need not be kept.
		maps.DeleteFunc(e.said, func(_ string, said time.Time) bool { return now.Sub(said) >= remindAfter })
	}
	if !known && len(e.said) >= maxKinds {
		kind = ""
		said, known = e.said[kind]
	}
	if known && now.Sub(said) < remindAfter {
		return false
	}
	e.said[kind] = now
	return true
}

// Over reports how many errors there were, and since when, and begins again.
func (e *Errors) Over() (total int, begun time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	total, begun = e.total, e.begun
	e.total, e.said, e.begun = 0, nil, time.Time{}
	return total, begun
}

// kindOf is an error without its numbers.
func kindOf(text string) string {
	if len(text) > maxKind {
		text = text[:maxKind]
	}
	var b strings.Builder
	number := false
	for i := 0; i < len(text); i++ {
		digit := '0' <= text[i] && text[i] <= '9'
		if !digit {
			b.WriteByte(text[i])
		} else if !number {
			b.WriteByte('#')
		}
		number = digit
	}
	return b.String()
}
