package embedded

import (
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

// running runs a server until stop, or until the test ends, with a connection to it that
// outlives its restarts.
func running(t *testing.T, settings Settings) (s *Server, js jetstream.JetStream, stop func()) {
	t.Helper()
	s, err := Start(settings, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err = jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return s, js, func() {
		nc.Close()
		s.Shutdown()
	}
}

func TestStartRefuses(t *testing.T) {
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
			listen: taken.Addr().String(), dir: t.TempDir(),
			want: []string{"on " + taken.Addr().String(), "address already in use", "is another server running there? set nats.url to use it, or embedded.listen"},
		},
		"no directory":     {listen: "127.0.0.1:0", dir: file, want: []string{file, "not a directory", "its user must be able to write there: see data_dir"}},
		"no address":       {listen: "h", dir: t.TempDir(), want: []string{`embedded.listen "h"`, "missing port"}},
		"no port":          {listen: "127.0.0.1:nats", dir: t.TempDir(), want: []string{`embedded.listen "127.0.0.1:nats"`, `invalid port "nats": want a number`}},
		"not this machine": {listen: "192.0.2.1:0", dir: t.TempDir(), want: []string{"on 192.0.2.1:0", "cannot assign requested address"}},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			section := Config{Listen: c.listen, MaxStore: 1 << 20, Insecure: true}
			s, err := Start(Settings{Section: section, DataDir: c.dir}, zerolog.Nop())
			if err == nil {
				s.Shutdown()
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
func TestServerKeepsItsData(t *testing.T) {
	dir := t.TempDir()
	const n = 100
	for i, size := range []schema.Size{1 << 30, 1 << 30, 64 << 20, 2 << 30} {
		limits := stream.DefaultLimits()
		limits.EventBytes = int64(size)
		_, js, stop := running(t, Settings{
			Section: Config{Listen: "127.0.0.1:0", MaxStore: size}, DataDir: dir, StreamBytes: limits.Total(),
		})
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
