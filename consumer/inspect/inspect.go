// Package inspect reads an installation for people: the fleet, its alerts, the queues of
// the receivers, what was parked, who was notified, and the events themselves. Commands
// show what it returns; it prints nothing and changes nothing.
//
// It reads from NATS alone, so it works beside a running `supernats consume` and without
// one. A record that cannot be read hides no other: it is reported to Reader.Warn. What a
// NATS user may not read ends the call at once with a DeniedError, see Guard.
package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/history"
)

// Reader reads what an installation has stored.
type Reader struct {
	JS jetstream.JetStream
	// Warn is called for records and messages that cannot be read and are left out. Nil
	// drops the warnings.
	Warn func(text string)
	// Progress is called while a stream is read, with how much of it is, of how much; may be
	// nil.
	Progress func(read, total uint64)
}

func (r *Reader) warn(format string, args ...any) {
	if r.Warn != nil {
		r.Warn(fmt.Sprintf(format, args...))
	}
}

// History returns the reader of the streams over the same connection.
func (r *Reader) History() *history.Reader {
	return &history.Reader{JS: r.JS, Warn: r.Warn, Progress: r.Progress}
}

// OpenBucket opens a bucket of `supernats consume`. The error for one that is missing says
// what creates it.
func (r *Reader) OpenBucket(ctx context.Context, bucket string) (jetstream.KeyValue, error) {
	kv, err := r.JS.KeyValue(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("bucket %s is missing: it is filled by `supernats consume`, "+
			"which has not run on this NATS yet", bucket)
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	return kv, nil
}

// readBucket returns every record of a bucket. A record whose content belongs under
// another key was written by somebody else; it is left out with a warning.
func readBucket[T any](ctx context.Context, r *Reader, bucket string, key func(*T) string) ([]T, error) {
	kv, err := r.OpenBucket(ctx, bucket)
	if err != nil {
		return nil, err
	}
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("read bucket %s: %w", bucket, err)
	}
	defer func() { _ = w.Stop() }()

	var records []T
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case e := <-w.Updates():
			if e == nil { // that was all
				return records, nil
			}

			var record T
			err := json.Unmarshal(e.Value(), &record)
			if err == nil && key(&record) != e.Key() {
				err = errors.New("is of another one")
			}
			if err != nil {
				r.warn("record %s of bucket %s: %v", e.Key(), bucket, err)
				continue
			}
			records = append(records, record)
		}
	}
}
