package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/schema"
)

// gather waits until something may be sent, and reads what is there by then.
func (d *delivery) gather(ctx context.Context, msgs []jetstream.Msg) error {
	d.size = d.limitSize()
	if err := d.add(ctx, msgs); err != nil {
		return err
	}
	resuming := d.inbox.resumes() > 0
	if resuming {
		return d.whole(ctx)
	}
	if !d.wanted() {
		if err := d.grow(ctx); err != nil {
			return err
		}
	}
	if !d.wanted() {
		return nil
	}
	if err := d.limiter.Wait(ctx); err != nil {
		return err
	}
	return d.grow(ctx)
}

// whole reads on until a batch that is to be sent again is there as it was.
func (d *delivery) whole(ctx context.Context) error {
	for {
		before := d.rest[len(d.rest)-1]
		if before.seq >= d.inbox.resumes() || len(d.rest) >= maxBatch || d.bytes() >= maxBatchBytes {
			return nil
		}
		if err := d.grow(ctx); err != nil {
			return err
		}
		last := d.rest[len(d.rest)-1]
		if last != before {
			continue // what is for others takes no room
		}
		meta, err := last.raw.Metadata()
		if err != nil {
			return fmt.Errorf("read a message's metadata: %w", err)
		}
		if meta.NumPending > 0 {
			return errReopen
		}
		return nil
	}
}

// waits reports whether there is something to be sent.
func (i *item) waits() bool { return i.n != nil }

func (d *delivery) wanted() bool {
	return slices.ContainsFunc(d.rest, (*item).waits)
}

// grow adds what is there now, up to the size of a batch.
func (d *delivery) grow(ctx context.Context) error {
	msgs, err := d.inbox.more(ctx, maxBatch-len(d.rest), maxBatchBytes-d.bytes())
	if err != nil {
		return err
	}
	return d.add(ctx, msgs)
}

func (d *delivery) bytes() (size int) {
	for _, it := range d.rest {
		size += len(it.raw.Data())
	}
	return size
}

// add decodes notifications. What nobody can read is parked.
func (d *delivery) add(ctx context.Context, msgs []jetstream.Msg) error {
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
		} else if d.inbox.isDone(m.Seq) || len(n.Data.Notify) > 0 && !slices.ContainsFunc(n.Data.Notify, d.to.called) {
			n = nil
		}
		it := &item{raw, n, m.Seq, m.Stored}
		if last := len(d.rest) - 1; n == nil && last >= 0 && !d.rest[last].waits() && !d.inbox.old {
			// An acknowledgement is one of all before it: what is for others takes no
			// room, however long something waits here.
			d.rest[last] = it
			continue
		}
		d.rest = append(d.rest, it)
	}
	d.setOldest(d.rest)
	return nil
}

// decode reads a notification. Whoever may have a consumer may have it deliver
// into the stream of alerts: what is not about its subject is none.
func decode(subject string, data []byte) (*schema.CloudEvent[*schema.Notification], error) {
	n, err := schema.Unmarshal[*schema.Notification](data)
	if err == nil && n.Data == nil {
		err = errors.New("notification has no data")
	}
	if err == nil && !schema.OfHost(subject, schema.AlertPrefix, n.Data.Host) {
		err = fmt.Errorf("notification %q of host %q was published on %s", n.ID, n.Data.Host, subject)
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}
