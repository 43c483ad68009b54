package clock

import "time"

// Meta identifies a message of the stream.
type Meta struct {
	// Seq is its sequence and Stored when the stream stored it.
	Seq    uint64
	Stored time.Time
	// Shift is what was added to the times of the message because the clock of its host is
	// wrong.
	Shift time.Duration
}

// Mark is a message up to which something has been seen.
type Mark struct {
	Seq uint64
	At  time.Time // when it was stored
}

// Covers reports whether a message came before the mark or is the one. A message of a
// later time with a lower sequence is one of a stream that was created again.
func (k Mark) Covers(m Meta) bool { return m.Seq <= k.Seq && !m.Stored.After(k.At) }

// Raise moves the mark to a later message.
func (k *Mark) Raise(seq uint64, at time.Time) {
	k.Seq = max(k.Seq, seq)
	if at.After(k.At) {
		k.At = at
	}
}
