package intake

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/config"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// BenchmarkBacktest is how many events a second go through the default rules: 200
// processes that start, run and exit, one of a hundred exits unexpectedly.
func BenchmarkBacktest(b *testing.B) {
	const events = 200_000
	js := streamtest.Start(b).JetStream()
	if err := stream.EnsureAll(b.Context(), js, stream.DefaultLimits()); err != nil {
		b.Fatal(err)
	}
	names := []string{schema.ProcessStateStarting, schema.ProcessStateRunning, schema.ProcessStateExited}
	for i := range events {
		p := i % 200
		e := &schema.Event{
			Event: names[i/200%3], Host: fmt.Sprintf("web%d", p%20), Server: "supervisor", Boot: "4f0c6d1e2a90b7c3",
			Serial: uint64(i), Pool: "supernats", Group: "api", Process: fmt.Sprintf("api_%03d", p),
		}
		if e.Event == schema.ProcessStateExited {
			e.Expected = new(i%100 != 0)
		}
		data, err := schema.Marshal(e.Envelope(time.Now()))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := js.PublishAsync(e.Subject(), data, jetstream.WithStallWait(30*time.Second)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	for b.Loop() {
		notified := 0
		test := Backtest{Plan: planOf(b, config.Default()), Notify: func(*schema.CloudEvent[*schema.Notification]) error { notified++; return nil }}
		sum, err := test.Run(b.Context(), js)
		if err != nil || sum.Messages != events || notified == 0 {
			b.Fatalf("%v: %d messages, %d notifications", err, sum.Messages, notified)
		}
	}
	b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
}
