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

// Acknowledge says that somebody takes care of an alert until a time; the zero time: until
// it is over or gets worse.
func (w Web) Acknowledge(ctx context.Context, incident, reason, by string, until time.Time) error {
	q := Request{Incident: incident, Reason: reason, By: by}
	if !until.IsZero() {
		if q.For = time.Until(until); q.For <= 0 {
			return errors.New("until: the time is over already")
		}
	}

	js := w.JetStream()
	if js == nil {
		return errors.New("NATS cannot be reached: /readyz says why")
	}
	_, err := Send(ctx, &inspect.Reader{JS: js}, q)
	return err
}
