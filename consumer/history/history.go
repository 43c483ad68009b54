// Package history reads what the streams hold: forwards from a place on, backwards from
// the newest event, or following what comes.
//
// It reads without leaving anything behind on the server. What goes backwards is bounded by
// a time limit, since a stream can only be read forwards, a part at a time; the rest ends
// with its context. A message that cannot be read hides no other: it is reported to
// Reader.Warn.
package history

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
)

// Reader reads streams.
type Reader struct {
	JS jetstream.JetStream
	// Warn is called for messages that cannot be read and are left out. Nil drops the
	// warnings.
	Warn func(text string)
	// Progress is called by Scan after each message with how much of the stream is read, of
	// how much; may be nil.
	Progress func(read, total uint64)
}

func (r *Reader) warn(format string, args ...any) {
	if r.Warn != nil {
		r.Warn(fmt.Sprintf(format, args...))
	}
}

// Period is a span of time with an open end where a bound is zero.
type Period struct{ Since, Until time.Time }

// IsOpen reports whether neither bound is set.
func (p Period) IsOpen() bool { return p.Since.IsZero() && p.Until.IsZero() }

// Contains reports whether a time lies within the period, its bounds included.
func (p Period) Contains(t schema.Time) bool {
	return (p.Since.IsZero() || !t.Before(p.Since)) && (p.Until.IsZero() || !t.After(p.Until))
}
