package publish

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// dialTimeout bounds one attempt to reach a server.
const dialTimeout = 5 * time.Second

// dialer makes connections that break when a context ends. The library holds its lock while
// it connects: neither Close nor a request for the status would return before all time-outs
// for a server behind a silent firewall have passed, and supervisord kills a listener that
// takes too long to stop.
type dialer struct {
	mu  sync.Mutex
	err error // of the last attempt
}

// lastError returns why the last attempt failed, nil if it did not. The library does not keep
// it.
func (d *dialer) lastError() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// until returns a dialer whose connections break when ctx ends.
func (d *dialer) until(ctx context.Context) nats.CustomDialer {
	return dialFunc(func(network, address string) (net.Conn, error) {
		nd := net.Dialer{Timeout: dialTimeout}
		c, err := nd.DialContext(ctx, network, address)

		d.mu.Lock()
		d.err = err
		d.mu.Unlock()
		if err != nil {
			return nil, err
		}
		return &bound{c, context.AfterFunc(ctx, func() { _ = c.Close() })}, nil
	})
}

type dialFunc func(network, address string) (net.Conn, error)

func (f dialFunc) Dial(network, address string) (net.Conn, error) { return f(network, address) }

// bound is a connection that the end of a context closes.
type bound struct {
	net.Conn
	stop func() bool // detaches it from the context
}

func (b *bound) Close() error {
	b.stop()
	return b.Conn.Close()
}
