package deliver

import (
	"context"
	"slices"
	"time"

	"supernats/consumer/health"
	"supernats/consumer/notify"
)

// pause waits until the next try. A notification that comes meanwhile ends an outage's
// pause, and is tried at once, alone, after any other failure: but no sooner than
// spacing after the last try, and not if the receiver has asked to be left alone. It
// reports whether that one was taken.
func (d *Delivery) pause(ctx context.Context, s *sending, failure error) (took bool, err error) {
	left := s.batch.waiting()
	wait := d.timing.pause(s.tries, failure)
	d.failing.Log(d.log, failure).Int("notifications", len(left)).Int("try", s.tries).
		Dur("again_in_ms", wait.Round(time.Millisecond)).
		Msg("notifications could not be delivered")
	until := time.Now().Add(wait)
	if isAsked(failure) {
		return false, health.Sleep(ctx, wait)
	}

	for {
		soonest := time.Now().Add(d.timing.spacing)
		came, err := d.listen(ctx, until)
		if err != nil || came == nil {
			return false, err
		}
		if soonest.After(until) {
			return false, health.Sleep(ctx, time.Until(until))
		}
		if err := health.Sleep(ctx, time.Until(soonest)); err != nil || notify.IsOutage(failure) {
			return false, err
		}

		first := d.rest.firstOf(came.n.Data.Incident)
		if slices.Contains(left, first) {
			continue // what is about the same alert waits with it
		}
		if failure, err := d.sendAlone(ctx, first); err != nil || failure == nil {
			return err == nil, err
		}
	}
}

// listen returns the first notification that comes, nil if none does up to a time.
func (d *Delivery) listen(ctx context.Context, until time.Time) (*item, error) {
	for time.Now().Before(until) {
		if d.rest.isFull() {
			return nil, health.Sleep(ctx, time.Until(until))
		}
		msgs, err := d.inbox.Next(ctx, min(time.Until(until), d.timing.idle))
		if err != nil {
			return nil, err
		}

		before := len(d.rest)
		if err := d.add(ctx, msgs); err != nil {
			return nil, err
		}
		if came := d.rest[before:].waiting(); len(came) > 0 {
			return came[0], nil
		}
	}
	return nil, nil
}
