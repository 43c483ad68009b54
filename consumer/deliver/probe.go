package deliver

import (
	"context"
	"slices"

	"supernats/consumer/notify"
)

// probe sends up to two notifications alone, before their turn, to find out whether the
// receiver accepts anything while it refuses a batch. It returns how many it tried, and the
// failure of the last one.
func (d *Delivery) probe(ctx context.Context, left items) (tries int, failure, err error) {
	if err := d.readMore(ctx); err != nil {
		return 0, nil, err
	}

	for _, it := range d.probes.nextAlone(left, d.rest.waiting()) {
		tries++
		failure, err = d.sendAlone(ctx, it)
		if err != nil || failure == nil || notify.IsOutage(failure) {
			break
		}
	}
	return tries, failure, err
}

// candidates choose what to send alone.
type candidates struct {
	// chosen counts the choices, so that they rotate.
	chosen int
}

// nextAlone returns what to send alone: the first notification of a batch of several, and one
// of another alert, each time the next one. left is what remains of the batch, all is
// everything that waits.
func (c *candidates) nextAlone(left, all items) (list items) {
	first := left[0]
	if len(left) > 1 {
		list = append(list, first)
	}

	var others, same items
	seen := map[string]bool{first.n.Data.Incident: true}
	for _, it := range all {
		switch incident := it.n.Data.Incident; {
		case it == first:
		case !seen[incident]:
			// Only the first of its alert: an update before the alert would be misleading.
			seen[incident] = true
			others = append(others, it)
		case incident == first.n.Data.Incident:
			same = append(same, it)
		}
	}
	if len(others) == 0 {
		others = same[:min(1, len(same))]
	}

	if len(others) > 0 {
		list = append(list, others[c.chosen%len(others)])
		c.chosen++
	}
	return list
}

// sendAlone sends a notification before its turn.
func (d *Delivery) sendAlone(ctx context.Context, it *item) (failure, err error) {
	if err := d.inbox.BeginAlone(ctx, it.seq); err != nil {
		return nil, err
	}
	id := it.n.ID
	failure, err = d.handOver(ctx, items{it})
	if err != nil {
		return nil, err
	}
	if failure != nil {
		d.log.Debug().Err(failure).Str("alert", id).Msg("another notification is not taken either")
		return failure, d.inbox.DoneAhead(ctx)
	}

	it.n = nil
	d.limiter.Allow() // it counts as a batch
	d.log.Info().Int("notifications", 1).Str("alert", id).Msg("notified, before its turn: one before it is not taken")
	return nil, d.inbox.DoneAhead(ctx, it.seq)
}

// resumeAlone sends again the notification whose sending alone a restart interrupted.
func (d *Delivery) resumeAlone(ctx context.Context) error {
	seq := d.inbox.Alone()
	i := slices.IndexFunc(d.rest, func(it *item) bool { return it.seq == seq && it.waits() })
	if i < 0 {
		return d.inbox.DoneAhead(ctx)
	}
	_, err := d.sendAlone(ctx, d.rest[i])
	return err
}
