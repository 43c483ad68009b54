package lease

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/fleettest"
	"supernats/schema/logtest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

const (
	testTTL     = time.Second
	testRefresh = 250 * time.Millisecond
)

// cluster is instances that want one lease of a server. Whenever one begins to work, no
// other may hold it.
type cluster struct {
	*testing.T
	server *streamtest.Server
	js     jetstream.JetStream
	ttl    time.Duration
	create func(ctx context.Context) error // Options.Create of those that join

	mu        sync.Mutex
	instances []*instance
	active    chan *instance
}

// instance is one that was started.
type instance struct {
	*fleettest.Running
	name  string
	lease *Lease
	log   *logtest.Buffer
	nc    *nats.Conn
}

// newCluster runs a server with all streams and no instance.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{T: t, server: streamtest.Start(t), ttl: testTTL, active: make(chan *instance, 100)}
	c.js = c.server.JetStream()
	if err := stream.EnsureAll(t.Context(), c.js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	return c
}

// join starts an instance, with a connection of its own unless it is given one.
func (c *cluster) join(name string, js jetstream.JetStream) *instance {
	c.Helper()
	if js == nil {
		js = c.server.JetStream()
	}
	i := &instance{name: name, log: &logtest.Buffer{}, nc: js.Conn()}
	i.lease = New(js, Options{Instance: name, Create: c.create, Log: zerolog.New(i.log)})
	i.lease.ttl, i.lease.refresh = c.ttl, testRefresh
	c.mu.Lock()
	c.instances = append(c.instances, i)
	c.mu.Unlock()

	i.Running = fleettest.Start(c.T, func(ctx context.Context) error {
		return i.lease.Run(ctx, func(ctx context.Context) error {
			c.mu.Lock()
			for _, other := range c.instances {
				if other != i && other.lease.Held() == nil {
					c.Errorf("%s and %s are active", i.name, other.name)
				}
			}
			c.mu.Unlock()
			if err := i.lease.Held(); err != nil {
				return err
			}
			c.active <- i
			<-ctx.Done()
			return ctx.Err()
		})
	})
	return i
}

// next is the instance that becomes active, and how long that took.
func (c *cluster) next() (*instance, time.Duration) {
	c.Helper()
	begun := time.Now()
	select {
	case i := <-c.active:
		return i, time.Since(begun)
	case <-time.After(30 * time.Second):
		c.Fatal("nobody is active")
		return nil, 0
	}
}

// standsBy waits until an instance has seen that another one is active.
func (c *cluster) standsBy(i *instance, active string) {
	c.Helper()
	c.until(i.name+" stands by", func() bool {
		return strings.Contains(i.log.String(), "standby: host "+active+" is active")
	})
}

// until waits until a condition holds.
func (c *cluster) until(what string, holds func() bool) {
	c.Helper()
	fleettest.Until(c.T, what, holds)
}

// use stores a notification, so that the streams are those of an old installation.
func (c *cluster) use() {
	c.Helper()
	if _, err := c.js.Publish(c.Context(), "supervisor.alert.used", []byte("{}")); err != nil {
		c.Fatal(err)
	}
}

// bucket is that of leases.
func (c *cluster) bucket() jetstream.KeyValue {
	c.Helper()
	kv, err := c.js.KeyValue(c.Context(), stream.LeasesBucket)
	if err != nil {
		c.Fatal(err)
	}
	return kv
}

// hasKeys reports whether the bucket has any.
func (c *cluster) hasKeys() bool {
	c.Helper()
	keys, err := c.bucket().Keys(c.Context())
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		c.Fatal(err)
	}
	return len(keys) > 0
}

// leaseRevision is the last one of the bucket.
func (c *cluster) leaseRevision() uint64 {
	c.Helper()
	s, err := c.js.Stream(c.Context(), stream.OfBucket(stream.LeasesBucket))
	if err != nil {
		c.Fatal(err)
	}
	return s.CachedInfo().State.LastSeq
}
