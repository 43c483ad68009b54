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

// publishRoster records the receivers of a plan, for people: commands show who is notified.
func (a *App) publishRoster(ctx context.Context, js jetstream.JetStream, p *plan) error {
	r := stream.RosterRecord{
		Instance: a.instance, Since: schema.Time{Time: time.Now().UTC()},
		Receivers: append([]string{}, p.receiverNames()...),
	}
	b, err := schema.Marshal(r)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, rosterTimeout)
	defer cancel()
	_, err = js.Publish(ctx, stream.KeySubject(js, stream.LeasesBucket, stream.RosterKey), b)
	return err
}
