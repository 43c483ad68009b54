package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/records"
	"supernats/schema/stream"
)

// Lineage is what the stream of events is the continuation of. Its sequences begin at 1
// again when somebody deletes it, or a volume is lost, and they go back when it is
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
type Lineage struct {
	// Stream is when the stream was created.
	Stream time.Time `json:"stream"`
	Base   uint64    `json:"base"`
}

// LineageKey is that of the lineage in the bucket of leases.
const LineageKey = "events"

// StoredWithin is how exactly records know when a message was stored.
const StoredWithin = time.Millisecond

// Position returns the position of a sequence.
func (l Lineage) Position(seq uint64) uint64 { return l.Base + seq }

// Seq returns the sequence of a position in the stream that there is; 0: it was in an
// earlier stream.
func (l Lineage) Seq(position uint64) uint64 { return max(position, l.Base) - l.Base }

// Place is a message: its position and when it was stored. The zero value is none.
type Place struct {
	Position uint64
	Stored   time.Time
}

// Continuity says what a stream is to the one that was read before.
type Continuity int

const (
	// IsSame is the one of before.
	IsSame Continuity = iota
	// IsOther is one whose messages are all new.
	IsOther
	// IsBack is the one of before as it was some time ago; what is stored after the last
	// message that was read is new.
	IsBack
)

// continues finds out what the stream of events is. was is its lineage, nil if that is
// not known, last the last message that was read. The lineage that it returns is that of
// before, but for when the stream was created.
func continues(ctx context.Context, s jetstream.Stream, was *Lineage, last Place) (Lineage, Continuity, error) {
	created := s.CachedInfo().Created
	now := Lineage{Stream: created}
	switch {
	case was == nil && last.Position == 0:
		return now, IsSame, nil // nobody has read anything
	case was != nil && !was.Stream.Equal(created):
		now.Base = was.Base
		return now, IsOther, nil
	case was == nil && last.Position > 0 && created.After(last.Stored.Add(StoredWithin)):
		return now, IsOther, nil
	case was != nil:
		now.Base = was.Base
	}

	back, err := WentBack(ctx, s, now.Seq(last.Position), last.Stored)
	if back {
		return now, IsBack, err
	}
	return now, IsSame, err
}

// WentBack reports whether a stream is no longer what it was when it held a message: it
// ends before it, or another one has its sequence. A message that was deleted since
// proves nothing.
func WentBack(ctx context.Context, s jetstream.Stream, seq uint64, stored time.Time) (bool, error) {
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
	return m.Time.Sub(stored).Abs() > StoredWithin, nil
}

// Lineages keeps the lineage of the stream of events in the bucket of leases.
type Lineages struct {
	rows *records.Table[Lineage]
	// memory is what this process knows; it wins over the bucket, which may have been
	// restored.
	memory *Lineage
}

// Open returns the lineage, nil if there is none.
func (l *Lineages) Open(ctx context.Context, js jetstream.JetStream, log zerolog.Logger) (*Lineage, error) {
	var err error
	l.rows, err = records.OpenTable[Lineage](ctx, js, stream.LeasesBucket, log)
	if err != nil {
		return nil, err
	}
	stored, err := l.rows.Get(ctx, LineageKey)
	if l.memory != nil {
		stored = l.memory
	}
	return stored, err
}

// store writes the lineage, before the first message is read by it.
func (l *Lineages) store(ctx context.Context, now Lineage) error {
	stored, err := l.rows.Get(ctx, LineageKey)
	if err != nil {
		return err
	}
	if stored == nil || !stored.Stream.Equal(now.Stream) || stored.Base != now.Base {
		l.rows.Set(LineageKey, &now)
		if err := l.rows.Flush(ctx); err != nil {
			return err
		}
	}
	l.memory = &now
	return nil
}
