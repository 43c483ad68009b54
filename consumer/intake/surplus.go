package intake

import (
	"cmp"
	"context"
	"errors"
	"time"

	"supernats/consumer/health"
	"supernats/consumer/records"
	"supernats/schema/stream"
)

const (
	// surplusEvery is how long after a refusal to remove the surplus is tried again: that
	// means to read all records again.
	surplusEvery = time.Hour
	causeSurplus = "surplus"
)

// surplus is what a bucket holds beyond the limits. It is never in memory, and is removed at
// a start. If the server refuses that, events are read all the same, and it is tried again
// later.
type surplus struct {
	every time.Duration
	due   time.Time // of the next try; zero if nothing is left to remove
}

// isDue reports whether to read the buckets again, to remove what could not be removed.
func (s *surplus) isDue() bool { return !s.due.IsZero() && time.Now().After(s.due) }

// remove removes from the buckets what was not kept of them. h may be nil.
func (s *surplus) remove(ctx context.Context, have *contents, h *health.Health) error {
	err := have.removeSurplus(ctx)
	var failed *records.PurgeError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &failed):
		s.due = time.Now().Add(s.every)
		if h != nil {
			h.Warn(causeSurplus,
				"bucket "+failed.Bucket+" holds more records than there is room for, and they cannot be removed: "+
					failed.Err.Error(),
				"give this NATS user the right to publish $JS.API.STREAM.PURGE."+stream.OfBucket(failed.Bucket)+
					" (examples/02-secure); it is tried again every hour, and at a start of `supernats consume`")
		}
		return nil
	case err != nil:
		return err
	}

	s.due = time.Time{}
	if h != nil {
		h.Clear(causeSurplus)
	}
	return nil
}

func (c *contents) removeSurplus(ctx context.Context) error {
	ofHost := func(host string) string { return stream.StoredKey(stream.StateBucket, host+".>") }
	unpurged := c.stateBucket.RemoveSurplus(ctx, c.stateShare, c.states, ofHost)
	if unpurged != nil && !errors.As(unpurged, new(*records.PurgeError)) {
		return unpurged
	}

	ofHost = func(host string) string { return stream.StoredKey(stream.AlertsBucket, "*."+host+".>") }
	err := c.alertBucket.RemoveSurplus(ctx, c.alertShare, c.alerts, ofHost)
	return cmp.Or(err, unpurged)
}
