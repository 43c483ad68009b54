package history

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// BenchmarkNewest measures the newest 200 events of one process, and of others, among
// 300,000 of 1,000 processes.
func BenchmarkNewest(b *testing.B) {
	r := &Reader{JS: manyEvents(b, 300_000)}
	one := func(name string) consumer.Filter {
		return consumer.Filter{Hosts: []string{"web1"}, Groups: []string{"api"}, Processes: []string{name}}
	}
	for _, c := range []struct {
		name   string
		filter consumer.Filter
	}{
		{name: "of all", filter: consumer.Filter{}},
		{name: "of a process", filter: one("api_007")},
		{name: "of a glob", filter: one("api_00?")},
		{name: "of nothing", filter: one("none")},
	} {
		b.Run(c.name, func(b *testing.B) {
			found := 0
			for b.Loop() {
				newest, err := r.Newest(b.Context(), NewestQuery{Filter: c.filter, Limit: 200})
				if err != nil {
					b.Fatal(err)
				}
				found = len(newest.Events)
			}
			b.ReportMetric(float64(found), "events")
		})
	}
}

// manyEvents fills a stream.
func manyEvents(b *testing.B, n int) jetstream.JetStream {
	js := streamtest.Start(b).JetStream()
	if err := stream.EnsureAll(b.Context(), js, stream.DefaultLimits()); err != nil {
		b.Fatal(err)
	}
	for i := range n {
		e := &schema.Event{
			Event: schema.ProcessStateExited, Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3",
			Pool: "supernats", Group: "api", Process: fmt.Sprintf("api_%03d", i%1000), Expected: new(false), Serial: uint64(i),
		}
		text, err := schema.Marshal(e.Envelope(time.Now()))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := js.PublishAsync(e.Subject(), text); err != nil {
			b.Fatal(err)
		}
		if i%2000 == 0 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
	return js
}
