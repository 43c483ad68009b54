package natsconn

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrBroke says that the connection broke while something was asked over it.
var ErrBroke = errors.New("connection to NATS broke meanwhile")

// brokenWithin is how soon Unbroken notices that a connection broke.
const brokenWithin = 100 * time.Millisecond

// Unbroken calls ask, and ends its context when the connection breaks: the answer to a
// request that was sent before never comes, and nats.go waits for it until its time-out.
// The error is ErrBroke in that case, else that of ask.
func Unbroken(ctx context.Context, nc *nats.Conn, ask func(ctx context.Context) error) error {
	asking, end := context.WithCancelCause(ctx)
	defer end(nil)
	before := nc.Stats().Reconnects

	go func() {
		tick := time.NewTicker(brokenWithin)
		defer tick.Stop()
		for {
			select {
			case <-asking.Done():
				return
			case <-tick.C:
			}
			if !nc.IsConnected() || nc.Stats().Reconnects != before {
				end(ErrBroke)
			}
		}
	}()

	err := ask(asking)
	if err != nil && errors.Is(context.Cause(asking), ErrBroke) {
		return ErrBroke
	}
	return err
}
