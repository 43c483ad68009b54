package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"supernats/consumer/deliver/inbox"
	"supernats/consumer/health"
	"supernats/consumer/notify"
)

const (
	// maxParkedTries bounds the tries of one round: the receiver may refuse every single
	// notification.
	maxParkedTries = 32
	// parkedTime is after what time a round begins no further try: new notifications wait
	// for its end.
	parkedTime = 10 * time.Second
	// unparkWithin is how long the server may take to delete what was delivered.
	unparkWithin = 5 * time.Second
)

// errParked marks an error of the stream, not of the receiver.
var errParked = errors.New("stream of parked messages")

// round is one pass over parked notifications.
type round struct {
	delivery *Delivery
	parked   parkedStore
	// tries is how many tries are allowed until the time until, left how many notifications
	// are still parked.
	tries, left int
	until       time.Time
	// took is set when something was accepted; refused counts those refused alone.
	took    bool
	refused int
}

// isOver reports whether to stop. There is nothing to learn from a receiver that accepts
// nothing at all.
func (r *round) isOver() bool {
	return r.tries == 0 || time.Now().After(r.until) || !r.took && r.refused >= 2
}

// tryBatch sends a batch, in halves if it is refused. It returns the last error; an outage, or an
// error of the stream, ends it.
func (r *round) tryBatch(ctx context.Context, batch []parkedOne) error {
	if len(batch) == 0 || r.isOver() {
		return nil
	}
	r.tries--
	batch, err := r.sendBatch(ctx, batch)
	if err == nil || len(batch) == 0 || endsRound(err) || ctx.Err() != nil || isAsked(err) {
		return err
	}
	if len(batch) == 1 {
		r.refused++
		return err
	}

	halves := [][]parkedOne{batch[:len(batch)/2], batch[len(batch)/2:]}
	if rand.N(2) == 0 { // so that it is not always the same half that gets no tries
		halves[0], halves[1] = halves[1], halves[0]
	}
	for _, half := range halves {
		if e := r.tryBatch(ctx, half); e != nil {
			if err = e; endsRound(err) {
				return err
			}
		}
	}
	return err
}

func endsRound(err error) bool { return notify.IsOutage(err) || errors.Is(err, errParked) }

// sendBatch sends a batch with the ends of its alerts, and returns what was not accepted.
func (r *round) sendBatch(ctx context.Context, batch []parkedOne) (left []parkedOne, err error) {
	d := r.delivery
	if err := d.options.Held(); err != nil {
		return batch, fmt.Errorf("%w: %w", errParked, err)
	}
	var list []notification
	err = health.Unbroken(ctx, d.js.Conn(), func(ctx context.Context) (err error) {
		list, err = d.history.withEnds(ctx, batch)
		return err
	})
	if err != nil {
		return batch, fmt.Errorf("%w: %w", errParked, err)
	}

	failure := d.notify(ctx, list)
	taken := takenOf(batch, failure)
	if len(taken) == 0 {
		return batch, failure
	}
	r.took = true
	d.log.Info().Int("notifications", len(taken)).Str("alert", taken[0].n.ID).Msg("notified of what was parked")
	if err := r.unpark(ctx, taken); err != nil {
		return batch, err
	}

	now := time.Now().UTC()
	for _, p := range taken {
		d.inbox.Took(now, inbox.Taken{Seq: p.from, Made: p.n.Time.Time})
	}
	if err := d.inbox.SetRecovered(ctx); err != nil {
		return batch, fmt.Errorf("%w: %w", errParked, err)
	}
	isTaken := func(p parkedOne) bool { return slices.Contains(taken, p) }
	return slices.DeleteFunc(slices.Clone(batch), isTaken), failure
}

// takenOf returns the part of a batch that was accepted: all of it if there was no failure.
// Indexes beyond the batch are those of the ends of alerts.
func takenOf(batch []parkedOne, failure error) []parkedOne {
	if failure == nil {
		return batch
	}
	var taken []parkedOne
	for _, i := range notify.Taken(failure) {
		if i < len(batch) {
			taken = append(taken, batch[i])
		}
	}
	return taken
}

// unpark deletes what was delivered.
func (r *round) unpark(ctx context.Context, taken []parkedOne) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unparkWithin)
	defer cancel()
	return health.Unbroken(ctx, r.delivery.js.Conn(), func(ctx context.Context) error {
		return r.parked.remove(ctx, taken, func() { r.left-- })
	})
}
