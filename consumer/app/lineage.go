package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/records"
	"supernats/schema/stream"
)

// lineage is what the stream of events is the continuation of. Its sequences begin
// at 1 again when somebody deletes it, or a volume is lost, and they go back when it is
// restored from a backup; records of processes and alerts say by numbers what they have
// seen. So these numbers are positions: the sequence in the stream that there is, and
// Base, which is what the streams before it had.
//
//	stream 1      1 2 3 … 5000
//	stream 2                  1    2    3 …        base 5000
//	position      1 2 3 … 5000 5001 5002 5003 …
//
// As long as nothing happens to the stream, positions are sequences.
//
// It is in the bucket of leases, which the records are not in: what is restored from a
// backup or lost is seldom both.
type lineage struct {
	// Stream is when the stream was created.
	Stream time.Time `json:"stream"`
	Base   uint64    `json:"base"`
}

// lineageKey is that of the lineage in the bucket of leases.
const lineageKey = "events"

// storedWithin is how exactly records know when a message was stored.
const storedWithin = time.Millisecond

func (l lineage) position(seq uint64) uint64 { return l.Base + seq }

// seq returns the sequence of a position in the stream that there is; 0: it was one of
// an earlier stream.
func (l lineage) seq(position uint64) uint64 { return max(position, l.Base) - l.Base }

// place is a message: its position and when it was stored. The zero value is none.
type place struct {
	position uint64
	stored   time.Time
}

// continuity says what a stream is to one that was read before.
type continuity int

const (
	isSame continuity = iota
	// isOther is one whose messages are all new.
	isOther
	// isBack is the one of before as it was some time ago; what is stored after the
	// last message that was read is new.
	isBack
)

// continues finds out what the stream of events is. was is its lineage, nil if that is
// not known, last the last message that was read. The lineage is that of before, but
// for when the stream was created.
func continues(ctx context.Context, s jetstream.Stream, was *lineage, last place) (lineage, continuity, error) {
	created := s.CachedInfo().Created
	now := lineage{Stream: created}
	switch {
	case was == nil && last.position == 0:
		return now, isSame, nil // nobody has read anything
	case was != nil && !was.Stream.Equal(created):
		now.Base = was.Base
		return now, isOther, nil
	case was == nil && last.position > 0 && created.After(last.stored.Add(storedWithin)):
		return now, isOther, nil
	case was != nil:
		now.Base = was.Base
	}

	back, err := wentBack(ctx, s, now.seq(last.position), last.stored)
	if back {
		return now, isBack, err
	}
	return now, isSame, err
}

// wentBack reports whether a stream is not any more what it was when it had a message:
// it ends before it, or another one has its sequence. A message that was deleted since
// says nothing.
func wentBack(ctx context.Context, s jetstream.Stream, seq uint64, stored time.Time) (bool, error) {
	info := s.CachedInfo()
	switch {
	case seq == 0:
		return false, nil
	case info.State.LastSeq < seq:
		return true, nil
	case stored.IsZero():
		return false, nil
	}
	m, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read message %d of stream %s: %w", seq, info.Config.Name, err)
	}
	return m.Time.Sub(stored).Abs() > storedWithin, nil
}

// lineages keeps the lineage of the stream of events in the bucket of leases.
type lineages struct {
	rows *records.Table[lineage]
	// memory is what this process knows; it wins over the bucket, which may have been
	// restored.
	memory *lineage
}

// open returns the lineage, nil if there is none.
func (l *lineages) open(ctx context.Context, js jetstream.JetStream, log zerolog.Logger) (*lineage, error) {
	var err error
	if l.rows, err = records.OpenTable[lineage](ctx, js, stream.LeasesBucket, log); err != nil {
		return nil, err
	}
	stored, err := l.rows.Get(ctx, lineageKey)
	if l.memory != nil {
		stored = l.memory
	}
	return stored, err
}

// set stores the lineage, before the first message is read by it.
func (l *lineages) set(ctx context.Context, now lineage) error {
	stored, err := l.rows.Get(ctx, lineageKey)
	if err != nil {
		return err
	}
	if stored == nil || !stored.Stream.Equal(now.Stream) || stored.Base != now.Base {
		l.rows.Set(lineageKey, &now)
		if err := l.rows.Flush(ctx); err != nil {
			return err
		}
	}
	l.memory = &now
	return nil
}

// queues remembers where the receivers stand: a queue that vanishes together with its
// position was not a new one. The zero value is empty; a nil one forgets. It is safe
// for concurrent use.
type queues struct {
	mu sync.Mutex
	at map[string]position
}

// of returns nil if a queue was never opened.
func (q *queues) of(name string) *position {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()

	if at, ok := q.at[name]; ok {
		return &at
	}
	return nil
}

func (q *queues) set(name string, at position) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()

	if q.at == nil {
		q.at = map[string]position{}
	}
	q.at[name] = at
}

// newer returns which of two positions says more of a stream: nil if both are nil.
func newer(stored, remembered *position, created time.Time) *position {
	switch {
	case stored == nil:
		return remembered
	case remembered == nil || !remembered.Stream.Equal(created):
		return stored
	case !stored.Stream.Equal(created) || stored.Done < remembered.Done:
		return remembered
	}
	return stored
}
