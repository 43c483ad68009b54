package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// openBucket fails with what to do if the bucket is missing.
func openBucket(ctx context.Context, js jetstream.JetStream, bucket string) (jetstream.KeyValue, error) {
	kv, err := js.KeyValue(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("bucket %s is missing: it is filled by `supernats consume`, which has not run on this NATS yet", bucket)
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	return kv, nil
}

// readBucket returns every record of a bucket. One whose key is not that of what
// it says is of somebody else, and only warned of.
func readBucket[T any](ctx context.Context, js jetstream.JetStream, bucket string, key func(*T) string) ([]T, error) {
	kv, err := openBucket(ctx, js, bucket)
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
			var r T
			err := json.Unmarshal(e.Value(), &r)
			if err == nil && key(&r) != e.Key() {
				err = errors.New("is of another one")
			}
			if err != nil { // not written by us
				say("supernats: record %s of bucket %s: %v", e.Key(), bucket, err)
				continue
			}
			records = append(records, r)
		}
	}
}
