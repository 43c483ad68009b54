package app

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// A bucket from which nothing may be removed keeps no event from being read: it is said,
// and what is too much is removed when it may be.
func TestSurplusThatMayNotBeRemoved(t *testing.T) {
	const right = "$JS.API.STREAM.PURGE.KV_" + stream.StateBucket
	denied := &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{right}}}
	f := newFleet(t)
	f.server.Stop()
	f.server.Change(func(o *server.Options) {
		o.Users = []*server.User{{Username: "all", Password: "all"}, {Username: "daemon", Password: "daemon", Permissions: denied}}
	})
	f.server.Restart()
	as := func(user string) jetstream.JetStream {
		t.Helper()
		nc, err := nats.Connect(f.server.URL, nats.UserInfo(user, user), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	f.js = as("all")
	many := map[string]any{}
	at := schema.Time{Time: time.Now()}
	for i := range 50 {
		s := schema.ProcessRecord{Host: "web1", Group: "api", Process: fmt.Sprint("p", i), State: "RUNNING", Since: at, Updated: at, Boot: "4f0c6d1e2a90b7c3"}
		many[schema.StateKey("web1", "api", s.Process)] = s
	}
	f.put(stream.StateBucket, many)

	v := f.events()
	v.js, v.health, v.surplusEvery = as("daemon"), health.New(zerolog.Nop()), time.Hour
	v.plan.cfg.Limits.ProcessesPerHost = 10
	stop := f.background(func(ctx context.Context) error { return v.run(ctx, func() {}) })
	f.handled(f.publish(f.crash(func(e *schema.Event) { e.Process = "p1" })))
	warnings := v.health.Warnings()
	if len(warnings) != 1 || !strings.Contains(warnings[0].Text, "bucket supervisor_state holds more records") || !strings.Contains(warnings[0].Fix, right) || len(v.health.Failures()) != 0 {
		t.Errorf("it says %+v, and that it cannot work: %+v", warnings, v.health.Failures())
	}
	if n := len(f.keys(stream.StateBucket)); n < 50 {
		t.Errorf("%d records are left", n)
	}
	stop()

	v.js, v.surplusDue, v.surplusEvery = f.js, time.Time{}, time.Hour
	f.background(func(ctx context.Context) error { return v.run(ctx, func() {}) })
	f.until("the others are removed, and nothing is wrong", func() bool {
		return len(f.keys(stream.StateBucket)) <= 11 && len(v.health.Warnings()) == 0
	})
}

// What could not be removed is tried again by itself.
func TestSurplusIsTriedAgain(t *testing.T) {
	f := newFleet(t)
	v := f.events()
	ready := make(chan struct{}, 10)
	f.background(func(ctx context.Context) error {
		return v.run(ctx, func() {
			if v.surplusDue.IsZero() && len(ready) == 0 {
				v.surplusDue = time.Now()
			}
			ready <- struct{}{}
		})
	})
	for range 2 {
		select {
		case <-ready:
		case <-time.After(20 * time.Second):
			t.Fatal("the buckets are not read again")
		}
	}
}

// A right that the daemon does not have is in its log, as the rest is.
func TestRightThatIsMissing(t *testing.T) {
	s := streamtest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "all", Password: "all"},
			{Username: "daemon", Password: "daemon", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$KV." + stream.MutesBucket + ".>"}}}},
		}
	})
	nc, err := nats.Connect(s.URL, nats.UserInfo("all", "all"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	cfg, err := loadText(t, "nats: {url: '"+strings.Replace(s.URL, "://", "://daemon:daemon@", 1)+"'}\nlisten: ''\n")
	if err != nil {
		t.Fatal(err)
	}
	var log buffer
	a, err := New(validPlan(t, cfg), Options{Version: "test", Log: zerolog.New(&log)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	const said = "nats: permissions violation"
	for end := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), said); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log does not say it:\n%s", log.String())
		}
	}
}
