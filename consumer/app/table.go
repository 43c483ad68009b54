package app

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

// table is a bucket of records with what was read or changed of it in memory.
// Each write names the revision that it replaces, so a record that another
// daemon has changed meanwhile is never overwritten.
type table[T any] struct {
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

func newTable[T any](ctx context.Context, js jetstream.JetStream, bucket string, log zerolog.Logger) (*table[T], error) {
	s, err := js.Stream(ctx, "KV_"+bucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	return &table[T]{js: js, log: log, bucket: bucket, source: s, rows: map[string]*row[T]{}, dirty: map[string]bool{}}, nil
}

// subject is that of a key in the stream. Where it is written to may be another one.
func (t *table[T]) subject(key string) string { return "$KV." + t.bucket + "." + key }

// Get returns the record of a key, nil if there is none.
func (t *table[T]) Get(ctx context.Context, key string) (*T, error) {
	if r := t.rows[key]; r != nil {
		return r.value, nil
	}
	r := &row[T]{}
	// Not kv.Get: it does not tell the revision of a key that was deleted, and
	// without it the key could not be written again.
	m, err := t.source.GetLastMsgForSubject(ctx, t.subject(key))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
	case err != nil:
		return nil, fmt.Errorf("read %s of bucket %s: %w", key, t.bucket, err)
	case m.Header.Get("KV-Operation") != "" || m.Header.Get(jetstream.MarkerReasonHeader) != "":
		r.revision = m.Sequence // deleted
	default:
		r.revision, r.value = m.Sequence, new(T)
		if err := json.Unmarshal(m.Data, r.value); err != nil {
			// Somebody else wrote it. It begins anew, since no event may wait for a
			// person; what it was stays in the bucket's history.
			t.log.Error().Err(err).Str("bucket", t.bucket).Str("key", key).Msg("record is malformed and begins again from nothing; `nats kv history` shows what it was")
			r.value = nil
		}
	}
	t.rows[key] = r
	return r.value, nil
}

// Set changes the record of a key that Get has read. It is written by Flush.
func (t *table[T]) Set(key string, value *T) {
	t.rows[key].value = value
	t.dirty[key] = true
}

// Flush writes all that was changed, one message for each key however often it
// changed. After an error memory is forgotten: what was to be written must be
// derived again from what the bucket holds.
func (t *table[T]) Flush(ctx context.Context) error {
	acks := make(map[string]jetstream.PubAckFuture, len(t.dirty))
	err := func() error {
		for key := range t.dirty {
			r := t.rows[key]
			b, err := schema.Marshal(r.value)
			if err != nil {
				return err
			}
			ack, err := t.js.PublishAsync(stream.KeySubject(t.js, t.bucket, key), b, jetstream.WithExpectLastSequencePerSubject(r.revision))
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
	}()
	clear(t.dirty)
	if err != nil {
		clear(t.rows)
	}
	return err
}
