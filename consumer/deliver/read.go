package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/deliver/inbox"
	"supernats/consumer/health"
	"supernats/consumer/notify"
	"supernats/schema"
)

// gatherBatch waits until the rate limit allows a batch, and reads what has arrived by then.
func (d *Delivery) gatherBatch(ctx context.Context, msgs []jetstream.Msg) error {
	d.size.reset()
	if err := d.addMessages(ctx, msgs); err != nil {
		return err
	}
	if d.inbox.Resumes() > 0 {
		return d.readResumed(ctx)
	}

	if !d.rest.anyWaits() {
		if err := d.readMore(ctx); err != nil {
			return err
		}
	}
	if !d.rest.anyWaits() {
		return nil
	}
	if err := d.waitForLimit(ctx); err != nil {
		return err
	}
	return d.readMore(ctx)
}

// reportedHold is how long the rate limit holds a batch that is worth a record for people.
const reportedHold = time.Second

// waitForLimit waits until the rate limit allows a batch, and lets people see until when.
func (d *Delivery) waitForLimit(ctx context.Context) error {
	r := d.limiter.Reserve()
	hold := r.Delay()
	if hold >= reportedHold {
		if err := d.inbox.SetLimited(ctx, time.Now().Add(hold)); err != nil {
			r.Cancel()
			return err
		}
	}

	if err := health.Sleep(ctx, r.Delay()); err != nil {
		r.Cancel()
		return err
	}
	return nil
}

// readResumed reads until a batch that was interrupted by a restart is complete.
func (d *Delivery) readResumed(ctx context.Context) error {
	for {
		before := d.rest[len(d.rest)-1]
		if before.seq >= d.inbox.Resumes() || d.rest.isFull() {
			return nil
		}
		if err := d.readMore(ctx); err != nil {
			return err
		}

		last := d.rest[len(d.rest)-1]
		if last != before {
			continue // notifications for other receivers take no room
		}
		meta, err := last.raw.Metadata()
		if err != nil {
			return fmt.Errorf("read a message's metadata: %w", err)
		}
		if meta.NumPending > 0 {
			return inbox.ErrReopen
		}
		return nil
	}
}

// readMore adds what has arrived, up to the size of a batch.
func (d *Delivery) readMore(ctx context.Context) error {
	msgs, err := d.inbox.More(ctx, maxBatch-len(d.rest), maxBatchBytes-d.rest.bytes())
	if err != nil {
		return err
	}
	return d.addMessages(ctx, msgs)
}

// addMessages decodes notifications. One that is unreadable is parked.
func (d *Delivery) addMessages(ctx context.Context, msgs []jetstream.Msg) error {
	for _, raw := range msgs {
		m, err := consumer.NewMessage(raw)
		if err != nil {
			return err
		}
		n, err := decode(m.Subject, m.Data)
		if err != nil {
			if err := d.park(ctx, raw, m.Seq, err); err != nil {
				return err
			}
		} else if d.inbox.IsDone(m.Seq) || !d.isFor(n.Data) {
			n = nil
		}

		it := &item{raw, n, m.Seq}
		if last := len(d.rest) - 1; n == nil && last >= 0 && !d.rest[last].waits() {
			// Acknowledging a message acknowledges all before it. So only the last one that
			// is for other receivers is kept, however long something waits here.
			d.rest[last] = it
			continue
		}
		d.rest = append(d.rest, it)
	}
	return nil
}

// isFor reports whether a notification is for this receiver.
func (d *Delivery) isFor(a *schema.Notification) bool {
	if e, ok := d.to.Receiver.(notify.Expiring); a.Quiet && !(ok && e.Expires()) {
		return false
	}
	return len(a.Notify) == 0 || slices.ContainsFunc(a.Notify, d.to.isCalled)
}

// decode decodes a notification. Anybody who may create a consumer can have it deliver into
// the stream of alerts, so a notification must be about the host of its subject.
func decode(subject string, data []byte) (notification, error) {
	n, err := schema.Unmarshal[*schema.Notification](data)
	switch {
	case err != nil:
		return nil, err
	case n.Data == nil:
		return nil, errors.New("notification has no data")
	case !schema.OfHost(subject, schema.AlertPrefix, n.Data.Host):
		return nil, fmt.Errorf("notification %q of host %q was published on %s", n.ID, n.Data.Host, subject)
	}
	return n, nil
}
