// Package streamtest runs a real nats-server with JetStream for tests.
package streamtest

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Server is a nats-server on a port of its own. It keeps the port and its store over
// restarts.
type Server struct {
	URL string

	tb   testing.TB
	opts server.Options
	s    *server.Server
}

// Start runs a server for the length of a test. change may set more options.
func Start(tb testing.TB, change ...func(*server.Options)) *Server {
	tb.Helper()
	s := &Server{tb: tb, opts: server.Options{
		ServerName: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: tb.TempDir(), JetStreamMaxStore: 8 << 30, JetStreamMaxMemory: 256 << 20,
	}}
	for _, c := range change {
		c(&s.opts)
	}
	tb.Cleanup(s.Stop)
	if s.opts.Port == server.RANDOM_PORT {
		s.opts.Port = FreePort(tb)
	}
	s.Restart()
	return s
}

// FreePort returns a port that the kernel gives to nobody by itself (Linux's
// ip_local_port_range begins at 32768): while a server is stopped its port must not
// become that of another test's.
func FreePort(tb testing.TB) int {
	tb.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(22_000)
		l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	tb.Fatal("no port is free")
	return 0
}

// Restart starts the server again after Stop.
func (s *Server) Restart() {
	s.tb.Helper()
	opts := s.opts
	var err error
	if s.s, err = server.NewServer(&opts); err != nil {
		s.tb.Fatal(err)
	}
	s.s.Start()
	if !s.s.ReadyForConnections(10 * time.Second) {
		s.tb.Fatal("nats-server is not ready after 10 s")
	}
	s.URL = s.s.ClientURL()
	s.opts.Port = s.s.Addr().(*net.TCPAddr).Port
	s.opts.LeafNode.Port = opts.LeafNode.Port
}

// Stop stops the server; connections to it are cut.
func (s *Server) Stop() {
	if s.s != nil {
		s.s.Shutdown()
		s.s.WaitForShutdown()
	}
}

// Port is the port of the server, also while it is stopped.
func (s *Server) Port() int { return s.opts.Port }

// Change sets other options for a server that is stopped.
func (s *Server) Change(change func(*server.Options)) { change(&s.opts) }

// Forget removes the store of a server that is stopped, as when a volume is lost.
func (s *Server) Forget() {
	s.tb.Helper()
	if err := os.RemoveAll(s.opts.StoreDir); err != nil {
		s.tb.Fatal(err)
	}
}

// Backup copies the store of a server that is stopped.
func (s *Server) Backup() fs.FS {
	s.tb.Helper()
	dir := s.tb.TempDir()
	if err := os.CopyFS(dir, os.DirFS(s.opts.StoreDir)); err != nil {
		s.tb.Fatal(err)
	}
	return os.DirFS(dir)
}

// Restore puts streams back as a backup has them, all if none is named, while the server is
// stopped.
func (s *Server) Restore(backup fs.FS, names ...string) {
	s.tb.Helper()
	const streams = "jetstream/$G/streams"
	if len(names) == 0 {
		names = append(names, "")
	}

	for _, name := range names {
		path := filepath.Join(s.opts.StoreDir, streams, name)
		if err := os.RemoveAll(path); err != nil {
			s.tb.Fatal(err)
		}
		kept, err := fs.Sub(backup, filepath.Join(streams, name))
		if err == nil {
			err = os.CopyFS(path, kept)
		}
		if err != nil {
			s.tb.Fatal(err)
		}
	}
}

// JetStream connects to the server for the length of the test.
func (s *Server) JetStream() jetstream.JetStream {
	s.tb.Helper()
	return Connect(s.tb, s.URL, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
}

// As connects to the server as a user, who is denied things in silence, for the length of
// the test.
func (s *Server) As(user, password string) jetstream.JetStream {
	s.tb.Helper()
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	return Connect(s.tb, s.URL, nats.UserInfo(user, password), quiet)
}

// Connect connects to a server for the length of the test.
func Connect(tb testing.TB, url string, options ...nats.Option) jetstream.JetStream {
	tb.Helper()
	nc, err := nats.Connect(url, options...)
	if err != nil {
		tb.Fatal(err)
	}
	return On(tb, nc)
}

// On is JetStream over a connection, which it closes at the end of the test.
func On(tb testing.TB, nc *nats.Conn) jetstream.JetStream {
	tb.Helper()
	tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatal(err)
	}
	return js
}
