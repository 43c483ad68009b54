package past

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/fleettest"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// process puts an event on another process.
func process(name string) func(*schema.Event) { return func(e *schema.Event) { e.Process = name } }

// The newest events of one process are found among many of others, page by page.
func TestNewestOfOneProcess(t *testing.T) {
	f := fleettest.New(t)
	for i := range 60 {
		f.Publish(f.Crash(process("rare")))
		for range 20 {
			f.Publish(f.Crash(process(fmt.Sprintf("busy_%02d", i))))
		}
	}

	q := Query{Filter: consumer.Filter{Hosts: []string{"web1"}, Processes: []string{"rare"}}, Limit: 25}
	var pages []int
	last := uint64(1 << 60)
	for {
		found, err := Newest(t.Context(), f.JS, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found.List {
			if e.Data.Process != "rare" || e.Seq >= last {
				t.Fatalf("%s with sequence %d after %d", e.Data.Process, e.Seq, last)
			}
			last = e.Seq
		}
		pages = append(pages, len(found.List))
		if q.Before = found.Next; q.Before == 0 {
			break
		}
	}
	if got := fmt.Sprint(pages); got != "[25 25 10]" {
		t.Errorf("pages of %s", got)
	}
}

func TestNewestWithin(t *testing.T) {
	f := fleettest.New(t)
	now := time.Now()
	for i := range 10 {
		f.PublishAt(now.Add(time.Duration(i-9)*time.Minute), f.Crash())
	}

	for _, c := range []struct {
		name         string
		since, until time.Duration // ago
		events       []string
		want         int
	}{
		{name: "all", want: 10},
		{name: "the last ones", since: 210 * time.Second, want: 4},
		{name: "the first ones", until: 6*time.Minute + 30*time.Second, want: 3},
		{name: "another event", events: []string{schema.ProcessStateFatal}, want: 0},
		{name: "a family", events: []string{"PROCESS_STATE"}, want: 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := Query{Filter: consumer.Filter{Events: c.events}, Limit: 100}
			if c.since > 0 {
				q.Since = now.Add(-c.since)
			}
			if c.until > 0 {
				q.Until = now.Add(-c.until)
			}
			found, err := Newest(t.Context(), f.JS, q)
			if err != nil {
				t.Fatal(err)
			}
			if len(found.List) != c.want || found.Next != 0 || !found.ReadTo.IsZero() {
				t.Errorf("%d events, next %d, read to %v", len(found.List), found.Next, found.ReadTo)
			}
		})
	}
}

// BenchmarkNewest measures the newest 200 events of one process among 300,000 of 1,000
// others.
func BenchmarkNewest(b *testing.B) {
	js := manyEvents(b, 300_000)
	for _, c := range []struct {
		name   string
		filter consumer.Filter
	}{
		{name: "of all", filter: consumer.Filter{}},
		{name: "of a process", filter: consumer.Filter{
			Hosts: []string{"web1"}, Groups: []string{"api"}, Processes: []string{"api_007"},
		}},
		{name: "of a glob", filter: consumer.Filter{Processes: []string{"api_00?"}}},
		{name: "of nothing", filter: consumer.Filter{Hosts: []string{"web1"}, Processes: []string{"none"}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				found, err := Newest(b.Context(), js, Query{Filter: c.filter, Limit: 200})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(found.List)), "events")
			}
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
			Event: schema.ProcessStateExited, Host: "web1", Server: "supervisor", Boot: "4f0c6d1e2a90b7c3", Pool: "supernats",
			Group: "api", Process: fmt.Sprintf("api_%03d", i%1000), Expected: new(false), Serial: uint64(i),
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
