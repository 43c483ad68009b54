package records

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
)

// noKey is a key of no record: no token is a lone '='.
const noKey = "=.=.=.=.=.="

// PurgeError is a server's refusal to remove records from a bucket. Nothing has to wait
// for their removal.
type PurgeError struct {
	Bucket string
	Err    error
}

func (e *PurgeError) Error() string {
	return fmt.Sprintf("remove records from bucket %s: %v", e.Bucket, e.Err)
}

func (e *PurgeError) Unwrap() error { return e.Err }

// RemoveSurplus removes from the bucket the records that a share did not keep when the
// bucket was opened; records are those that it kept, filter returns the subjects of a
// host in the bucket. The records that were kept are written again first, so that a kill
// at any point loses none of them. A server that does not remove is a *PurgeError.
func (b *Bucket[T]) RemoveSurplus(
	ctx context.Context, s *Share[T], records map[string]*T, filter func(host string) string,
) error {
	if len(s.skipped) == 0 {
		return nil
	}
	bucket, err := b.stream(ctx)
	if err != nil {
		return err
	}

	// First purge a key that no record can have: if purging is denied, that shows before
	// all records of a host are written again.
	if err := b.purge(ctx, bucket, jetstream.WithPurgeSubject(stream.StoredKey(b.name, noKey))); err != nil {
		return err
	}
	for _, host := range slices.Sorted(maps.Keys(s.skipped)) {
		b.log.Error().Str("bucket", b.name).Str("host", host).
			Int("records", s.skipped[host]).Int("kept", s.count[host]).
			Msg("host has more records than there is room for; those are removed")
		info, err := bucket.Info(ctx)
		if err != nil {
			return fmt.Errorf("look up bucket %s: %w", b.name, err)
		}

		var kept []Record[T]
		for key, v := range records {
			if s.HostOf(key) == host {
				kept = append(kept, Record[T]{key, v})
			}
		}
		if err := b.Write(ctx, kept); err != nil {
			return err
		}
		older := jetstream.WithPurgeSequence(info.State.LastSeq + 1)
		if err := b.purge(ctx, bucket, jetstream.WithPurgeSubject(filter(host)), older); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bucket[T]) purge(ctx context.Context, bucket jetstream.Stream, opts ...jetstream.StreamPurgeOpt) error {
	ctx, cancel := context.WithTimeout(ctx, purgeWithin)
	defer cancel()
	if err := bucket.Purge(ctx, opts...); err != nil {
		return &PurgeError{b.name, err}
	}
	return nil
}

// PurgeMarkers removes the markers of keys that were deleted, which would stay for an
// hour, or for ever in a bucket whose keys cannot expire. It does not matter if that is
// not allowed.
func (b *Bucket[T]) PurgeMarkers(ctx context.Context, deleted []Record[T]) {
	for _, r := range deleted {
		if err := b.purgeMarker(ctx, r.Key); err != nil {
			if b.failing.Failed(err) {
				b.log.Warn().Err(err).Msg("the marker of a deleted record cannot be removed; it does no harm")
			}
			return
		}
	}
}

// purgeMarker removes a key with the marker of its end.
func (b *Bucket[T]) purgeMarker(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, purgeMarkerWithin)
	defer cancel()
	bucket, err := b.stream(ctx)
	if err != nil {
		return err
	}
	if err := bucket.Purge(ctx, jetstream.WithPurgeSubject(stream.StoredKey(b.name, key))); err != nil {
		return fmt.Errorf("purge %s of bucket %s: %w", key, b.name, err)
	}
	return nil
}
