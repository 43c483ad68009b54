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

// Lineage maps the sequences of the stream of events to positions, which records of
// processes and alerts use to remember what they have seen. Sequences start at 1 again when
// the stream is deleted or its volume is lost, and go back when it is restored from a
// backup; positions never do. A position is the sequence in the current stream plus Base,
// the number of positions that earlier streams used.
//
//	stream 1      1 2 3 … 5000
//	stream 2                  1    2    3 …        base 5000
//	position      1 2 3 … 5000 5001 5002 5003 …
//
// As long as the stream is never replaced, positions equal sequences.
//
// The lineage is kept in the bucket of leases, apart from the records: a backup or a loss
// seldom affects both.
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

// Seq returns the sequence of a position in the current stream; 0 if the position belongs
// to an earlier stream.
func (l Lineage) Seq(position uint64) uint64 { return max(position, l.Base) - l.Base }

// Place is a message: its position and when it was stored. The zero value is none.
type Place struct {
	Position uint64
	Stored   time.Time
}

// Continuity is the relation of a stream to the one that was read before.
type Continuity int

const (
	// IsSame: it is the same stream.
	IsSame Continuity = iota
	// IsOther: it is a new stream, and all of its messages are new.
	IsOther
	// IsBack: it is the same stream, restored from a backup. What is stored after the last
	// message that was read is new.
	IsBack
)

// continues determines the continuity of the stream of events. was is its lineage, nil if
// unknown; last is the last message that was read. The returned lineage has the base of
// was and the creation time of s.
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

// WentBack reports whether a stream is older than a message that it once held: it ends
// before that message, or another message has its sequence. A deleted message proves
// nothing.
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
	// memory is what this process knows. It wins over the bucket, which may have been
	// restored from a backup.
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
