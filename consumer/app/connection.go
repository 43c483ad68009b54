package app

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"supernats/consumer/health"
	"supernats/schema/natsconn"
	"supernats/schema/repeat"
)

const (
	causeNATS = "nats"
	// downFor is how long a connection may be down before it is reported: a server
	// that reads its configuration again takes less.
	downFor = time.Second
	// connectPause is between a connection that was closed and the next one.
	connectPause = time.Second
	// asyncTimeout and apiTimeout bound how long an answer of JetStream is waited for.
	asyncTimeout = 10 * time.Second
	apiTimeout   = 10 * time.Second

	fixServer = "is nats-server running at nats.url or --nats-url? It is connected to as soon as it is there"
	fixLogin  = "correct the credentials, here or at the server: their files are read again at each try"
)

// errClosed is why the work over a connection ends that nats.go has closed for good.
var errClosed = errors.New("connection to NATS was closed")

// connector keeps a connection to NATS and works over it.
//
// nats.go connects again by itself until it meets what it takes for final: credentials
// that were refused twice, an error of the protocol that it does not know. That is final
// for the connection, but not for the daemon: the connector opens the next one, which reads
// all files of credentials again.
type connector struct {
	settings natsconn.Settings
	options  []nats.Option
	health   *health.Health
	log      zerolog.Logger

	// connected is set once the settings were good for a connection. It belongs to run.
	connected bool
	// reported counts what a connection reports. nats.go calls from goroutines of its own.
	reported repeat.Errors
}

// run works over one connection after the other until ctx ends.
func (c *connector) run(ctx context.Context, work func(context.Context, jetstream.JetStream) error) error {
	for {
		err := c.workOnce(ctx, work)
		var file *natsconn.FileError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errClosed):
		case c.connected && errors.As(err, &file):
			// Somebody is replacing the file.
			c.health.Raise(causeNATS, "NATS is not connected: "+err.Error(), fixLogin)
		default:
			return err
		}

		if err := health.Sleep(ctx, connectPause); err != nil {
			return err
		}
	}
}

// workOnce works until ctx ends or the connection is closed for good.
func (c *connector) workOnce(ctx context.Context, work func(context.Context, jetstream.JetStream) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	var lastTry atomic.Pointer[error] // why the last try to connect again failed
	options := append(c.options[:len(c.options):len(c.options)],
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { lastTry.Store(&err) }),
		nats.ClosedHandler(func(*nats.Conn) { cancel(errClosed) }),
		nats.ErrorHandler(c.logReported),
	)
	nc, err := c.settings.Connect("supernats consume", options...)
	if err != nil {
		return err
	}
	defer nc.Close()
	c.connected = true
	js, err := c.settings.JetStream(nc,
		jetstream.WithPublishAsyncTimeout(asyncTimeout), jetstream.WithDefaultTimeout(apiTimeout))
	if err != nil {
		return err
	}

	g, working := errgroup.WithContext(ctx)
	g.Go(func() error { return c.watchConnection(working, nc, &lastTry) })
	g.Go(func() error { return work(working, js) })
	err = g.Wait()
	if errors.Is(context.Cause(ctx), errClosed) {
		c.raiseDisconnected(lastError(nc, &lastTry))
		return errClosed
	}
	return err
}

// logReported logs what belongs to no call, such as a right that is missing. (By itself
// the library writes it to stderr each time.)
func (c *connector) logReported(_ *nats.Conn, sub *nats.Subscription, err error) {
	e := c.reported.Log(c.log, err)
	if sub != nil {
		e = e.Str("subject", sub.Subject)
	}
	e.Msg("NATS reports an error")
}

// watchConnection raises a trouble while NATS is not connected, until ctx ends.
func (c *connector) watchConnection(ctx context.Context, nc *nats.Conn, lastTry *atomic.Pointer[error]) error {
	for up := time.Now(); ; {
		switch {
		case nc.IsConnected():
			up = time.Now()
			c.health.Clear(causeNATS)
		case time.Since(up) >= downFor && !nc.IsClosed():
			c.raiseDisconnected(lastError(nc, lastTry))
		}

		if err := health.Sleep(ctx, downFor/4); err != nil {
			return err
		}
	}
}

// lastError is why there is no connection. The library forgets it now and then.
func lastError(nc *nats.Conn, lastTry *atomic.Pointer[error]) error {
	err := nc.LastError()
	if last := lastTry.Load(); err == nil && last != nil {
		err = *last
	}
	return cmp.Or(err, nats.ErrNoServers)
}

func (c *connector) raiseDisconnected(err error) {
	fix := fixServer
	for _, refused := range []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
	} {
		if errors.Is(err, refused) {
			fix = fixLogin
		}
	}
	c.health.Raise(causeNATS, "NATS is not connected: "+err.Error(), fix)
}
