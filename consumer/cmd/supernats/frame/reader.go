package frame

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/config"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/schema/natsconn"
)

// WithReader connects to the NATS server of the installation and calls do. A right that
// the server denies ends do at once.
func (c *Flags) WithReader(ctx context.Context, do func(ctx context.Context, r *inspect.Reader) error) error {
	cfg, err := c.LoadConnection()
	if err != nil {
		return err
	}
	var g inspect.Guard
	r, closeConn, err := Dial(cfg, &g)
	if err != nil {
		return err
	}
	defer closeConn()

	err = g.Run(ctx, func(ctx context.Context) error { return do(ctx, r) })
	if errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("JetStream does not answer on %s: it is off, there or for this account, or a domain is "+
			"needed (--nats-domain): `supernats doctor` says how to turn it on", r.JS.Conn().ConnectedUrlRedacted())
	}
	return err
}

// jetStreamTimeout is how long a request to JetStream may take.
const jetStreamTimeout = 10 * time.Second

// Dial connects to the NATS server of a configuration. The caller closes the connection.
func Dial(cfg config.Config, g *inspect.Guard) (r *inspect.Reader, closeConn func(), err error) {
	settings := cfg.Client()
	nc, err := settings.Connect("supernats",
		nats.RetryOnFailedConnect(false), nats.IgnoreAuthErrorAbort(), nats.ErrorHandler(g.HandleError))
	if err != nil {
		return nil, nil, fmt.Errorf("%w (%s)", err, connectFix(err, settings))
	}

	js, err := settings.JetStream(nc, jetstream.WithDefaultTimeout(jetStreamTimeout))
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return NewReader(js), nc.Close, nil
}

// connectFix says what to do about an error of a connection.
func connectFix(err error, s natsconn.Settings) string {
	return cmp.Or(s.Fix(err), "is `supernats consume` or a nats-server running? --nats-url says where")
}

// NewReader returns a reader that prints its warnings on stderr.
func NewReader(js jetstream.JetStream) *inspect.Reader {
	return &inspect.Reader{JS: js, Warn: func(text string) { terminal.Say("supernats: %s", text) }}
}
