// Package consumertest tries out a consumer.Handler as supernats will use it: on
// a real NATS server in the test's own process, with messages that come again,
// late or malformed, and with restarts on both sides. What passes has the effect
// of each event exactly once, although messages are delivered at least once.
//
//	func TestHandler(t *testing.T) {
//		consumertest.Run(t, func(t *testing.T) consumertest.Target { … })
//	}
//
// It takes a few seconds, and waits at most Patience for what must happen.
package consumertest

import (
	"context"
	"testing"
	"time"

	"supernats/consumer"
)

// Patience is how long a check waits for what must happen.
const Patience = 30 * time.Second

// Target is a Handler with a store of its own, empty at first.
type Target struct {
	// Open returns a Handler over the store, as the program has it after its
	// start. It is called again after stop, or after nothing: then the program was
	// killed, and what its Handler had not stored is gone.
	Open func(ctx context.Context) (h consumer.Handler, stop func() error, err error)
	// Effects reads from the store the ids of the events (CloudEvent's id) that
	// had their effect, in the order in which they had it, each as often as it
	// had.
	Effects func(ctx context.Context) ([]string, error)
}

// check is a demand on Handlers.
type check struct {
	name string
	do   func(ctx context.Context, b *bench) error
}

var checks = []check{
	{"events have their effect once and in order", inOrder},
	{"the effect is stored when Handle returns", stored},
	{"a message that comes again changes nothing", repeated},
	{"a message whose acknowledgement was lost changes nothing", unacknowledged},
	{"a message that was postponed is not taken for an old one", postponed},
	{"a malformed message holds up no other", malformed},
	{"Handle ends when its context does", canceled},
	{"nothing is lost or done twice when the program restarts", restarted},
	{"nothing is lost or done twice when the program is killed", killed},
	{"nothing is lost or done twice when the NATS server restarts", serverRestarted},
}

// Run makes every check a test of its own; newTarget returns one with an empty
// store.
func Run(t *testing.T, newTarget func(t *testing.T) Target) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*Patience)
			defer cancel()
			if err := c.do(ctx, newBench(t, newTarget(t))); err != nil {
				t.Error(err)
			}
		})
	}
}
