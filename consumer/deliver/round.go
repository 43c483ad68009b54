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
	// maxParkedTries bounds how often the other side is asked in one round: it may
	// refuse every single one.
	maxParkedTries = 32
	// parkedTime is after what time of a round no further try begins: what is new waits
	// for it.
	parkedTime = 10 * time.Second
	// unparkWithin is how long the server may take to delete what was delivered.
	unparkWithin = 5 * time.Second
)

// errParked is an error of the stream, not of the receiver.
var errParked = errors.New("stream of parked messages")

// round is one in which what is parked is tried again.
type round struct {
	delivery *Delivery
	parked   parkedStore
	// tries are left until the time until, and left of those that are parked.
	tries, left int
	until       time.Time
	// took says that something was taken, refused how many were not, each alone.
	took    bool
	refused int
}

// isOver reports whether to stop: there is nothing to be learned from a receiver that
// takes nothing at all.
func (r *round) isOver() bool {
	return r.tries == 0 || time.Now().After(r.until) || !r.took && r.refused >= 2
}

// try sends a batch, in halves if it is not taken. Its error is the last one, and an
// outage or that of the stream if there was such a one.
func (r *round) try(ctx context.Context, batch []parkedOne) error {
	if len(batch) == 0 || r.isOver() {
		return nil
	}
	r.tries--
	batch, err := r.send(ctx, batch)
	if err == nil || len(batch) == 0 || endsRound(err) || ctx.Err() != nil || isAsked(err) {
		return err
	}
	if len(batch) == 1 {
		r.refused++
		return err
	}

	halves := [][]parkedOne{batch[:len(batch)/2], batch[len(batch)/2:]}
	if rand.N(2) == 0 { // so that no half is the one that there are no tries left for
		halves[0], halves[1] = halves[1], halves[0]
	}
	for _, half := range halves {
		if e := r.try(ctx, half); e != nil {
			if err = e; endsRound(err) {
				return err
			}
		}
	}
	return err
}

func endsRound(err error) bool { return notify.IsOutage(err) || errors.Is(err, errParked) }

// send sends a batch, with the ends of its alerts, and returns what of it was not taken.
func (r *round) send(ctx context.Context, batch []parkedOne) (left []parkedOne, err error) {
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

// takenOf are those of a batch that were taken, all if there was no failure. The ends of
// alerts come after them.
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
