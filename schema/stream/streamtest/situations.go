package streamtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// FailWrite keeps the server from making the next file of a stream's store, and publishes
// to a subject until the server has noticed: as on a full disk, or when no descriptor is
// left. When it returns everything is as before, except for what the server remembers.
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

// HubAndLeaf are two servers with a JetStream each, in the domains hub and leaf.
// Clients of the leaf reach the streams of the hub by its domain only.
func HubAndLeaf(tb testing.TB) (hub, leaf *Server) {
	tb.Helper()
	hub = Start(tb, func(o *server.Options) {
		o.ServerName, o.JetStreamDomain = "hub", "hub"
		o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", server.RANDOM_PORT
	})
	remote := &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", hub.opts.LeafNode.Port)}
	leaf = Start(tb, func(o *server.Options) {
		o.ServerName, o.JetStreamDomain = "leaf", "leaf"
		o.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{remote}}}
	})
	return hub, leaf
}
