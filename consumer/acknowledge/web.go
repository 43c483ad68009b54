package acknowledge

import (
	"context"
	"errors"
	"net/http"
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
			return refusalOf(Invalid{errors.New("until: the time is over already")})
		}
	}

	js := w.JetStream()
	if js == nil {
		return errors.New("NATS cannot be reached: /readyz says why")
	}
	_, err := Send(ctx, &inspect.Reader{JS: js}, q)
	return refusalOf(err)
}

// Refusal is an error as a page explains it.
type Refusal struct {
	error
	status int
	fix    string
}

// HTTPStatus is the status of the page, Fix what the visitor can do.
func (r Refusal) HTTPStatus() int { return r.status }
func (r Refusal) Fix() string     { return r.fix }

func (r Refusal) Unwrap() error { return r.error }

// refusalOf returns the refusal of an error that is not NATS's, and other errors as they are.
func refusalOf(err error) error {
	switch {
	case errors.As(err, new(Invalid)):
		return Refusal{err, http.StatusUnprocessableEntity, "Go back and change that."}
	case errors.Is(err, ErrNone), errors.Is(err, ErrOver):
		return Refusal{err, http.StatusConflict, "The page of the incident says how it is now."}
	case errors.Is(err, ErrPending):
		return Refusal{err, http.StatusServiceUnavailable, "It need not be sent again."}
	}
	return err
}
