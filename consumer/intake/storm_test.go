package intake

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"supernats/consumer/fleettest"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// On a server and on a stream with small limits, every crash of a storm is reported, and
// a restart in between repeats none.
func TestStormOnASmallServer(t *testing.T) {
	for name, c := range map[string]struct{ payload, alerts int32 }{"server": {
		payload: 32 << 10,
		alerts:  -1,
	}, "stream": {
		payload: 1 << 20,
		alerts:  8 << 10,
	}} {
		t.Run(name, func(t *testing.T) {
			srv := streamtest.Start(t, func(o *server.Options) { o.MaxPayload = c.payload })
			f := &fleet{fleettest.On(t, srv, srv.JetStream())}
			config := stream.AlertsConfig(stream.DefaultLimits())
			config.MaxMsgSize = c.alerts
			if _, err := f.JS.CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			if err := stream.EnsureAll(t.Context(), f.JS, stream.DefaultLimits()); err != nil {
				t.Fatal(err)
			}
			stop := f.read()
			const n = 150
			log := &schema.Log{Stderr: strings.Repeat("a line of the log\n", 200)}
			for range n {
				f.Publish(f.Crash(func(e *schema.Event) { e.Log = log }))
			}
			f.WaitNotified(n)
			stop()
			f.read()
			f.WaitHandled(f.Publish(f.Crash()))
			for id, times := range f.WaitNotified(n + 1) {
				if times != 1 {
					t.Errorf("%s is in %d notifications", id, times)
				}
			}
		})
	}
}
