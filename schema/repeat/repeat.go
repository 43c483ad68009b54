// Package repeat keeps errors that repeat from filling a log: each is logged once, and when
// it is over, with how often it came and for how long.
//
// Two errors are equal if they differ in numbers only: the port of a connection, the number
// of a message, a duration. One that lasts is logged again after an hour, because logs are
// rotated. At most 64 kinds of an hour are kept; further ones count as one kind.
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

// Errors are those of one task that is tried again until it works. The zero value is ready.
// Several goroutines may use it.
type Errors struct {
	// mu guards the fields below.
	mu sync.Mutex
	// logged is when each kind was last logged; total is how many errors there were since
	// begun.
	logged map[string]time.Time
	total  int
	begun  time.Time
}

// Failed counts an error and reports whether to log it.
func (e *Errors) Failed(err error) bool { return e.FailedAt(err.Error(), time.Now()) }

// FailedAt is Failed of a text at a time.
func (e *Errors) FailedAt(text string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.total++; e.total == 1 {
		e.begun = now
		e.logged = map[string]time.Time{}
	}

	kind := kindOf(text)
	last, known := e.logged[kind]
	if !known && len(e.logged) >= maxKinds {
		// Those that would be logged again anyway need not be kept.
		maps.DeleteFunc(e.logged, func(_ string, last time.Time) bool { return now.Sub(last) >= remindAfter })
	}
	if !known && len(e.logged) >= maxKinds {
		kind = ""
		last, known = e.logged[kind]
	}

	if known && now.Sub(last) < remindAfter {
		return false
	}
	e.logged[kind] = now
	return true
}

// Over returns how many errors there were, and since when, and starts counting again.
func (e *Errors) Over() (total int, begun time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	total, begun = e.total, e.begun
	e.logged = nil
	e.total = 0
	e.begun = time.Time{}
	return total, begun
}

// kindOf returns the text of an error without its numbers.
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
