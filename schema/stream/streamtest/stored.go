package streamtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Stored reads what a stream holds now of some subjects, or of all, in its order: nothing if
// there is no such stream.
func Stored(tb testing.TB, js jetstream.JetStream, name string, subjects ...string) (msgs []jetstream.Msg) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{FilterSubjects: subjects})
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil
	case err != nil:
		tb.Fatal(err)
	}

	defer func() { // callers ask again and again, and the server keeps a consumer for minutes
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = js.DeleteConsumer(ctx, name, c.CachedInfo().Name)
	}()
	for n := int(c.CachedInfo().NumPending); len(msgs) < n; {
		batch, err := c.Fetch(min(n-len(msgs), 5000), jetstream.FetchMaxWait(10*time.Second))
		if err != nil {
			tb.Fatal(err)
		}
		for m := range batch.Messages() {
			msgs = append(msgs, m)
		}
		if batch.Error() != nil {
			tb.Fatal(batch.Error())
		}
	}
	return msgs
}
