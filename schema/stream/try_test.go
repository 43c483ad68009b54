package stream_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// A server that has met a full disk answers every question as before, and stores
// nothing any more in that stream: until it is started again.
func TestTryWritesAfterAFullDisk(t *testing.T) {
	for name, subject := range map[string]string{
		stream.Events:               "supervisor.event.x",
		stream.Alerts:               "supervisor.alert.x",
		stream.Parked:               stream.ParkedSubject("x"),
		"KV_" + stream.StateBucket:  "$KV." + stream.StateBucket + ".a.b.c",
		"KV_" + stream.AlertsBucket: "$KV." + stream.AlertsBucket + ".a.b.c.d",
		"KV_" + stream.MutesBucket:  "$KV." + stream.MutesBucket + ".a",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := streamtest.Start(t)
			js := s.JetStream()
			limits := stream.Limits{Replicas: 1, EventBytes: 32 << 20}
			for _, n := range []*schema.Size{
				&limits.Sizes.Alerts, &limits.Sizes.Parked, &limits.Sizes.StateBucket, &limits.Sizes.AlertsBucket,
				&limits.Sizes.MutesBucket,
			} {
				*n = 16 << 20
			}
			if err := stream.EnsureAll(t.Context(), js, limits); err != nil {
				t.Fatal(err)
			}
			if err := stream.TryWrites(t.Context(), js); err != nil {
				t.Fatalf("before: %v", err)
			}

			streamtest.FailWrite(t, js, s.Store(), name, subject)
			var refusal *stream.WriteError
			for end := time.Now().Add(10 * time.Second); refusal == nil && time.Now().Before(end); {
				if err := stream.TryWrite(t.Context(), js, name); err != nil && !errors.As(err, &refusal) {
					t.Fatalf("%v", err)
				}
			}
			if refusal == nil || refusal.Stream != name || refusal.Full {
				t.Fatalf("after a full disk: %+v", refusal)
			}

			s.Stop()
			s.Restart()
			js = s.JetStream()
			if _, err := js.Publish(t.Context(), subject, nil); err != nil {
				t.Errorf("after a restart: %v", err)
			}
			if err := stream.TryWrites(t.Context(), js); err != nil {
				t.Errorf("after a restart: %v", err)
			}
		})
	}
}

// A try leaves nothing that anybody reads, and at most one mark in each bucket.
func TestTryWritesLeavesNothing(t *testing.T) {
	js := streamtest.Start(t).JetStream()
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for _, name := range stream.Names() {
			if err := stream.TryWrite(t.Context(), js, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range stream.Names() {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		want := uint64(0)
		if strings.HasPrefix(name, "KV_") {
			want = 1
		}
		if n := s.CachedInfo().State.Msgs; n != want {
			t.Errorf("%s has %d messages, not %d", name, n, want)
		}
	}
	kv, err := js.KeyValue(t.Context(), stream.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := kv.Keys(t.Context()); !errors.Is(err, jetstream.ErrNoKeysFound) {
		t.Errorf("keys %q, %v", keys, err)
	}
}

// A bucket that refuses what is too much is full, which no restart changes.
func TestTryWritesOfAFullBucket(t *testing.T) {
	js := streamtest.Start(t).JetStream()
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{
		Bucket: stream.StateBucket, MaxBytes: 1 << 10, History: 1,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{
		Subject: "$KV." + stream.StateBucket + ".a.b.c", Data: make([]byte, 940),
	}); err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), "KV_"+stream.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	var refusal *stream.WriteError
	for end := time.Now().Add(20 * time.Second); refusal == nil && time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		_ = errors.As(stream.TryWrites(t.Context(), js), &refusal)
	}
	if refusal == nil || !refusal.Full {
		t.Errorf("%v, with %d bytes", refusal, s.CachedInfo().State.Bytes)
	}
}

// Who may not write a bucket learns nothing about it, and does not say that it is broken.
func TestTryWriteOfWhoMayNot(t *testing.T) {
	s := streamtest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "all", Password: "p"},
			{
				Username: "few", Password: "p",
				Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{"$JS.API.>"}}},
			},
		}
	})
	if _, err := s.As("all", "p").CreateKeyValue(t.Context(), jetstream.KeyValueConfig{
		Bucket: stream.MutesBucket,
	}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := stream.TryWrite(t.Context(), s.As("few", "p"), "KV_"+stream.MutesBucket); err != nil {
			t.Error(err)
		}
	}
}
