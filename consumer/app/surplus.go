package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
)

const (
	// surplusEvery is how soon what could not be removed from a bucket is tried again: its
	// records are all read again for that.
	surplusEvery = time.Hour
	// purgeWithin is how long the server may take to remove records: where the right is
	// missing, no answer comes, and no event is read meanwhile.
	purgeWithin  = 5 * time.Second
	causeSurplus = "surplus"
	// noKey is the end of a subject that is none of a record: no token is a lone '='.
	noKey = ".=.=.=.=.=.="
)

// purgeError says that records could not be removed from a bucket. Nothing waits for that.
type purgeError struct {
	bucket string
	err    error
}

func (e *purgeError) Error() string {
	return fmt.Sprintf("remove records from bucket %s: %v", e.bucket, e.err)
}

func (e *purgeError) Unwrap() error { return e.err }

// removeSurplus makes the buckets as small as what is in memory. Where the server does
// not do that, events are read all the same, and it is tried again later.
func (v *events) removeSurplus(ctx context.Context, r *restored) error {
	err := r.removeSurplus(ctx)
	var failed *purgeError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &failed):
		v.surplusDue = time.Now().Add(v.surplusEvery)
		if v.health != nil {
			v.health.Warn(causeSurplus, "bucket "+failed.bucket+" holds more records than there is room for, and they cannot be removed: "+failed.err.Error(),
				"give this NATS user the right to publish $JS.API.STREAM.PURGE.KV_"+failed.bucket+" (examples/02-secure); it is tried again every hour, and at a start of `supernats consume`")
		}
		return nil
	case err != nil:
		return err
	}
	v.surplusDue = time.Time{}
	if v.health != nil {
		v.health.Clear(causeSurplus)
	}
	return nil
}

// isSurplusDue reports whether the buckets are to be read again, to remove what could not
// be removed before.
func (v *events) isSurplusDue() bool { return !v.surplusDue.IsZero() && time.Now().After(v.surplusDue) }

func (r *restored) removeSurplus(ctx context.Context) error {
	of := r.stateBucket.removeSurplus(ctx, r.stateShare, r.states, func(host string) string { return "$KV." + stream.StateBucket + "." + host + ".>" })
	if of != nil && !errors.As(of, new(*purgeError)) {
		return of
	}
	err := r.alertBucket.removeSurplus(ctx, r.alertShare, r.alerts, func(host string) string { return "$KV." + stream.AlertsBucket + ".*." + host + ".>" })
	return cmp.Or(err, of)
}

// removeSurplus removes the records that were not kept: those that were are written
// again first, so that a kill at any point loses none of them. filter are the subjects of
// a host in the bucket.
func (b *bucket[T]) removeSurplus(ctx context.Context, s *share[T], records map[string]*T, filter func(host string) string) error {
	if len(s.skipped) == 0 {
		return nil
	}
	bucketStream, err := b.js.Stream(ctx, "KV_"+b.name)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", b.name, err)
	}
	purge := func(opts ...jetstream.StreamPurgeOpt) error {
		ctx, cancel := context.WithTimeout(ctx, purgeWithin)
		defer cancel()
		if err := bucketStream.Purge(ctx, opts...); err != nil {
			return &purgeError{b.name, err}
		}
		return nil
	}

	// Of a key that nobody can have: whether it may be done at all is known before all
	// records of a host are written again for it.
	if err := purge(jetstream.WithPurgeSubject("$KV." + b.name + noKey)); err != nil {
		return err
	}
	for _, host := range slices.Sorted(maps.Keys(s.skipped)) {
		b.log.Error().Str("bucket", b.name).Str("host", host).Int("records", s.skipped[host]).Int("kept", s.count[host]).
			Msg("host has more records than there is room for; those are removed")
		info, err := bucketStream.Info(ctx)
		if err != nil {
			return fmt.Errorf("look up bucket %s: %w", b.name, err)
		}
		var kept []record[T]
		for key, v := range records {
			if s.hostOf(key) == host {
				kept = append(kept, record[T]{key, v})
			}
		}
		if err := b.write(ctx, kept); err != nil {
			return err
		}
		if err := purge(jetstream.WithPurgeSubject(filter(host)), jetstream.WithPurgeSequence(info.State.LastSeq+1)); err != nil {
			return err
		}
	}
	return nil
}
