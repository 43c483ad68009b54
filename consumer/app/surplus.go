package app

import (
	"cmp"
	"context"
	"errors"
	"time"

	"supernats/consumer/records"
	"supernats/schema/stream"
)

const (
	// surplusEvery is how soon what could not be removed from a bucket is tried again: its
	// records are all read again for that.
	surplusEvery = time.Hour
	causeSurplus = "surplus"
)

// removeSurplus makes the buckets as small as what is in memory. Where the server does
// not do that, events are read all the same, and it is tried again later.
func (v *events) removeSurplus(ctx context.Context, r *restored) error {
	err := r.removeSurplus(ctx)
	var failed *records.PurgeError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &failed):
		v.surplusDue = time.Now().Add(v.surplusEvery)
		if v.health != nil {
			v.health.Warn(causeSurplus, "bucket "+failed.Bucket+" holds more records than there is room for, and they cannot be removed: "+failed.Err.Error(),
				"give this NATS user the right to publish $JS.API.STREAM.PURGE.KV_"+failed.Bucket+" (examples/02-secure); it is tried again every hour, and at a start of `supernats consume`")
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
	of := r.stateBucket.RemoveSurplus(ctx, r.stateShare, r.states, func(host string) string { return "$KV." + stream.StateBucket + "." + host + ".>" })
	if of != nil && !errors.As(of, new(*records.PurgeError)) {
		return of
	}
	err := r.alertBucket.RemoveSurplus(ctx, r.alertShare, r.alerts, func(host string) string { return "$KV." + stream.AlertsBucket + ".*." + host + ".>" })
	return cmp.Or(err, of)
}
