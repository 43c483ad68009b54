package publish

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"supernats/bridge/publish/publishtest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// Run returns at once when its context ends, wherever it waits: supervisord
// gives a listener ten seconds.
func TestContextEnds(t *testing.T) {
	const most = 2 * time.Second // less than any of the time-outs that could be waited for
	prompt := func(t *testing.T, r *running) {
		t.Helper()
		begin := time.Now()
		r.cancel()
		if err := r.wait(t); !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(begin); took > most {
			t.Errorf("it took %v", took)
		}
	}
	t.Run("before it began", func(t *testing.T) {
		p, err := New(config("nats://127.0.0.1:1", numbered(1)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := p.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	t.Run("no server", func(t *testing.T) {
		r := start(t, "nats://127.0.0.1:1", numbered(1))
		r.log.wait(t, "connect to NATS")
		prompt(t, r)
	})
	t.Run("a silent server", func(t *testing.T) {
		url, accepted := silent(t, "127.0.0.1:0")
		r := start(t, url, numbered(1))
		<-accepted
		prompt(t, r)
	})
	t.Run("a server that has fallen silent", func(t *testing.T) {
		src := numbered(2).allow(1)
		s := streamtest.Start(t)
		r := start(t, s.URL, src)
		src.waitAcked(t, 1)
		s.Stop()
		_, accepted := silent(t, strings.TrimPrefix(s.URL, "nats://"))
		<-accepted
		src.allow(2)
		prompt(t, r)
	})
	t.Run("nothing to publish", func(t *testing.T) {
		src := numbered(2).allow(1)
		r := start(t, streamtest.Start(t).URL, src)
		src.waitAcked(t, 1)
		prompt(t, r)
	})
	t.Run("no acknowledgement", func(t *testing.T) {
		s := streamtest.Start(t)
		var got atomic.Int32
		all := make(chan struct{})
		publishtest.Respond(t, s.URL, func(i int, m *nats.Msg) {
			switch got.Add(1) {
			case 1: // the window opens after it
				_ = m.Respond(publishtest.Ack(stream.Events, i))
			case 100:
				close(all)
			}
		})
		r := start(t, s.URL, numbered(100), func(c *Config) { c.Ensure = noStream })
		<-all
		prompt(t, r)
	})
	t.Run("no acknowledgement at all", func(t *testing.T) {
		s := streamtest.Start(t)
		first := make(chan struct{})
		publishtest.Respond(t, s.URL, func(i int, _ *nats.Msg) {
			if i == 0 {
				close(first)
			}
		})
		r := start(t, s.URL, numbered(100), func(c *Config) { c.Ensure = noStream })
		<-first
		prompt(t, r)
	})
	t.Run("in the pause after an error", func(t *testing.T) {
		src := numbered(1)
		src.fail = func(string) error { return errors.New("disk is gone") }
		r := start(t, streamtest.Start(t).URL, src)
		src.wait(t, func() bool { return src.rewinds >= 3 })
		prompt(t, r)
	})
}

// silent accepts connections and sends nothing, like a server behind a firewall.
func silent(t *testing.T, address string) (url string, accepted <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := make(chan struct{}, 100)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			c <- struct{}{}
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return "nats://" + l.Addr().String(), c
}
