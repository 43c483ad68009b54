// Package consumertest tests a consumer.Handler as supernats uses it: on a real NATS server
// in the process of the test, with messages that come again, late or malformed, and with
// restarts on both sides. A Handler that passes has the effect of each event exactly once,
// although messages are delivered at least once.
//
//	func TestHandler(t *testing.T) {
//		consumertest.Run(t, func(t *testing.T) consumertest.Target { … })
//	}
//
// The suite takes a few seconds. It waits at most Patience for what must happen.
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
	// Open returns a Handler over the store, as the program has it after its start. It is
	// called again after stop, which is a restart, or without it: then the program was
	// killed, and what its Handler has not stored is gone.
	Open func(ctx context.Context) (h consumer.Handler, stop func() error, err error)
	// Effects reads from the store which events have had their effect, by the ids of the
	// CloudEvents: in the order of the effects, one id for each.
	Effects func(ctx context.Context) ([]string, error)
}

// check is a demand on Handlers. It returns why one does not meet it.
type check struct {
	name string
	run  func(ctx context.Context, b *bench) error
}

var checks = []check{
	{"events have their effect once and in order", checkOrder},
	{"the effect is stored when Handle returns", checkStored},
	{"a message that comes again changes nothing", checkRepeated},
	{"a message whose acknowledgement was lost changes nothing", checkUnacknowledged},
	{"a message that was postponed is not taken for an old one", checkPostponed},
	{"a malformed message holds up no other", checkMalformed},
	{"Handle ends when its context does", checkCanceled},
	{"nothing is lost or done twice when the program restarts", checkRestarted},
	{"nothing is lost or done twice when the program is killed", checkKilled},
	{"nothing is lost or done twice when the NATS server restarts", checkServerRestarted},
}

// Run runs every check as a subtest. newTarget returns a target with an empty store.
func Run(t *testing.T, newTarget func(t *testing.T) Target) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*Patience)
			defer cancel()
			if err := c.run(ctx, newBench(t, newTarget(t))); err != nil {
				t.Error(err)
			}
		})
	}
}
