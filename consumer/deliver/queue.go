package deliver

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
	// queueLook is how often to check whether a missing queue exists by now.
	queueLook = 5 * time.Second
	// queuePatience is how long creating a queue may take, and fail, before events are read
	// without it. Where the right is missing, the server does not answer.
	queuePatience = 5 * time.Second
)

// CreateSoon creates the queue of a receiver; begun is when that was tried first. The account
// may allow fewer consumers than there are receivers, or deny this one. That must not delay
// any event or any other receiver: CreateSoon records where the queue has to begin, so that
// the receiver misses nothing that is stored from now on, and raises a trouble in
// Options.Health until the queue exists. Run keeps trying to create it.
func (d *Delivery) CreateSoon(ctx context.Context, begun time.Time) error {
	trying, cancel := context.WithTimeout(ctx, queuePatience)
	defer cancel()
	reason := d.Create(trying)
	isFull := errors.Is(reason, jetstream.ErrMaximumConsumersLimit)
	switch {
	case reason == nil, ctx.Err() != nil, errors.Is(reason, health.ErrBroken), !d.js.Conn().IsConnected():
		return reason
	case !isFull && time.Since(begun) < queuePatience:
		return reason
	}

	if err := d.options.Held(); err != nil {
		return err
	}
	if err := d.inbox.BeginLater(ctx); err != nil {
		return err
	}

	m := missingQueue{
		health: d.options.Health, exists: d.inbox.Exists,
		receiver: d.to.Name(), consumer: d.inbox.Name(), reason: reason, isFull: isFull,
	}
	m.raise()
	go m.watch(ctx)
	return nil
}

// missingQueue is the trouble that a queue cannot be created.
type missingQueue struct {
	health *health.Health
	exists func(ctx context.Context) (bool, error)

	receiver, consumer string
	reason             error
	isFull             bool // the account allows no more consumers
}

func (m *missingQueue) cause() string { return "queue of " + m.receiver }

func (m *missingQueue) raise() {
	who := fmt.Sprintf("receiver %s is not notified: ", m.receiver)
	if m.isFull {
		m.health.Raise(m.cause(),
			who+"this NATS account allows no more consumers of stream "+stream.Alerts,
			"raise max_consumers of the account (nsc edit account --js-consumer), or remove a consumer or a receiver: "+
				"nats consumer ls "+stream.Alerts)
		return
	}

	why := m.reason.Error()
	if errors.Is(m.reason, context.DeadlineExceeded) {
		why = "the server does not answer, as it does where the right is missing"
	}
	right := fmt.Sprintf("$JS.API.CONSUMER.*.%s.%s", stream.Alerts, m.consumer)
	m.health.Raise(m.cause(),
		who+fmt.Sprintf("its consumer %s of stream %s cannot be made: %s", m.consumer, stream.Alerts, why),
		"give this NATS user the right to publish "+right+" (the log of nats-server names what it denies); "+
			"what is for the receiver is kept until then")
}

// watch clears the trouble when the queue exists, or at the end of ctx; the next
// configuration raises it again.
func (m *missingQueue) watch(ctx context.Context) {
	defer m.health.Clear(m.cause())

	t := time.NewTicker(queueLook)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if exists, err := m.exists(ctx); err == nil && exists {
			return
		}
		m.raise() // the end of the previous configuration may have cleared it
	}
}
