package app

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"supernats/consumer/health"
	"supernats/schema/natsconn"
)

const (
	causeNATS = "nats"
	// downFor is how long a connection may be down before anybody is told: a server
	// that reads its configuration again takes less.
	downFor = time.Second
	// connectPause is between a connection that was closed and the next one.
	connectPause = time.Second
	startServer  = "is nats-server running at nats.url or --nats-url? It is connected to as soon as it is there"
	rightAccess  = "correct the credentials, here or at the server: their files are read again at each try"
)

// errClosed is why the work over a connection ends that nats.go has closed for good.
var errClosed = errors.New("connection to NATS was closed")

// overConnections works over one connection after the other until ctx ends.
//
// nats.go connects again by itself for as long as it is not told what it takes for
// final: credentials that were refused twice, an error of the protocol that it does
// not know. It is final for the connection and not for us. The next one reads all
// files of credentials again.
func (a *App) overConnections(ctx context.Context, settings natsconn.Settings, opts []nats.Option) error {
	for begun := false; ; {
		err := a.overConnection(ctx, settings, opts, &begun)
		var file *natsconn.FileError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errClosed):
		case begun && errors.As(err, &file):
			// It is just being replaced.
			a.health.Raise(causeNATS, "NATS is not connected: "+err.Error(), rightAccess)
		default:
			return err
		}

		if err := health.Sleep(ctx, connectPause); err != nil {
			return err
		}
	}
}

// overConnection works until ctx ends or the connection is closed for good. begun says
// that settings are good for a connection.
func (a *App) overConnection(ctx context.Context, settings natsconn.Settings, opts []nats.Option, begun *bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var why atomic.Pointer[error]
	opts = append(opts[:len(opts):len(opts)],
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { why.Store(&err) }),
		nats.ClosedHandler(func(*nats.Conn) { cancel(errClosed) }),
		nats.ErrorHandler(a.natsReports),
	)
	nc, err := settings.Connect("supernats consume", opts...)
	if err != nil {
		return err
	}
	defer nc.Close()
	*begun = true
	js, err := settings.JetStream(nc, jetstream.WithPublishAsyncTimeout(10*time.Second), jetstream.WithDefaultTimeout(10*time.Second))
	if err != nil {
		return err
	}

	g, work := errgroup.WithContext(ctx)
	g.Go(func() error { return a.watchConnection(work, nc, &why) })
	g.Go(func() error { return a.work(work, js) })
	err = g.Wait()
	if errors.Is(context.Cause(ctx), errClosed) {
		a.notConnected(lastError(nc, &why))
		return errClosed
	}
	return err
}

// natsReports logs what belongs to no call, such as a right that is missing. (By itself
// the library writes it to stderr each time.)
func (a *App) natsReports(_ *nats.Conn, sub *nats.Subscription, err error) {
	e := a.reported.Log(a.log, err)
	if sub != nil {
		e = e.Str("subject", sub.Subject)
	}
	e.Msg("NATS reports an error")
}

// watchConnection says when NATS is not connected, and why, until ctx ends.
func (a *App) watchConnection(ctx context.Context, nc *nats.Conn, why *atomic.Pointer[error]) error {
	for up := time.Now(); ; {
		switch {
		case nc.IsConnected():
			up = time.Now()
			a.health.Clear(causeNATS)
		case time.Since(up) >= downFor && !nc.IsClosed():
			a.notConnected(lastError(nc, why))
		}

		if err := health.Sleep(ctx, downFor/4); err != nil {
			return err
		}
	}
}

// lastError is why there is no connection. The library forgets it now and then.
func lastError(nc *nats.Conn, why *atomic.Pointer[error]) error {
	err := nc.LastError()
	if last := why.Load(); err == nil && last != nil {
		err = *last
	}
	return cmp.Or(err, nats.ErrNoServers)
}

func (a *App) notConnected(err error) {
	fix := startServer
	for _, refused := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, refused) {
			fix = rightAccess
		}
	}
	a.health.Raise(causeNATS, "NATS is not connected: "+err.Error(), fix)
}
