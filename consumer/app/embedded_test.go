package app

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/schema"
	"supernats/schema/stream"
)

// embedded runs a server until stop, with a connection to it.
func embedded(t *testing.T, cfg Embedded, dir string) (js jetstream.JetStream, stop func()) {
	t.Helper()
	c := Default()
	c.Embedded, c.DataDir = cfg, dir
	s, err := startEmbedded(&c, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		s.shutdown()
		t.Fatal(err)
	}
	js, err = jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js, func() {
		nc.Close()
		s.shutdown()
	}
}

func TestEmbeddedRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		listen, dir string
		want        []string
	}{
		"port in use": {
			taken.Addr().String(), t.TempDir(),
			[]string{"on " + taken.Addr().String(), "address already in use", "is another server running there? set nats.url to use it, or embedded.listen"},
		},
		"no directory":     {"127.0.0.1:0", file, []string{file, "not a directory"}},
		"no address":       {"h", t.TempDir(), []string{`embedded.listen "h"`, "missing port"}},
		"no port":          {"127.0.0.1:nats", t.TempDir(), []string{`embedded.listen "127.0.0.1:nats"`, "the port is no number"}},
		"not this machine": {"192.0.2.1:0", t.TempDir(), []string{"on 192.0.2.1:0", "cannot assign requested address"}},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			cfg := Default()
			cfg.Embedded, cfg.DataDir = Embedded{Listen: c.listen, MaxStore: 1 << 20, Insecure: true}, c.dir
			s, err := startEmbedded(&cfg, zerolog.Nop())
			if err == nil {
				s.shutdown()
				t.Fatal("it started")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in: %v", want, err)
				}
			}
			if d := time.Since(begun); d > 10*time.Second {
				t.Errorf("that took %v", d)
			}
		})
	}
}

// What is stored stays, also under a smaller max_store than before.
func TestEmbeddedKeepsItsData(t *testing.T) {
	dir := t.TempDir()
	const n = 100
	for i, size := range []schema.Size{1 << 30, 1 << 30, 64 << 20, 2 << 30} {
		js, stop := embedded(t, Embedded{Listen: "127.0.0.1:0", MaxStore: size}, dir)
		limits := stream.DefaultLimits()
		limits.EventBytes = int64(size)
		if err := stream.EnsureAll(t.Context(), js, limits); err != nil {
			t.Fatalf("run %d: %v", i, err)
		}
		s, err := js.Stream(t.Context(), stream.Events)
		if err != nil {
			t.Fatal(err)
		}
		if have := s.CachedInfo().State.Msgs; have != uint64(i*n) {
			t.Errorf("run %d begins with %d messages", i, have)
		}
		for j := range n {
			if _, err := js.Publish(t.Context(), "supervisor.event.x", []byte(fmt.Sprint(j))); err != nil {
				t.Fatal(err)
			}
		}
		stop()
	}
}

// The whole daemon on a server of its own: ready, and the end of ctx is success.
func TestAppRuns(t *testing.T) {
	cfg := Default()
	cfg.Embedded = Embedded{Listen: "127.0.0.1:0", MaxStore: 16 << 20}
	cfg.DataDir = t.TempDir()
	cfg.Listen = "127.0.0.1:0"
	a, err := New(cfg, Options{Version: "test", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	select {
	case <-a.Ready():
	case err := <-done:
		t.Fatal(err)
	case <-time.After(20 * time.Second):
		t.Fatal("it is not ready")
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
}

func TestNewRefusesSettings(t *testing.T) {
	cfg := Default()
	cfg.NATS.Replicas = 9
	if _, err := New(cfg, Options{Version: "test", Log: zerolog.Nop()}); err == nil || err.Error() != "nats.replicas: found 9, allowed are 1 to 5" {
		t.Errorf("%v", err)
	}
}
