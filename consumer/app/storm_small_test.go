package app

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// On a server and on a stream with small limits, every crash of a storm is reported, and
// a restart in between repeats none.
func TestStormOnASmallServer(t *testing.T) {
	for name, c := range map[string]struct{ payload, alerts int32 }{"server": {32 << 10, -1}, "stream": {1 << 20, 8 << 10}} {
		t.Run(name, func(t *testing.T) {
			f := &fleet{T: t, server: streamtest.Start(t, func(o *server.Options) { o.MaxPayload = c.payload }), serials: map[string]uint64{}}
			f.js = f.server.JetStream()
			config := stream.AlertsConfig(stream.DefaultLimits())
			config.MaxMsgSize = c.alerts
			if _, err := f.js.CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			if err := stream.EnsureAll(t.Context(), f.js, stream.DefaultLimits()); err != nil {
				t.Fatal(err)
			}
			stop := f.run()
			const n = 150
			log := &schema.Log{Stderr: strings.Repeat("a line of the log\n", 200)}
			for range n {
				f.publish(f.crash(func(e *schema.Event) { e.Log = log }))
			}
			f.told(n)
			stop()
			f.run()
			f.handled(f.publish(f.crash()))
			for id, times := range f.told(n + 1) {
				if times != 1 {
					t.Errorf("%s is in %d notifications", id, times)
				}
			}
		})
	}
}
