package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
)

// queueLook is how often it is looked whether a queue has been made after all.
const queueLook = 5 * time.Second

// createQueue makes the queue of a receiver. An account may allow fewer consumers
// than there are receivers: that holds up no event and no other receiver. The
// delivery tries again by itself, and begins then with what is stored from now on.
func (a *App) createQueue(ctx context.Context, d *delivery) error {
	err := d.Create(ctx)
	if !errors.Is(err, jetstream.ErrMaximumConsumersLimit) {
		return err
	}
	if err := d.inbox.beginLater(ctx); err != nil {
		return err
	}

	cause := "queue of " + d.to.Name()
	missing := func() {
		a.health.raise(cause, fmt.Sprintf("receiver %s is not notified: this NATS account allows no more consumers of stream %s", d.to.Name(), stream.Alerts),
			"raise max_consumers of the account (nsc edit account --js-consumer), or remove a consumer or a receiver: nats consumer ls "+stream.Alerts)
	}
	missing()
	go func() {
		t := time.NewTicker(queueLook)
		defer t.Stop()
		defer a.health.clear(cause) // at the end of this plan too, and the next one says it again
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
	if was, err := b.positions.Get(ctx, b.name); err != nil || was != nil {
		return err
	}
	s, err := b.js.Stream(ctx, b.stream)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", b.stream, err)
	}
	b.at.Done = s.CachedInfo().State.LastSeq
	b.at.Begin = b.at.Done
	return b.claim(ctx)
}
