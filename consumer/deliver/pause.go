package deliver

import (
	"context"
	"slices"
	"time"

	"supernats/consumer/health"
	"supernats/consumer/notify"
)

// pauseUntilRetry waits until the next try. A notification that arrives meanwhile ends the
// pause after an outage. After any other failure it is tried alone, and pause reports
// whether it was accepted. Both happen no sooner than spacing after the last try, and not
// if the receiver has asked for a pause.
func (d *Delivery) pauseUntilRetry(ctx context.Context, s *sending, failure error) (took bool, err error) {
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
		came, err := d.awaitNotification(ctx, until)
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
			continue // it is about the same alert, and waits with it
		}
		if failure, err := d.sendAlone(ctx, first); err != nil || failure == nil {
			return err == nil, err
		}
	}
}

// awaitNotification returns the first notification that arrives before a time, nil if none
// does.
func (d *Delivery) awaitNotification(ctx context.Context, until time.Time) (*item, error) {
	for time.Now().Before(until) {
		if d.rest.isFull() {
			return nil, health.Sleep(ctx, time.Until(until))
		}
		msgs, err := d.inbox.Next(ctx, min(time.Until(until), d.timing.idle))
		if err != nil {
			return nil, err
		}

		before := len(d.rest)
		if err := d.addMessages(ctx, msgs); err != nil {
			return nil, err
		}
		if came := d.rest[before:].waiting(); len(came) > 0 {
			return came[0], nil
		}
	}
	return nil, nil
}
