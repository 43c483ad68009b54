package acknowledge

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/inspect"
)

// Web acknowledges alerts for the page, which knows no NATS.
type Web struct {
	// JetStream returns the connection, nil while there is none.
	JetStream func() jetstream.JetStream
}

// Acknowledge says that somebody takes care of an alert for a time; 0: until it is over or
// gets worse.
func (w Web) Acknowledge(ctx context.Context, incident, reason, by string, lasts time.Duration) error {
	return w.send(ctx, Request{Incident: incident, Reason: reason, By: by, For: lasts})
}

// Unacknowledge says that nobody takes care of it any more.
func (w Web) Unacknowledge(ctx context.Context, incident, by string) error {
	return w.send(ctx, Request{Incident: incident, By: by, Withdraw: true})
}

func (w Web) send(ctx context.Context, q Request) error {
	js := w.JetStream()
	if js == nil {
		return errors.New("NATS cannot be reached, so nothing was changed: send it again when NATS is back")
	}
	_, err := Send(ctx, &inspect.Reader{JS: js}, q)
	return err
}
