package bridge

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/bridge/deathreason"
	"supernats/bridge/publish"
	"supernats/bridge/record"
	"supernats/bridge/record/recordtest"
	"supernats/bridge/spool"
	"supernats/bridge/spool/queue"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// drainEvents in drainRounds rounds are a million.
const (
	drainEvents = 100_000
	drainRounds = 10
)

// BenchmarkDrain compares how fast a spool of a million events gets into JetStream
// with bare PublishAsync of the same messages, made before. The two take turns,
// 100,000 events at a time; the ratio is the median of those of the rounds.
func BenchmarkDrain(b *testing.B) {
	server := streamtest.Start(b)
	js := server.JetStream()
	if err := stream.EnsureEvents(context.Background(), js, stream.DefaultLimits()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var ours, bare, ratios []float64
		for round := range drainRounds {
			recs := drainRecords(round)
			d := drainEvents / drainSpool(b, server.URL, recs).Seconds()
			p := drainEvents / publishBare(b, server.URL, recs).Seconds()
			ours, bare, ratios = append(ours, d), append(bare, p), append(ratios, d/p)
			if err := mustStream(b, js).Purge(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
		b.Logf("drain/PublishAsync in each round: %.2f", ratios)
		b.ReportMetric(middle(ours), "drain-events/s")
		b.ReportMetric(middle(bare), "PublishAsync-events/s")
		b.ReportMetric(middle(ratios), "drain/PublishAsync")
	}
}

func middle(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

func mustStream(b *testing.B, js jetstream.JetStream) jetstream.Stream {
	b.Helper()
	s, err := js.Stream(context.Background(), stream.Events)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// drainRecords are the records of a round, of several events in turn.
func drainRecords(round int) [][]byte {
	kinds := []struct{ event, payload string }{
		{event: "PROCESS_STATE_RUNNING", payload: "processname:api_%02d groupname:api from_state:STARTING pid:11167"},
		{
			event:   "PROCESS_STATE_EXITED",
			payload: "processname:api_%02d groupname:api from_state:RUNNING expected:1 pid:11167",
		},
		{
			event:   "PROCESS_LOG_STDOUT",
			payload: "processname:api_%02d groupname:api pid:11167 channel:stdout\n127.0.0.1 - - [21/Nov/2026:19:00:31 +0000] \"GET / HTTP/1.1\" 200 612\n",
		},
		{event: "TICK_5", payload: "when:12010638%02d"},
	}
	recs := make([][]byte, drainEvents)
	for i := range recs {
		k := kinds[i%len(kinds)]
		payload := fmt.Sprintf(k.payload, i%100)
		serial := round*drainEvents + i
		header := fmt.Sprintf("ver:3.0 server:supervisor serial:%d pool:supernats poolserial:%d eventname:%s len:%d",
			serial, serial, k.event, len(payload))
		recs[i] = record.AppendEvent(nil, recordtest.ReadAt, testBoot, []byte(header), []byte(payload))
	}
	return recs
}

// drainSpool is the bridge after its listener. The boot differs from that of the
// bare messages: an id is stored once.
func drainSpool(b *testing.B, url string, recs [][]byte) time.Duration {
	b.Helper()
	dir := b.TempDir()
	open := func() *queue.Queue {
		s, err := queue.Open(context.Background(), queue.Options{
			Spool: spool.Options{Max: 1 << 30, Sync: 100 * time.Millisecond, Event: record.EventPlace},
			Find:  func() (string, error) { return dir, nil },
		})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	s := open()
	for _, rec := range recs {
		if err := s.Append(rec); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	runtime.GC() // neither pays for the other's garbage
	begun := time.Now()
	s = open()
	s.Finish()
	enc := record.Encoder{Host: "drain", TTL: drainTTL(b)}
	r := &source{
		queue: s, encoder: enc, reasons: deathreason.New(deathreason.Config{}),
		metrics: testMetrics(),
	}
	p, err := publish.New(publish.Config{
		Source: r, Stream: stream.Events, Ensure: ensureStream, Log: zerolog.Nop(),
		Lost:    func(_ publish.Record, err error) { b.Error(err) },
		Connect: func(more ...nats.Option) (*nats.Conn, error) { return nats.Connect(url, more...) },
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Run(context.Background()); err != nil {
		b.Fatal(err)
	}
	took := time.Since(begun)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return took
}

// drainTTL is the table as a bridge has it.
func drainTTL(b *testing.B) record.TTL {
	b.Helper()
	ttl, err := record.NewTTL(nil)
	if err != nil {
		b.Fatal(err)
	}
	return ttl
}

// publishBare publishes the same messages of another host.
func publishBare(b *testing.B, url string, recs [][]byte) time.Duration {
	b.Helper()
	enc := record.Encoder{Host: "bare!", TTL: drainTTL(b)}
	var msgs []*nats.Msg
	for _, rec := range recs {
		m, err := enc.Encode(rec, 1<<20)
		if err != nil {
			b.Fatal(err)
		}
		for _, m := range m {
			m.Header[stream.HeaderSent] = []string{schema.Stamp(time.Now())}
		}
		msgs = append(msgs, m...)
	}
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	begun := time.Now()
	for _, m := range msgs {
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	return time.Since(begun)
}
