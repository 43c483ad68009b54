package records

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/schema"
	"supernats/schema/stream"
)

// Table is a bucket of which the records are read one by one, when somebody asks for
// them, and kept in memory from then on. It is for one goroutine.
type Table[T any] struct {
	js     jetstream.JetStream
	log    zerolog.Logger
	bucket string
	source jetstream.Stream
	rows   map[string]*row[T]
	// dirty are the keys changed since the last Flush.
	dirty map[string]bool
}

type row[T any] struct {
	value    *T // nil: there is none
	revision uint64
}

// OpenTable opens a bucket and reads nothing yet.
func OpenTable[T any](
	ctx context.Context, js jetstream.JetStream, bucket string, log zerolog.Logger,
) (*Table[T], error) {
	s, err := js.Stream(ctx, stream.OfBucket(bucket))
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	return &Table[T]{
		js: js, log: log, bucket: bucket, source: s,
		rows: map[string]*row[T]{}, dirty: map[string]bool{},
	}, nil
}

// Get returns the record of a key, nil if there is none.
func (t *Table[T]) Get(ctx context.Context, key string) (*T, error) {
	if r := t.rows[key]; r != nil {
		return r.value, nil
	}

	r := &row[T]{}
	// Not kv.Get: it does not return the revision of a key that was deleted, and without
	// it the key could not be written again. The subject is that of the stream, which
	// may differ from the one that is written to (stream.KeySubject).
	m, err := t.source.GetLastMsgForSubject(ctx, stream.StoredKey(t.bucket, key))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
	case err != nil:
		return nil, fmt.Errorf("read %s of bucket %s: %w", key, t.bucket, err)
	case m.Header.Get(headerOperation) != "" || m.Header.Get(jetstream.MarkerReasonHeader) != "":
		r.revision = m.Sequence // deleted
	default:
		r.revision, r.value = m.Sequence, new(T)
		if err := json.Unmarshal(m.Data, r.value); err != nil {
			// Somebody else wrote it. The record begins again, since no event may wait for
			// a person; the bucket's history keeps what it was.
			t.log.Error().Err(err).Str("bucket", t.bucket).Str("key", key).
				Msg("record is malformed and begins again from nothing; `nats kv history` shows what it was")
			r.value = nil
		}
	}
	t.rows[key] = r
	return r.value, nil
}

// Set changes the record of a key that Get has read. Flush writes it.
func (t *Table[T]) Set(key string, value *T) {
	t.rows[key].value = value
	t.dirty[key] = true
}

// Flush writes all that was changed, one message for each key however often it changed.
// After an error memory is forgotten: what was to be written must be derived again from
// what the bucket holds.
func (t *Table[T]) Flush(ctx context.Context) error {
	err := t.write(ctx)
	clear(t.dirty)
	if err != nil {
		clear(t.rows)
	}
	return err
}

func (t *Table[T]) write(ctx context.Context) error {
	acks := make(map[string]jetstream.PubAckFuture, len(t.dirty))
	for key := range t.dirty {
		r := t.rows[key]
		b, err := schema.Marshal(r.value)
		if err != nil {
			return err
		}
		replacing := jetstream.WithExpectLastSequencePerSubject(r.revision)
		ack, err := t.js.PublishAsync(stream.KeySubject(t.js, t.bucket, key), b, replacing)
		if err != nil {
			return fmt.Errorf("write %s of bucket %s: %w", key, t.bucket, err)
		}
		acks[key] = ack
	}

	for key, ack := range acks {
		select {
		case a := <-ack.Ok():
			t.rows[key].revision = a.Sequence
		case err := <-ack.Err():
			return fmt.Errorf("write %s of bucket %s: %w", key, t.bucket, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
