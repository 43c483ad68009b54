package app

import (
	"context"
	"slices"

	"supernats/consumer/notify"
)

// probe sends up to two notifications alone, before their turn, to find out whether
// the receiver takes anything while it does not take a batch. It returns how many it
// has tried, and the failure of the last one.
func (d *delivery) probe(ctx context.Context, left []*item) (tries int, failure, err error) {
	if err := d.grow(ctx); err != nil {
		return 0, nil, err
	}
	for _, it := range d.candidates(left) {
		tries++
		failure, err = d.alone(ctx, it)
		if err != nil || failure == nil || notify.IsOutage(failure) {
			break
		}
	}
	return tries, failure, err
}

// candidates are what to send alone: the first one of a batch of several, and one of
// another alert, each time the next.
func (d *delivery) candidates(left []*item) (list []*item) {
	first := left[0]
	if len(left) > 1 {
		list = append(list, first)
	}
	var others, same []*item
	seen := map[string]bool{first.n.Data.Incident: true}
	for _, it := range waiting(d.rest) {
		switch alert := it.n.Data.Incident; {
		case it == first:
		case !seen[alert]:
			// An update before its beginning would be misleading.
			seen[alert] = true
			others = append(others, it)
		case alert == first.n.Data.Incident:
			same = append(same, it)
		}
	}
	if len(others) == 0 {
		others = same[:min(1, len(same))]
	}
	if len(others) > 0 {
		list = append(list, others[d.probes%len(others)])
		d.probes++
	}
	return list
}

// firstOf is the first notification of an alert that is waiting.
func (d *delivery) firstOf(alert string) *item {
	all := waiting(d.rest)
	return all[slices.IndexFunc(all, func(it *item) bool { return it.n.Data.Incident == alert })]
}

// alone sends a notification before its turn.
func (d *delivery) alone(ctx context.Context, it *item) (failure, err error) {
	if err := d.inbox.beginAlone(ctx, it.seq); err != nil {
		return nil, err
	}
	id := it.n.ID
	failure, err = d.hand(ctx, []*item{it})
	if err != nil {
		return nil, err
	}
	if failure != nil {
		d.log.Debug().Err(failure).Str("alert", id).Msg("another notification is not taken either")
		return failure, d.inbox.ahead(ctx)
	}
	it.n = nil
	d.limiter.Allow() // it counts as one
	d.log.Info().Int("notifications", 1).Str("alert", id).Msg("notified, before its turn: one before it is not taken")
	return nil, d.inbox.ahead(ctx, it.seq)
}

// resumeAlone sends again what was being sent alone when the daemon ended.
func (d *delivery) resumeAlone(ctx context.Context) error {
	seq := d.inbox.at.Alone
	i := slices.IndexFunc(d.rest, func(it *item) bool { return it.seq == seq && it.waits() })
	if i < 0 {
		return d.inbox.ahead(ctx)
	}
	_, err := d.alone(ctx, d.rest[i])
	return err
}
