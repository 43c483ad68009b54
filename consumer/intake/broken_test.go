package intake

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/alerts"
	"supernats/consumer/health"
	"supernats/consumer/records"
	"supernats/consumer/source"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// A bucket vanishes after it was seen that none has, and before it is read: what it held
// is in memory, and is not given up for the nothing that is there.
func TestRecordsThatVanishBeforeTheyAreRead(t *testing.T) {
	f := newFleet(t)
	stop := f.read()
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateRunning)))
	stop()
	reader := f.reader()
	if err := reader.restore(t.Context(), &source.Events{}); err != nil {
		t.Fatal(err)
	}
	reader.silences.Stop()

	if err := f.JS.DeleteStream(t.Context(), "KV_"+stream.StateBucket); err != nil {
		t.Fatal(err)
	}
	if err := stream.EnsureAll(t.Context(), f.JS, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	if err := reader.restore(t.Context(), &source.Events{}); !errors.Is(err, records.ErrRestored) {
		t.Fatalf("an empty bucket is read: %v", err)
	}
	if err := errors.Join(reader.rewriteVanished(t.Context(), false), reader.restore(t.Context(), &source.Events{})); err != nil {
		t.Fatal(err)
	}
	reader.silences.Stop()
	if !f.has(stream.StateBucket, "web1.api.api_00") {
		t.Error("the record is not written again")
	}
	n := 0
	for range reader.machine.Fleet.States() {
		n++
	}
	if n != 1 {
		t.Errorf("%d processes are in memory", n)
	}
}

// What was asked over a connection that broke is never answered: nobody waits for it.
func TestQuestionsEndWithTheConnection(t *testing.T) {
	f := newFleet(t)
	var reader *Reader
	for name, ask := range map[string]func(ctx context.Context) error{
		"storing a notification":  func(ctx context.Context) error { return reader.publishPending(ctx) },
		"the records of a fleet":  func(ctx context.Context) error { return reader.restore(ctx, &source.Events{}) },
		"are the buckets as were": func(ctx context.Context) error { _, err := reader.isOther(ctx); return err },
	} {
		t.Run(name, func(t *testing.T) {
			p := streamtest.NewProxy(t, f.JS.Conn().ConnectedAddr())
			patient, err := jetstream.New(p.JetStream().Conn(), jetstream.WithDefaultTimeout(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			reader = f.reader()
			session := f.session()
			session.JetStream = patient
			reader.Begin(session)
			if err := reader.restore(t.Context(), &source.Events{}); err != nil {
				t.Fatal(err)
			}
			defer reader.silences.Stop()
			note := crashes(1, "a log\n")
			note.At = time.Now().Add(-time.Hour) // the stream is asked whether it is there
			reader.outbox.Add([]alerts.Notification{note})
			reader.store.looked = time.Time{}

			p.SetFault(streamtest.Stalled)
			time.AfterFunc(50*time.Millisecond, p.Cut)
			if err := ask(t.Context()); !errors.Is(err, health.ErrBroken) && !errors.Is(err, nats.ErrDisconnected) {
				t.Errorf("%v", err)
			}
		})
	}
}
