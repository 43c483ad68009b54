package intake

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/consumer/outbox"
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
	f.Until("reading goes on", func() bool { return len(f.Keys(stream.StateBucket)) >= 2 && f.has(stream.HostsBucket, "db2") })
	if !f.has(stream.HostsBucket, "web1") || !f.has(stream.StateBucket, "web1.api.api_00") {
		t.Errorf("hosts %q, processes %q", f.Keys(stream.HostsBucket), f.Keys(stream.StateBucket))
	}
}

func (f *fleet) has(bucket, key string) bool {
	f.Helper()
	_, err := f.Bucket(bucket).Get(f.Context(), key)
	return err == nil
}

// The bucket with the key of signatures is lost after something was published and before
// that was stored: nobody is notified twice.
func TestLostKeyDoublesNothing(t *testing.T) {
	for name, lose := range map[string]func(f *fleet) error{
		"the bucket": func(f *fleet) error {
			if err := f.JS.DeleteStream(t.Context(), "KV_"+stream.LeasesBucket); err != nil {
				return err
			}
			return stream.EnsureAll(t.Context(), f.JS, stream.DefaultLimits())
		},
		"another key": func(f *fleet) error {
			_, err := f.Bucket(stream.LeasesBucket).Put(t.Context(), outbox.SignatureKey, []byte("another"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			v := f.reader()
			for range 2 {
				if err := v.restore(t.Context(), &source.Events{}); err != nil {
					t.Fatal(err)
				}
				n := crashes(3, "a log\n")
				n.At = time.Now()
				if err := publish(t, v, n); err != nil {
					t.Fatal(err)
				}
				v.silences.Stop()
				if err := lose(f); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(f.Messages(stream.Alerts)); n != 1 {
				t.Errorf("%d notifications are stored", n)
			}
		})
	}
}

// Events are read, and what they change cannot be stored, again and again: that is not
// ready, until it is stored.
func TestReadingWithoutStoringIsNotReady(t *testing.T) {
	f := newFleet(t)
	h := health.New(zerolog.Nop())
	f.Background(func(ctx context.Context) error {
		v := f.reader()
		v.session.Health = h
		return run(ctx, v, func() {})
	})
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateRunning)))
	kv := f.Bucket(stream.StateBucket)
	stop := f.Background(func(ctx context.Context) error {
		for ctx.Err() == nil { // somebody else writes what is ours
			_, _ = kv.Put(ctx, "web1.api.api_00", []byte("{}"))
		}
		return ctx.Err()
	})
	f.Until("it is said", func() bool {
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
	v := f.reader()
	if err := v.restore(t.Context(), &source.Events{}); err != nil {
		t.Fatal(err)
	}
	batch, err := src().Batch(t.Context(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.apply(t.Context(), &batch[0]); err != nil {
		t.Fatal(err)
	}
	if err := v.publishPending(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.silences.Stop()
	if n := f.ownAlerts(); len(n) != 1 {
		t.Fatalf("stored are %v", n)
	}

	v = f.reader()
	if err := v.restore(t.Context(), &source.Events{}); err != nil {
		t.Fatal(err)
	}
	defer v.silences.Stop()
	_ = v.follow(t.Context(), src(), func() {})
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

// The numbers of messages begin low again where all buckets were lost: what was notified
// before that with higher ones hides nothing that happened after it.
func TestHigherNumbersOfBeforeHideNothing(t *testing.T) {
	f := newFleet(t)
	v := f.reader()
	if err := v.restore(t.Context(), &source.Events{}); err != nil {
		t.Fatal(err)
	}
	defer v.silences.Stop()
	before, later := crashes(1, "a log\n"), crashes(1, "a log\n")
	before.At, before.Seq = time.Now(), 5000
	if err := publish(t, v, before); err != nil {
		t.Fatal(err)
	}

	v.clock.skew = time.Hour
	later.ID, later.At, later.Seq = "b/1", time.Now().Add(30*time.Minute), 3
	if err := publish(t, v, later); err != nil {
		t.Fatal(err)
	}
	if n := f.ownAlerts(); len(n) != 2 {
		t.Errorf("stored are %v", n)
	}
}
