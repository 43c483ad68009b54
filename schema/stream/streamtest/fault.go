package streamtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// FailWrite keeps the server from making the next file of a stream's store, and
// publishes to subject until the server has met that: as without a descriptor left,
// or on a disk that is full. All is as before when it returns, but what the server
// remembers of it.
func FailWrite(tb testing.TB, js jetstream.JetStream, store, stream, subject string) {
	tb.Helper()
	dirs, err := filepath.Glob(filepath.Join(store, "jetstream", "*", "streams", stream, "msgs"))
	if err != nil || len(dirs) != 1 {
		tb.Fatalf("store of stream %s in %s: %q, %v", stream, store, dirs, err)
	}
	inTheWay := filepath.Join(dirs[0], "2.blk")
	if err := os.MkdirAll(filepath.Join(inTheWay, "not-empty"), 0o700); err != nil {
		tb.Fatal(err)
	}
	defer os.RemoveAll(inTheWay)

	for range 1000 {
		ctx, cancel := context.WithTimeout(tb.Context(), time.Second)
		_, err := js.Publish(ctx, subject, make([]byte, 256<<10))
		cancel()
		if err != nil {
			return
		}
	}
	tb.Fatalf("stream %s takes everything", stream)
}

// Store is where the server keeps its streams.
func (s *Server) Store() string { return s.opts.StoreDir }

// LeafURL is where other servers join this one as leaves, if LeafNode.Port was set.
func (s *Server) LeafURL() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.opts.LeafNode.Port) }
