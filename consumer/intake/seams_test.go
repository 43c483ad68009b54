package intake

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/consumer/source"
	"supernats/schema"
	"supernats/schema/stream"
)

// A host was forgotten and has come back; then the stream is restored from a backup of
// after that. That it was forgotten stands in the stream further on than it was.
func TestForgottenHostThatCameBackOutlivesABackup(t *testing.T) {
	f := newFleet(t)
	stop := f.read()
	f.Publish(f.Event(schema.ProcessStateRunning))
	f.forget(schema.Forgotten{Host: "web1", Reason: schema.ForgottenByHand})
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateRunning), f.Event(schema.ProcessStateRunning, onHost("db1"))))
	f.Until("it has come back", func() bool { return len(f.Keys(stream.HostsBucket)) == 2 })
	f.Server.Stop()
	backup := f.Server.Backup()
	f.Server.Restart()
	for range 10 {
		f.Until("the stream takes an event", func() bool {
			e := f.Event(schema.ProcessStateRunning, onHost("db1"))
			_, err := f.JS.Publish(t.Context(), e.Subject(), []byte(f.JSON(e.Envelope(time.Now()))))
			return err == nil
		})
	}
	f.Until("db1 is read", func() bool { return f.Host("db1").Seq >= 14 })
	stop()

	f.Server.Stop()
	f.Server.Restore(backup, stream.Events)
	f.Server.Restart()
	f.read()
	f.Until("the stream takes an event", func() bool {
		e := f.Event(schema.ProcessStateRunning, onHost("db2"))
		_, err := f.JS.Publish(t.Context(), e.Subject(), []byte(f.JSON(e.Envelope(time.Now()))))
		return err == nil
	})
	f.Until("reading continues", func() bool { return len(f.Keys(stream.StateBucket)) >= 2 && f.has(stream.HostsBucket, "db2") })
	if !f.has(stream.HostsBucket, "web1") || !f.has(stream.StateBucket, "web1.api.api_00") {
		t.Errorf("hosts %q, processes %q", f.Keys(stream.HostsBucket), f.Keys(stream.StateBucket))
	}
}

func (f *fleet) has(bucket, key string) bool {
	f.Helper()
	_, err := f.Bucket(bucket).Get(f.Context(), key)
	return err == nil
}

// Events are read, and what they change cannot be stored, again and again: that is not
// ready, until it is stored.
func TestReadingWithoutStoringIsNotReady(t *testing.T) {
	f := newFleet(t)
	h := health.New(zerolog.Nop())
	f.Background(func(ctx context.Context) error {
		reader := f.reader()
		reader.session.Health = h
		return run(ctx, reader, func() {})
	})
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateRunning)))
	kv := f.Bucket(stream.StateBucket)
	stop := f.Background(func(ctx context.Context) error {
		for ctx.Err() == nil { // somebody else writes what is ours
			_, _ = kv.Put(ctx, "web1.api.api_00", []byte("{}"))
		}
		return ctx.Err()
	})
	f.Until("it is reported", func() bool {
		f.Publish(f.Event(schema.ProcessStateRunning))
		return len(h.Failures()) > 0
	})
	if list := h.Failures(); list[0].Cause != CauseEvents {
		t.Errorf("%+v", list)
	}
	stop()
	f.Until("it is over", func() bool { return len(h.Failures()) == 0 })
}

// Killed after a notification was published and before that was stored, for long: the
// record says all the same which one of the stream it is.
func TestLatePublishedIsKnownByItsSequence(t *testing.T) {
	f := newFleet(t)
	stored := time.Now().Add(-stream.DuplicateWindow)
	e := f.Crash()
	data := []byte(f.JSON(e.Envelope(stored)))
	src := func() *list {
		return &list{msgs: []jetstream.Msg{message{subject: e.Subject(), data: data, seq: 1, stored: stored}}}
	}
	reader := f.reader()
	if err := reader.restore(t.Context(), &source.Events{}); err != nil {
		t.Fatal(err)
	}
	batch, err := src().Batch(t.Context(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.applyMessage(t.Context(), &batch[0]); err != nil {
		t.Fatal(err)
	}
	if err := reader.publishPending(t.Context()); err != nil {
		t.Fatal(err)
	}
	reader.silences.Stop()
	if n := f.ownAlerts(); len(n) != 1 {
		t.Fatalf("stored are %v", n)
	}

	reader = f.reader()
	if err := reader.restore(t.Context(), &source.Events{}); err != nil {
		t.Fatal(err)
	}
	defer reader.silences.Stop()
	_ = reader.follow(t.Context(), src(), func() {})
	if n := f.ownAlerts(); len(n) != 1 {
		t.Errorf("stored are %v", n)
	}
	kept, err := f.Bucket(stream.AlertsBucket).Get(t.Context(), "unexpected-exit.web1.api.api_00")
	if err != nil {
		t.Fatal(err)
	}
	var a schema.Alert
	if f.Unmarshal(kept.Value(), &a); a.FirstSeq != 1 || a.LastSeq != 1 {
		t.Errorf("%s", kept.Value())
	}
}
