package app

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/schema"
	"supernats/schema/stream"
)

// A host was forgotten and has come back; then the stream is restored from a backup of
// after that. That it was forgotten stands in the stream further on than it was.
func TestForgottenHostThatCameBackOutlivesABackup(t *testing.T) {
	f := newFleet(t)
	stop := f.run()
	f.publish(f.event(schema.ProcessStateRunning))
	f.forget(schema.Forgotten{Host: "web1", Reason: schema.ForgottenByHand})
	f.handled(f.publish(f.event(schema.ProcessStateRunning), f.event(schema.ProcessStateRunning, onHost("db1"))))
	f.until("it has come back", func() bool { return len(f.keys(stream.HostsBucket)) == 2 })
	f.server.Stop()
	backup := f.server.Backup()
	f.server.Restart()
	for range 10 {
		f.until("the stream takes an event", func() bool {
			e := f.event(schema.ProcessStateRunning, onHost("db1"))
			_, err := f.js.Publish(t.Context(), e.Subject(), []byte(f.json(e.Envelope(time.Now()))))
			return err == nil
		})
	}
	f.until("db1 is read", func() bool { return f.host("db1").Seq >= 14 })
	stop()

	f.server.Stop()
	f.server.Restore(backup, stream.Events)
	f.server.Restart()
	f.run()
	f.until("the stream takes an event", func() bool {
		e := f.event(schema.ProcessStateRunning, onHost("db2"))
		_, err := f.js.Publish(t.Context(), e.Subject(), []byte(f.json(e.Envelope(time.Now()))))
		return err == nil
	})
	f.until("reading goes on", func() bool { return len(f.keys(stream.StateBucket)) >= 2 && f.has(stream.HostsBucket, "db2") })
	if !f.has(stream.HostsBucket, "web1") || !f.has(stream.StateBucket, "web1.api.api_00") {
		t.Errorf("hosts %q, processes %q", f.keys(stream.HostsBucket), f.keys(stream.StateBucket))
	}
}

func (f *fleet) has(bucket, key string) bool {
	f.Helper()
	_, err := f.bucket(bucket).Get(f.Context(), key)
	return err == nil
}

// The bucket with the key of signatures is lost after something was published and before
// that was stored: nobody is notified twice.
func TestLostKeyDoublesNothing(t *testing.T) {
	for name, lose := range map[string]func(f *fleet) error{
		"the bucket": func(f *fleet) error {
			if err := f.js.DeleteStream(t.Context(), "KV_"+stream.LeasesBucket); err != nil {
				return err
			}
			return stream.EnsureAll(t.Context(), f.js, stream.DefaultLimits())
		},
		"another key": func(f *fleet) error {
			_, err := f.bucket(stream.LeasesBucket).Put(t.Context(), signatureKey, []byte("another"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			v := f.events()
			for range 2 {
				if err := v.restore(t.Context(), &durableSource{}); err != nil {
					t.Fatal(err)
				}
				n := crashes(3, "a log\n")
				n.At = time.Now()
				if err := v.publish(t.Context(), append(v.take(), n)); err != nil {
					t.Fatal(err)
				}
				v.mutes.stop()
				if err := lose(f); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(f.stored(stream.Alerts)); n != 1 {
				t.Errorf("%d notifications are stored", n)
			}
		})
	}
}

// The records of positions are lost while no daemon runs: who has taken notifications
// before was there before.
func TestReceiverWithoutPositionIsNotNew(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops"}
	d := f.deliver(r)
	f.alert("a", "b")
	f.delivered(r)
	d.stop()
	name := deliveryName(r.name)
	if err := f.bucket(stream.LeasesBucket).Purge(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	d = f.deliver(r)
	f.alert("c")
	f.delivered(r)
	d.stop()

	e, err := f.bucket(stream.LeasesBucket).Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	var at position
	if f.unjson(e.Value(), &at); at.Begin != 0 || at.Done == 0 {
		t.Errorf("%s", e.Value())
	}
	if got := r.got(); len(got) != 3 {
		t.Errorf("delivered are %q", got)
	}
}

// Events are read, and what they change cannot be stored, again and again: that is not
// ready, until it is stored.
func TestReadingWithoutStoringIsNotReady(t *testing.T) {
	f := newFleet(t)
	h := health.New(zerolog.Nop())
	f.background(func(ctx context.Context) error {
		v := f.events()
		v.health = h
		return v.run(ctx, func() {})
	})
	f.handled(f.publish(f.event(schema.ProcessStateRunning)))
	kv := f.bucket(stream.StateBucket)
	stop := f.background(func(ctx context.Context) error {
		for ctx.Err() == nil { // somebody else writes what is ours
			_, _ = kv.Put(ctx, "web1.api.api_00", []byte("{}"))
		}
		return ctx.Err()
	})
	f.until("it is said", func() bool {
		f.publish(f.event(schema.ProcessStateRunning))
		return len(h.Failures()) > 0
	})
	if list := h.Failures(); list[0].Cause != causeEvents {
		t.Errorf("%+v", list)
	}
	stop()
	f.until("it is over", func() bool { return len(h.Failures()) == 0 })
}

// Killed after a notification was published and before that was stored, for long: the
// record says all the same which one of the stream it is.
func TestLatePublishedIsKnownByItsSequence(t *testing.T) {
	f := newFleet(t)
	stored := time.Now().Add(-stream.DuplicateWindow)
	e := f.crash()
	data := []byte(f.json(e.Envelope(stored)))
	src := func() *list {
		return &list{msgs: []jetstream.Msg{message{subject: e.Subject(), data: data, seq: 1, stored: stored}}}
	}
	v := f.events()
	if err := v.restore(t.Context(), &durableSource{}); err != nil {
		t.Fatal(err)
	}
	batch, err := src().Batch(t.Context(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.one(t.Context(), &batch[0]); err != nil {
		t.Fatal(err)
	}
	if err := v.publishPending(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.mutes.stop()
	if n := f.ownAlerts(); len(n) != 1 {
		t.Fatalf("stored are %v", n)
	}

	v = f.events()
	if err := v.restore(t.Context(), &durableSource{}); err != nil {
		t.Fatal(err)
	}
	defer v.mutes.stop()
	_ = v.follow(t.Context(), src(), func() {})
	if n := f.ownAlerts(); len(n) != 1 {
		t.Errorf("stored are %v", n)
	}
	kept, err := f.bucket(stream.AlertsBucket).Get(t.Context(), "unexpected-exit.web1.api.api_00")
	if err != nil {
		t.Fatal(err)
	}
	var a schema.Alert
	if f.unjson(kept.Value(), &a); a.FirstSeq != 1 || a.LastSeq != 1 {
		t.Errorf("%s", kept.Value())
	}
}

// The numbers of messages begin low again where all buckets were lost: what was notified
// before that with higher ones hides nothing that happened after it.
func TestHigherNumbersOfBeforeHideNothing(t *testing.T) {
	f := newFleet(t)
	v := f.events()
	if err := v.restore(t.Context(), &durableSource{}); err != nil {
		t.Fatal(err)
	}
	defer v.mutes.stop()
	before, later := crashes(1, "a log\n"), crashes(1, "a log\n")
	before.At, before.Seq = time.Now(), 5000
	if err := v.publish(t.Context(), append(v.take(), before)); err != nil {
		t.Fatal(err)
	}

	v.skew = time.Hour
	later.ID, later.At, later.Seq = "b/1", time.Now().Add(30*time.Minute), 3
	if err := v.publish(t.Context(), append(v.take(), later)); err != nil {
		t.Fatal(err)
	}
	if n := f.ownAlerts(); len(n) != 2 {
		t.Errorf("stored are %v", n)
	}
}
