package stream

import (
	"time"

	"supernats/schema"
)

// Position is the record of a receiver's queue in LeasesBucket, under the name of its
// consumer: how far the stream of alerts was delivered to the receiver. `supernats consume`
// writes it; commands and checks only read it.
type Position struct {
	Receiver string `json:"receiver"`
	// Stream is when the stream of alerts was created: sequences belong to one stream.
	Stream time.Time `json:"stream"`
	// Done is the sequence up to which everything was delivered, Stored when the stream
	// stored that message; zero if unknown. Together they reveal a stream that was restored
	// from a backup.
	Done   uint64    `json:"done"`
	Stored time.Time `json:"stored,omitzero"`
	// Batch is the last sequence of the batch that is being sent. After a restart the same
	// batch is sent again, with the same Message-ID.
	Batch uint64 `json:"batch,omitempty"`
	// Alone is the sequence that is being sent alone, before its turn.
	Alone uint64 `json:"alone,omitempty"`
	// Ahead lists sequences after Done that were delivered or parked before their turn.
	Ahead []uint64 `json:"ahead,omitempty"`
	// Begin is the last sequence before the receiver existed: nothing up to it was ever
	// meant for the receiver.
	Begin uint64 `json:"begin,omitempty"`
	// Unmade is set if the queue could not be created yet. If a queue is found all the same,
	// it is older, and knows better than Done what was delivered.
	Unmade bool `json:"unmade,omitempty"`

	// LimitedUntil is until when the rate limit of the receiver holds the next batch, nil if it
	// does not.
	LimitedUntil *schema.Time `json:"limited_until,omitempty"`

	LateTimes // embedded: its keys are keys of the record
	Failures  // likewise
}

// LateTimes records when a receiver accepted notifications long after they were made.
type LateTimes struct {
	// Late lists the last batches that were accepted late. Others read it once it was
	// written: it is replaced, never changed.
	Late []LateBatch `json:"late,omitempty"`
	// Forgot is the highest sequence of the batches that are no longer kept: of one up to it
	// that is not in Late, the time is not known.
	Forgot uint64 `json:"forgot,omitempty"`
}

// LateBatch is when a receiver accepted the notifications from one sequence to another.
type LateBatch struct {
	From uint64      `json:"from"`
	To   uint64      `json:"to"`
	At   schema.Time `json:"at"`
}

// Failures are the tries that have failed since the last success, for people.
type Failures struct {
	// Error is why the last try failed, Tries how many have failed in a row, Since and Tried
	// are when the first and the last of them failed; zero after a success.
	Error string       `json:"error,omitempty"`
	Tries int          `json:"tries,omitempty"`
	Since *schema.Time `json:"since,omitempty"`
	Tried *schema.Time `json:"tried,omitempty"`
	// Trying is the last sequence of the batch that was tried.
	Trying uint64 `json:"trying,omitempty"`
}
