package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"supernats/consumer/health"
	"supernats/consumer/notify"
)

// tooSlowFor is how long a receiver gets no bigger batches than those that it could
// handle in time.
const tooSlowFor = 10 * time.Minute

// send delivers a batch, sets its only notification aside, or leaves it to be sent
// in parts. A batch that was tried is not extended, so that a mail that was accepted
// and sent again has the same Message-ID.
func (d *delivery) send(ctx context.Context, batch []*item) error {
	if len(waiting(batch)) == 0 {
		return d.finish(ctx, batch)
	}
	last := batch[len(batch)-1].seq
	if last > d.divided {
		d.took, d.divided, d.credit = false, 0, 0
	}

	begun, proved := time.Now(), false
	for failures := 1; ; failures++ {
		if err := d.inbox.begin(ctx, last); err != nil {
			return err
		}
		count, first := len(waiting(batch)), waiting(batch)[0].n.ID
		failure, err := d.hand(ctx, batch)
		if err != nil {
			return err
		}
		if failure == nil {
			d.failing.AddOver(d.log.Info()).Int("notifications", count).Str("alert", first).Int("try", failures).Msg("notified")
			if d.divided > 0 {
				d.size = min(2*d.size, d.limitSize())
			}
			return d.finish(ctx, batch)
		}
		if err := d.inbox.failed(ctx, last, failure); err != nil {
			return err
		}

		asked, alone := false, false
		if !proved && d.isToAsk(failure, len(waiting(batch)), failures, time.Since(begun)) {
			asked = true
			failure, proved, alone, err = d.ask(ctx, waiting(batch), failure, failures)
			if err != nil {
				return err
			}
		}
		left := waiting(batch)
		switch one := len(left) == 1; {
		case len(left) == 0:
			return d.finish(ctx, batch)
		case notify.IsOutage(failure):
			d.took, d.credit, proved = false, 0, false
		case !one && (d.took || d.trusted()):
			d.divide(failure, left, last)
			return nil
		case one && proved && asked:
			continue // once more before the verdict: it may just have come back
		case one && (proved || failures > 1 && d.trusted() || alone && d.took && failures > d.times.patience):
			return d.setAside(ctx, batch, left[0], failure)
		}
		if proved, err = d.pause(ctx, left, failure, failures); err != nil {
			return err
		}
	}
}

// maxCredit is how many notifications are set aside for one that was taken: few, since
// the receiver may have gone since.
const maxCredit = 8

// trusted reports whether something was taken so lately that another proof is not
// needed.
func (d *delivery) trusted() bool {
	return d.credit > 0 && time.Since(d.credited) < d.times.trust
}

// taken notes that the receiver has taken something.
func (d *delivery) taken() { d.took, d.credit, d.credited = true, maxCredit, time.Now() }

// isToAsk reports whether it is time to find out whether the receiver takes anything
// else than a number of notifications.
func (d *delivery) isToAsk(failure error, count, failures int, since time.Duration) bool {
	switch {
	case notify.IsOutage(failure), d.took && count > 1:
		return false
	case notify.IsPermanent(failure), isTimeout(failure) && count > 1, d.took && failures > 1:
		return true
	}
	return failures >= d.times.patience || since >= d.times.patienceFor
}

func isTimeout(failure error) bool { return errors.Is(failure, context.DeadlineExceeded) }

// waiting are those of a batch that are not done.
func waiting(batch []*item) (left []*item) {
	for _, it := range batch {
		if it.waits() {
			left = append(left, it)
		}
	}
	return left
}

// hand gives a batch to the receiver. What it has taken although it failed is done.
// err says that this delivery has to begin again.
func (d *delivery) hand(ctx context.Context, batch []*item) (failure, err error) {
	if err := d.held(); err != nil {
		return nil, err
	}
	left := waiting(batch)
	failure = d.notify(ctx, notifications(left))
	if failure == nil {
		d.taken()
		d.inbox.took(time.Now().UTC(), madeOf(left...)...)
		return nil, nil
	}

	var done []uint64
	for _, i := range notify.Taken(failure) {
		d.inbox.took(time.Now().UTC(), madeOf(left[i])...)
		left[i].n = nil
		done = append(done, left[i].seq)
	}
	if len(done) > 0 {
		d.taken()
		d.log.Info().Int("notifications", len(done)).Int("left", len(left)-len(done)).Msg("notified of a part")
		if err := d.inbox.ahead(ctx, done...); err != nil {
			return nil, err
		}
	}
	return failure, ctx.Err()
}

// divide leaves a batch to be sent in halves.
func (d *delivery) divide(failure error, left []*item, last uint64) {
	d.divided = max(d.divided, last)
	d.size = len(left) / 2
	if isTimeout(failure) {
		d.most, d.tooSlow = d.size, time.Now()
	}
	d.dividing.Log(d.log, failure).Int("notifications", len(left)).Msg("batch is not taken although others are; trying it in halves")
}

// limitSize is how big a batch may be.
func (d *delivery) limitSize() int {
	if time.Since(d.tooSlow) > tooSlowFor {
		d.most = d.biggest
	}
	return d.most
}

// setAside parks the only notification that is left of a batch: the receiver takes
// others and not this one.
func (d *delivery) setAside(ctx context.Context, batch []*item, it *item, reason error) error {
	if err := d.park(ctx, it.raw, it.seq, reason); err != nil {
		return err
	}
	if isTimeout(reason) {
		d.most = d.biggest // it was this one, and not how many there were
	}
	it.n, d.took, d.size = nil, false, d.limitSize()
	d.credit--
	if n := len(waiting(batch)); n > 0 { // they would be acknowledged
		return fmt.Errorf("%d notifications of a batch wait that is finished: they are read again", n)
	}
	return d.finish(ctx, batch)
}

// pause waits until the next try. A notification that comes meanwhile ends an outage's
// pause, and is tried at once, alone, after any other failure: but no sooner than
// spacing after the last try, and not if the receiver has asked to be left alone. It
// reports whether that one was taken.
func (d *delivery) pause(ctx context.Context, left []*item, failure error, failures int) (took bool, err error) {
	wait := d.times.again(failures, failure)
	d.failing.Log(d.log, failure).Int("notifications", len(left)).Int("try", failures).Dur("again_in_ms", wait.Round(time.Millisecond)).Msg("notifications could not be delivered")
	until := time.Now().Add(wait)
	if _, asked := notify.RetryAfter(failure); asked || d.inbox.old {
		return false, health.Sleep(ctx, wait)
	}

	for {
		soonest := time.Now().Add(d.times.spacing)
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
		first := d.firstOf(came.n.Data.Incident)
		if slices.Contains(left, first) {
			continue // what is about the same alert waits with it
		}
		if failure, err := d.alone(ctx, first); err != nil || failure == nil {
			return err == nil, err
		}
	}
}

// listen returns the first notification that comes, nil if none does up to a time.
func (d *delivery) listen(ctx context.Context, until time.Time) (*item, error) {
	for time.Now().Before(until) {
		if len(d.rest) >= maxBatch || d.bytes() >= maxBatchBytes {
			return nil, health.Sleep(ctx, time.Until(until))
		}
		msgs, err := d.inbox.next(ctx, min(time.Until(until), d.times.idle))
		if err != nil {
			return nil, err
		}
		before := len(d.rest)
		if err := d.add(ctx, msgs); err != nil {
			return nil, err
		}
		if came := waiting(d.rest[before:]); len(came) > 0 {
			return came[0], nil
		}
	}
	return nil, nil
}

// ask finds out whether the receiver takes anything else, when it may be asked: took
// says so, alone that there is nothing else to ask with. It returns the failure that
// says when to try again.
func (d *delivery) ask(ctx context.Context, left []*item, failure error, failures int) (_ error, took, alone bool, err error) {
	if _, asked := notify.RetryAfter(failure); asked {
		if err := health.Sleep(ctx, d.times.again(failures, failure)); err != nil {
			return nil, false, false, err
		}
	}
	tries, other, err := d.probe(ctx, left)
	if _, asked := notify.RetryAfter(other); asked || notify.IsOutage(other) {
		failure = other
	}
	return failure, tries > 0 && other == nil, tries == 0, err
}
