package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
)

// Roster is what the active `supernats consume` delivers to.
type Roster struct {
	// Receivers are named with their addresses.
	Receivers []string
	// Known is false if no `supernats consume` has recorded it.
	Known bool
}

// Roster reads the receivers that are in use.
func (r *Reader) Roster(ctx context.Context) (Roster, error) {
	kv, err := r.openLeases(ctx)
	if err != nil {
		return Roster{}, err
	}
	value, err := readKey(ctx, kv, stream.RosterKey)
	if err != nil || value == nil {
		return Roster{}, err
	}

	var record stream.RosterRecord
	if err := json.Unmarshal(value, &record); err != nil {
		return Roster{}, nil
	}
	return Roster{Receivers: record.Receivers, Known: true}, nil
}

// Lease returns the lease of the active `supernats consume`, nil if none is active.
func (r *Reader) Lease(ctx context.Context) (*stream.LeaseRecord, error) {
	kv, err := r.OpenBucket(ctx, stream.LeasesBucket)
	if err != nil {
		return nil, err
	}
	value, err := readKey(ctx, kv, stream.LeaseKey)
	if err != nil || value == nil {
		return nil, err
	}

	var l stream.LeaseRecord
	if err := json.Unmarshal(value, &l); err != nil {
		return nil, fmt.Errorf("lease %s is malformed: %w", stream.LeaseKey, err)
	}
	return &l, nil
}

// openLeases opens the bucket in which `supernats consume` records who it is and how far
// it is, nil if there is none.
func (r *Reader) openLeases(ctx context.Context) (jetstream.KeyValue, error) {
	kv, err := r.JS.KeyValue(ctx, stream.LeasesBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", stream.LeasesBucket, err)
	}
	return kv, nil
}

// readKey returns the value of a key, nil if there is no such key or no bucket.
func readKey(ctx context.Context, kv jetstream.KeyValue, key string) ([]byte, error) {
	if kv == nil {
		return nil, nil
	}
	e, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read bucket %s: %w", kv.Bucket(), err)
	}
	return e.Value(), nil
}
