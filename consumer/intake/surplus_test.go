package intake

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/schema"
	"supernats/schema/stream"
)

// A bucket from which nothing may be removed keeps no event from being read: a warning says
// so, and what is too much is removed when it may be.
func TestSurplusThatMayNotBeRemoved(t *testing.T) {
	const right = "$JS.API.STREAM.PURGE.KV_" + stream.StateBucket
	denied := &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{right}}}
	f := newFleet(t)
	f.Server.Stop()
	f.Server.Change(func(o *server.Options) {
		o.Users = []*server.User{{Username: "all", Password: "all"}, {Username: "daemon", Password: "daemon", Permissions: denied}}
	})
	f.Server.Restart()
	f.JS = f.Server.As("all", "all")
	many := map[string]any{}
	at := schema.Time{Time: time.Now()}
	for i := range 50 {
		s := schema.ProcessRecord{Host: "web1", Group: "api", Process: fmt.Sprint("p", i), State: "RUNNING", Since: at, Updated: at, Boot: "4f0c6d1e2a90b7c3"}
		many[schema.StateKey("web1", "api", s.Process)] = s
	}
	f.put(stream.StateBucket, many)

	reader := f.reader()
	h := health.New(zerolog.Nop())
	session := f.session()
	session.JetStream, session.Health = f.Server.As("daemon", "daemon"), h
	reader.Begin(session)
	reader.surplus.every = time.Hour
	reader.plan.Limits.Processes = 10
	stop := f.Background(func(ctx context.Context) error { return run(ctx, reader, func() {}) })
	f.WaitHandled(f.Publish(f.Crash(func(e *schema.Event) { e.Process = "p1" })))
	warnings := h.Warnings()
	if len(warnings) != 1 || !strings.Contains(warnings[0].Text, "bucket supervisor_state holds more records") || !strings.Contains(warnings[0].Fix, right) || len(h.Failures()) != 0 {
		t.Errorf("it says %+v, and that it cannot work: %+v", warnings, h.Failures())
	}
	if n := len(f.Keys(stream.StateBucket)); n < 50 {
		t.Errorf("%d records are left", n)
	}
	stop()

	session.JetStream = f.JS
	reader.Begin(session)
	reader.surplus.due = time.Time{}
	f.Background(func(ctx context.Context) error { return run(ctx, reader, func() {}) })
	f.Until("the others are removed, and nothing is wrong", func() bool {
		return len(f.Keys(stream.StateBucket)) <= 11 && len(h.Warnings()) == 0
	})
}

// What could not be removed is tried again by itself.
func TestSurplusIsTriedAgain(t *testing.T) {
	f := newFleet(t)
	reader := f.reader()
	ready := make(chan struct{}, 10)
	f.Background(func(ctx context.Context) error {
		return run(ctx, reader, func() {
			if reader.surplus.due.IsZero() && len(ready) == 0 {
				reader.surplus.due = time.Now()
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
