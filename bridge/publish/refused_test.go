package publish

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// refusals is a publisher that a server refuses for a while, until mended is
// called: it says so once, with what mends it, loses nothing and ends by itself.
func refusals(t *testing.T, r *running, says string, mended func()) {
	t.Helper()
	r.log.wait(t, says)
	time.Sleep(500 * time.Millisecond) // it is tried a few times
	mended()
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	logged(t, r, says, 1)
	logged(t, r, "getting into JetStream again", 1)
}

func TestStreamFull(t *testing.T) {
	for name, limit := range map[string]func(*jetstream.StreamConfig){
		"messages": func(c *jetstream.StreamConfig) { c.MaxMsgs = 100 },
		"bytes":    func(c *jetstream.StreamConfig) { c.MaxBytes = 10_000 },
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			s := streamtest.Start(t)
			js := s.JetStream()
			c := stream.EventsConfig(stream.DefaultLimits(), 1)
			c.Discard = jetstream.DiscardNew
			limit(&c)
			if _, err := js.CreateStream(ctx, c); err != nil {
				t.Fatal(err)
			}
			r := start(t, s.URL, numbered(1000), func(c *Config) { c.Ensure = noStream })
			refusals(t, r, "nats stream edit SUPERVISOR --max-bytes", func() {
				c.MaxMsgs, c.MaxBytes = -1, -1
				if _, err := js.UpdateStream(ctx, c); err != nil {
					t.Fatal(err)
				}
			})
			if diff := cmp.Diff(numbers(0, 1000), texts(stored(t, js))); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
}

// A server without JetStream is told apart from one without the stream.
func TestJetStreamNotEnabled(t *testing.T) {
	dir := t.TempDir()
	s := streamtest.Start(t, func(o *server.Options) { o.JetStream = false })
	_, text, _ := net.SplitHostPort(strings.TrimPrefix(s.URL, "nats://"))
	port, _ := strconv.Atoi(text)
	r := start(t, s.URL, numbered(100))
	var js jetstream.JetStream
	refusals(t, r, "enable JetStream: nats-server -js", func() {
		s.Stop()
		js = streamtest.Start(t, func(o *server.Options) { o.Port, o.StoreDir = port, dir }).JetStream()
	})
	if diff := cmp.Diff(numbers(0, 100), texts(stored(t, js))); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// What the server does not permit is told at once, by its name: the answer to a
// message that was denied is silence.
func TestPermissionDenied(t *testing.T) {
	for name, tc := range map[string]struct {
		may  server.Permissions
		says string
	}{
		"publish": {server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"supervisor.event.web1.>"}}}, subject},
		"inbox":   {server.Permissions{Subscribe: &server.SubjectPermission{Deny: []string{"_INBOX.>"}}}, "Subscription to"},
	} {
		t.Run(name, func(t *testing.T) {
			s := streamtest.Start(t, func(o *server.Options) {
				o.Users = []*server.User{
					{Username: "admin", Password: "admin"},
					{Username: "host", Password: "host", Permissions: &tc.may},
				}
				o.NoAuthUser = "admin"
			})
			js := s.JetStream()
			if err := stream.EnsureEvents(context.Background(), js, stream.DefaultLimits()); err != nil {
				t.Fatal(err)
			}
			src := numbered(100)
			begun := time.Now()
			r := start(t, strings.Replace(s.URL, "nats://", "nats://host:host@", 1), src, func(c *Config) { c.Ensure = noStream })
			r.log.wait(t, "allow this user to publish")
			if took := time.Since(begun); took > ackTimeout/2 {
				t.Errorf("told after %v", took)
			}
			time.Sleep(500 * time.Millisecond)
			logged(t, r, tc.says, 1)
			logged(t, r, "allow this user to publish", 1)
			if _, acked, rewinds := src.count(); acked > 0 || rewinds < 1 {
				t.Errorf("%d records are acknowledged, %d tries", acked, rewinds)
			}
		})
	}
}

// A stream that takes small messages only gets parts; what cannot be divided
// waits until it takes larger ones.
func TestTooBig(t *testing.T) {
	ctx := context.Background()
	s := streamtest.Start(t)
	js := s.JetStream()
	c := stream.EventsConfig(stream.DefaultLimits(), 1)
	c.MaxMsgSize = 5000
	if _, err := js.CreateStream(ctx, c); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 20_000)
	src := newSource("small", "divided "+big, "tiny", "whole "+big, "last").allow(2)
	r := start(t, s.URL, src, func(c *Config) {
		c.Ensure = noStream
		c.Encode = func(rec []byte, limit int) ([]*nats.Msg, error) {
			if len(rec) <= limit-500 {
				return []*nats.Msg{message(string(rec[:4]), rec)}, nil
			}
			if rec[0] != 'd' {
				return nil, fmt.Errorf("record of %d bytes for messages of %d", len(rec), limit)
			}
			var msgs []*nats.Msg
			for i := 0; i < len(rec); i += limit - 500 {
				msgs = append(msgs, message(fmt.Sprint("part", i), rec[i:min(len(rec), i+limit-500)]))
			}
			return msgs, nil
		}
	})
	src.waitAcked(t, 2)
	src.allow(4)
	r.log.wait(t, "for messages of")
	src.allow(5)
	logged(t, r, "--max-msg-size=-1", 2) // once for either record
	c.MaxMsgSize = -1
	if _, err := js.UpdateStream(ctx, c); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(texts(stored(t, js)), ""), "smalldivided "+big+"tinywhole "+big+"last"; got != want {
		t.Errorf("stored %.100s… of %d bytes, want %.100s… of %d", got, len(got), want, len(want))
	}
}
