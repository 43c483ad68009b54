package app

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

// rosterTimeout is how long the server may take to store the roster.
const rosterTimeout = 5 * time.Second

// rosterKey is the key of roster in the bucket of leases.
const rosterKey = "receivers"

// roster says to whom the active instance delivers: a receiver that was taken out of
// the configuration has a queue all the same.
type roster struct {
	Instance string      `json:"instance"`
	Since    schema.Time `json:"since"`
	// Receivers are their names with the addresses: "mail/ops@example.com".
	Receivers []string `json:"receivers"`
}

// publishRoster writes the receivers of a plan.
func (a *App) publishRoster(ctx context.Context, js jetstream.JetStream, p *plan) error {
	r := roster{Instance: a.instance, Since: schema.Time{Time: time.Now().UTC()}, Receivers: []string{}}
	for _, to := range p.receivers {
		r.Receivers = append(r.Receivers, to.Name())
	}
	b, err := schema.Marshal(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, rosterTimeout)
	defer cancel()
	_, err = js.Publish(ctx, stream.KeySubject(js, stream.LeasesBucket, rosterKey), b)
	return err
}
