package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/health"
	"supernats/schema/stream"
)

const (
	// queueLook is how often it is looked whether a queue has been made after all.
	queueLook = 5 * time.Second
	// queuePatience is how long the making of a queue may take, and fail, until events
	// are read without it: where the right is missing, the server does not answer.
	queuePatience = 5 * time.Second
)

// createQueue makes the queue of a receiver; begun is when that was tried first. An
// account may allow fewer consumers than there are receivers, or this one not at all: that
// holds up no event and no other receiver. It is written down where the queue has to
// begin, so that nothing is lost to the receiver that is stored from now on; the delivery
// tries again by itself.
func (a *App) createQueue(ctx context.Context, d *delivery, begun time.Time) error {
	trying, cancel := context.WithTimeout(ctx, queuePatience)
	defer cancel()
	why := d.Create(trying)
	full := errors.Is(why, jetstream.ErrMaximumConsumersLimit)
	switch {
	case why == nil, ctx.Err() != nil, errors.Is(why, health.ErrBroken), !d.js.Conn().IsConnected():
		return why
	case !full && time.Since(begun) < queuePatience:
		return why
	}
	if err := d.held(); err != nil {
		return err
	}
	if err := d.inbox.beginLater(ctx); err != nil {
		return err
	}

	reason := fmt.Sprint(why)
	if errors.Is(why, context.DeadlineExceeded) {
		reason = "the server does not answer, as it does where the right is missing"
	}
	cause := "queue of " + d.to.Name()
	missing := func() {
		if full {
			a.health.Raise(cause, fmt.Sprintf("receiver %s is not notified: this NATS account allows no more consumers of stream %s", d.to.Name(), stream.Alerts),
				"raise max_consumers of the account (nsc edit account --js-consumer), or remove a consumer or a receiver: nats consumer ls "+stream.Alerts)
			return
		}
		a.health.Raise(cause, fmt.Sprintf("receiver %s is not notified: its consumer %s of stream %s cannot be made: %s", d.to.Name(), d.inbox.name, stream.Alerts, reason),
			fmt.Sprintf("give this NATS user the right to publish $JS.API.CONSUMER.*.%s.%s (the log of nats-server names what it denies); what is for the receiver is kept until then", stream.Alerts, d.inbox.name))
	}
	missing()
	go func() {
		t := time.NewTicker(queueLook)
		defer t.Stop()
		defer a.health.Clear(cause) // at the end of this plan too, and the next one says it again
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
			if have, err := d.inbox.look(ctx, d.js); err == nil && have != nil {
				return
			}
			missing() // the plan before may have cleared it at its end
		}
	}()
	return nil
}

// beginLater makes a queue that cannot be made now begin with what is stored from
// now on, whenever that is.
func (b *inbox) beginLater(ctx context.Context) error {
	if b.positions == nil {
		return fmt.Errorf("bucket %s cannot be opened", stream.LeasesBucket)
	}
	if was, err := b.positions.Get(ctx, b.name); err != nil || was != nil {
		return err
	}
	s, err := b.js.Stream(ctx, b.stream)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", b.stream, err)
	}
	info := s.CachedInfo()
	b.at = position{
		Receiver: b.receiver, Stream: info.Created, Done: info.State.LastSeq, Begin: info.State.LastSeq, Unmade: true, status: b.at.status,
	}
	return b.claim(ctx)
}
