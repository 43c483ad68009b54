package health

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// brokenWithin is how soon it is noticed that a connection broke.
const brokenWithin = 100 * time.Millisecond

// ErrBroken is the error of a question whose connection broke before the answer.
var ErrBroken = errors.New("connection to NATS broke meanwhile")

// Unbroken asks something of NATS. The answer to a question from before a connection broke
// never comes, but nats.go waits for it: Unbroken ends ask's context and returns ErrBroken.
func Unbroken(ctx context.Context, nc *nats.Conn, ask func(ctx context.Context) error) error {
	asking, end := context.WithCancelCause(ctx)
	defer end(nil)

	before := nc.Stats().Reconnects
	go func() {
		for Sleep(asking, brokenWithin) == nil {
			if !nc.IsConnected() || nc.Stats().Reconnects != before {
				end(ErrBroken)
			}
		}
	}()

	err := ask(asking)
	if err != nil && errors.Is(context.Cause(asking), ErrBroken) {
		return ErrBroken
	}
	return err
}
