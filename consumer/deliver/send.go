package deliver

import (
	"context"
	"fmt"
	"time"

	"supernats/consumer/health"
	"supernats/consumer/notify"
)

// sendBatch delivers a batch, sets its only notification aside, or leaves it to be sent in
// parts. A batch is not extended once it was tried, so that a mail that is sent again has
// the same Message-ID.
func (d *Delivery) sendBatch(ctx context.Context, batch items) error {
	if !batch.anyWaits() {
		return d.finishBatch(ctx, batch)
	}
	s := &sending{batch: batch, last: batch[len(batch)-1].seq, begun: time.Now()}
	if s.last > d.divided {
		d.divided = 0
		d.proof.void()
	}

	for {
		failure, err := d.trySending(ctx, s)
		if err != nil {
			return err
		}
		if failure == nil {
			return d.finishBatch(ctx, batch)
		}
		failure, err = d.probeIfDue(ctx, s, failure)
		if err != nil {
			return err
		}

		switch s.judge(failure, &d.proof, d.timing) {
		case allTaken:
			return d.finishBatch(ctx, batch)
		case tooMany:
			d.divideBatch(failure, s)
			return nil
		case isRefused:
			return d.setAside(ctx, batch, failure)
		case confirm:
			continue
		case outage:
			d.proof.void()
		}
		s.proved, err = d.pauseUntilRetry(ctx, s, failure)
		if err != nil {
			return err
		}
	}
}

// trySending sends what is left of a batch. failure is why the receiver did not accept all of it;
// after err the delivery has to begin again.
func (d *Delivery) trySending(ctx context.Context, s *sending) (failure, err error) {
	if err := d.inbox.Begin(ctx, s.last); err != nil {
		return nil, err
	}
	left := s.batch.waiting()
	count, first := len(left), left[0].n.ID

	s.tries++
	failure, err = d.handOver(ctx, left)
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return failure, d.inbox.SetFailed(ctx, s.last, failure)
	}

	d.failing.AddOver(d.log.Info()).Int("notifications", count).Str("alert", first).Int("try", s.tries).Msg("notified")
	if d.divided > 0 {
		d.size.double()
	}
	return nil, nil
}

// handOver gives notifications to the receiver. Those that it accepted before it failed are
// done. After err the delivery has to begin again.
func (d *Delivery) handOver(ctx context.Context, left items) (failure, err error) {
	if err := d.options.Held(); err != nil {
		return nil, err
	}
	failure = d.notify(ctx, left.notifications())
	now := time.Now().UTC()
	if failure == nil {
		d.proof.renew()
		d.inbox.Took(now, left.taken()...)
		return nil, nil
	}

	var done []uint64
	for _, i := range notify.Taken(failure) {
		d.inbox.Took(now, items{left[i]}.taken()...)
		left[i].n = nil
		done = append(done, left[i].seq)
	}
	if len(done) > 0 {
		d.proof.renew()
		d.log.Info().Int("notifications", len(done)).Int("left", len(left)-len(done)).Msg("notified of a part")
		if err := d.inbox.DoneAhead(ctx, done...); err != nil {
			return nil, err
		}
	}
	return failure, ctx.Err()
}

// probeIfDue probes whether the receiver accepts anything else, if it is time for that. It
// returns the failure that determines when to try again.
func (d *Delivery) probeIfDue(ctx context.Context, s *sending, failure error) (_, err error) {
	s.asked, s.noOther = false, false
	if !s.isToAsk(failure, &d.proof, d.timing) {
		return failure, nil
	}
	if isAsked(failure) {
		if err := health.Sleep(ctx, d.timing.pause(s.tries, failure)); err != nil {
			return nil, err
		}
	}

	tries, other, err := d.probe(ctx, s.batch.waiting())
	if err != nil {
		return nil, err
	}
	s.asked = true
	s.proved = tries > 0 && other == nil
	s.noOther = tries == 0
	if isAsked(other) || notify.IsOutage(other) {
		failure = other
	}
	return failure, nil
}

// divideBatch leaves a batch to be sent in halves.
func (d *Delivery) divideBatch(failure error, s *sending) {
	count := len(s.batch.waiting())
	d.divided = max(d.divided, s.last)
	d.size.halve(count, isTimeout(failure))
	d.dividing.Log(d.log, failure).Int("notifications", count).
		Msg("batch is not taken although others are; trying it in halves")
}

// setAside parks the only notification that is left of a batch: the receiver accepts others
// and not this one.
func (d *Delivery) setAside(ctx context.Context, batch items, reason error) error {
	it := batch.waiting()[0]
	if err := d.park(ctx, it.raw, it.seq, reason); err != nil {
		return err
	}

	if isTimeout(reason) {
		d.size.allowBiggest()
	}
	it.n = nil
	d.proof.spend()
	d.size.reset()
	if n := len(batch.waiting()); n > 0 { // finish would acknowledge them
		return fmt.Errorf("%d notifications of a batch wait that is finished: they are read again", n)
	}
	return d.finishBatch(ctx, batch)
}
