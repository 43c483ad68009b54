package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

var (
	consumeEvents = flag.Int("consume.events", 1_000_000, "events in the stream of BenchmarkConsume")
	consumeRounds = flag.Int("consume.rounds", 5, "how often each reads them")
)

// durableName is the consumer of the daemon.
const durableName = "supernats"

// ackEvery is after how many messages the bare consumer acknowledges.
const ackEvery = 1000

// BenchmarkConsume compares how fast the daemon handles a stream that is full, with
// states and the default rules, with a bare durable consumer that does nothing but
// acknowledge. They take turns, and each begins with nothing: no consumer, no
// records. Time runs from when the consumer is there until the server has the last
// acknowledgement.
func BenchmarkConsume(b *testing.B) {
	needPrograms(b)
	url := startNATS(b)
	js := connect(b, url)
	fill(b, js, *consumeEvents)
	config := writeConfig(b, url, nil, "", "")
	var bare, ours, ratios, cpu []float64
	for b.Loop() {
		for range *consumeRounds {
			bare = append(bare, float64(*consumeEvents)/readBare(b, js, *consumeEvents).Seconds())
			took, work := readOurs(b, js, config, *consumeEvents)
			ours = append(ours, float64(*consumeEvents)/took.Seconds())
			cpu = append(cpu, float64(work.Nanoseconds())/1000/float64(*consumeEvents))
			ratios = append(ratios, ours[len(ours)-1]/bare[len(bare)-1])
		}
	}
	b.Logf("supernats/bare in each round: %.2f", ratios)
	var f figures
	f.add("events", *consumeEvents)
	f.add("rounds", *consumeRounds)
	f.add("bare Consume, events/s, median", int(median(bare)))
	f.add("supernats consume, events/s, median", int(median(ours)))
	f.add("ratio, median of the rounds", median(ratios))
	f.add("processor time of supernats consume, µs/event, median", median(cpu))
	f.record(b, fmt.Sprintf("-consume.events=%d -consume.rounds=%d", *consumeEvents, *consumeRounds))
	b.ReportMetric(median(bare), "bare-events/s")
	b.ReportMetric(median(ours), "supernats-events/s")
	b.ReportMetric(median(ratios), "supernats/bare")
}

// mix makes the events of a fleet: 200 processes on 20 hosts.
type mix struct {
	*rand.Rand
	serials [20]uint64
	states  [200]string
}

// next returns an event: 40 % are about states, 1 % are unexpected exits, the rest
// are TICKs and output.
func (m *mix) next() *schema.Event {
	p := m.IntN(len(m.states))
	h := p % len(m.serials)
	m.serials[h]++
	e := &schema.Event{
		Host: fmt.Sprintf("web%d", h), Server: "supervisor", Boot: fmt.Sprintf("%016x", h+1),
		Serial: m.serials[h], Pool: "supernats", PoolSerial: m.serials[h],
	}
	switch kind := m.IntN(10); {
	case kind < 4:
		m.state(e, p)
	case kind < 7:
		when := time.Now().Unix()
		e.Event, e.When = schema.Tick5, &when
	default:
		text := "GET /api/v1/orders/4711 200 12ms some more words as a program writes them into its log\n"
		e.Event, e.Channel, e.Data, e.PID = schema.ProcessLogStdout, "stdout", &text, 1000+p
		m.whose(e, p)
	}
	return e
}

func (m *mix) whose(e *schema.Event, p int) {
	e.Group, e.Process = fmt.Sprintf("app%d", p/50), crashName3(p)
}

func (m *mix) state(e *schema.Event, p int) {
	was := m.states[p]
	now := map[string]string{"": "STARTING", "STARTING": "RUNNING", "EXITED": "STARTING", "RUNNING": "EXITED"}[was]
	e.Event, e.FromState, e.PID = "PROCESS_STATE_"+now, was, 1000+p
	if e.FromState == "" {
		e.FromState = "STOPPED"
	}
	if now == "EXITED" {
		// An exit is one event of three, and one event of a hundred is unexpected.
		expected, code := m.IntN(1000) >= 75, 3
		if e.Expected = &expected; !expected {
			e.Exit = &schema.Exit{Code: &code}
			e.Log = &schema.Log{Stderr: "Traceback (most recent call last):\n  File \"api.py\", line 3\nZeroDivisionError: division by zero\n"}
		}
	}
	m.whose(e, p)
	m.states[p] = now
}

// fill publishes n events.
func fill(b *testing.B, js jetstream.JetStream, n int) {
	b.Helper()
	ctx := b.Context()
	if err := stream.EnsureEvents(ctx, js, stream.DefaultLimits()); err != nil {
		b.Fatal(err)
	}
	m := &mix{Rand: chance(1)}
	for range n {
		e := m.next()
		ce := e.Envelope(time.Now())
		data, err := schema.Marshal(ce)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := js.PublishMsgAsync(message(e.Subject(), ce.ID, data), jetstream.WithStallWait(30*time.Second)); err != nil {
			b.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		b.Fatal("not all events are stored after a minute")
	}
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		b.Fatal(err)
	}
	if got := s.CachedInfo().State.Msgs; got != uint64(n) {
		b.Fatalf("the stream has %d messages, want %d", got, n)
	}
}

// readBare reads the stream with a durable consumer and returns how long it took.
func readBare(b *testing.B, js jetstream.JetStream, n int) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	c, err := js.CreateConsumer(ctx, stream.Events, jetstream.ConsumerConfig{
		Durable: "bare", AckPolicy: jetstream.AckAllPolicy, AckWait: 30 * time.Second, MaxDeliver: -1,
		MaxAckPending: 4 * ackEvery, DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	if err != nil {
		b.Fatal(err)
	}
	begun := time.Now()
	done := make(chan error, 1)
	seen := 0
	reading, err := c.Consume(func(m jetstream.Msg) {
		if seen++; seen%ackEvery == 0 || seen == n {
			if err := m.DoubleAck(ctx); err != nil || seen == n {
				done <- err
			}
		}
	}, jetstream.PullMaxMessages(ackEvery))
	if err != nil {
		b.Fatal(err)
	}
	defer reading.Stop()
	select {
	case err := <-done:
		if err != nil {
			b.Fatal(err)
		}
	case <-ctx.Done():
		b.Fatalf("%d of %d messages were read", seen, n)
	}
	took := time.Since(begun)
	if err := js.DeleteConsumer(ctx, stream.Events, "bare"); err != nil {
		b.Fatal(err)
	}
	return took
}

// readOurs lets the daemon handle the stream and returns how long it took, and the
// processor time of its whole life.
func readOurs(b *testing.B, js jetstream.JetStream, config string, n int) (took, work time.Duration) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	forget(ctx, b, js)
	d := startDaemon(b, config, nil)
	var begun time.Time
	for pause(ctx, 10*time.Millisecond) {
		c, err := js.Consumer(ctx, stream.Events, durableName)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			continue
		}
		if err != nil {
			b.Fatal(err)
		}
		if begun.IsZero() {
			begun = time.Now()
		}
		if c.CachedInfo().AckFloor.Stream >= uint64(n) {
			took = time.Since(begun)
			seen(ctx, b, js)
			d.stop()
			return took, d.cmd.ProcessState.UserTime() + d.cmd.ProcessState.SystemTime()
		}
	}
	b.Fatalf("the daemon has not handled all events\n%s", d.end())
	return 0, 0
}

// forget removes all that a daemon has stored.
func forget(ctx context.Context, b *testing.B, js jetstream.JetStream) {
	b.Helper()
	errs := []error{js.DeleteConsumer(ctx, stream.Events, durableName), js.DeleteStream(ctx, stream.Alerts)}
	for _, bucket := range []string{stream.StateBucket, stream.HostsBucket, stream.AlertsBucket, stream.LeasesBucket} {
		errs = append(errs, js.DeleteKeyValue(ctx, bucket))
	}
	for _, err := range errs {
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) && !errors.Is(err, jetstream.ErrStreamNotFound) && !errors.Is(err, jetstream.ErrBucketNotFound) {
			b.Fatal(err)
		}
	}
}

// seen sees that the daemon did its work: a record of each process, and an alert of
// each, since each has crashed.
func seen(ctx context.Context, b *testing.B, js jetstream.JetStream) {
	b.Helper()
	kv, err := js.KeyValue(ctx, stream.StateBucket)
	if err != nil {
		b.Fatal(err)
	}
	keys, err := kv.Keys(ctx)
	if err != nil {
		b.Fatal(err)
	}
	alerts := map[string]bool{}
	for _, n := range notifications(b, js) {
		alerts[n.Data.Process] = true
	}
	if want := len(mix{}.states); len(keys) != want || *consumeEvents >= 100_000 && len(alerts) != want {
		b.Errorf("%d processes have a record and %d an alert, want %d", len(keys), len(alerts), want)
	}
}
