package bridge_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

const program = "supernats/bridge/cmd/supernats-bridge"

// section is an eventlistener section as `supernats-bridge conf` prints it.
func section(tb testing.TB, bin string, flags ...string) string {
	tb.Helper()
	return conf(tb, bin, flags...)
}

// stored reads all that the stream holds below subject.
func stored(tb testing.TB, js jetstream.JetStream, subject string) []jetstream.Msg {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, stream.Events)
	if err != nil {
		return nil
	}
	c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		tb.Fatal(err)
	}
	n := int(c.CachedInfo().NumPending)
	var msgs []jetstream.Msg
	for len(msgs) < n {
		batch, err := c.Fetch(min(n-len(msgs), 5000), jetstream.FetchMaxWait(10*time.Second))
		if err != nil {
			tb.Fatal(err)
		}
		for m := range batch.Messages() {
			msgs = append(msgs, m)
		}
		if batch.Error() != nil {
			tb.Fatal(batch.Error())
		}
	}
	return msgs
}

func event(tb testing.TB, m jetstream.Msg) *schema.Event {
	tb.Helper()
	ce, err := schema.UnmarshalEvent(m.Data())
	if err != nil {
		tb.Fatal(err)
	}
	return ce.Data
}

// A burst as large as supervisord's buffer is stored whole, once, in order.
func TestBurst(t *testing.T) {
	const n, size = 20_000, 200
	nats := streamtest.Start(t)
	s := supervisordtest.Start(t, section(t, supervisordtest.Build(t, program), "--nats-url", nats.URL, "--host", "web1"))
	js := nats.JetStream()
	supervisordtest.Wait(t, 20*time.Second, func() bool { return len(stored(t, js, stream.AllEvents)) > 0 }, "a first event")
	text := make([]string, n)
	for i := range text {
		text[i] = fmt.Sprintf("%05d ", i) + strings.Repeat("x", size-6)
	}
	start := time.Now()
	for i := 0; i < n; i += 1000 {
		if err := s.SendRemote("burst", text[i:i+1000]...); err != nil {
			t.Fatal(err)
		}
	}
	subject := schema.Subject{Host: "web1", Event: schema.RemoteCommunication, Type: "burst"}.String()
	supervisordtest.Wait(t, 60*time.Second, func() bool { return len(stored(t, js, subject)) >= n }, "%d events", n)
	t.Logf("%d events in %v", n, time.Since(start))
	var last uint64
	msgs := stored(t, js, subject)
	if len(msgs) != n {
		t.Fatalf("%d events are stored, %d were sent", len(msgs), n)
	}
	for i, m := range msgs {
		e := event(t, m)
		if *e.Data != text[i] {
			t.Fatalf("event %d is %q, sent was %q", i, *e.Data, text[i])
		}
		if e.Serial <= last {
			t.Fatalf("event %d has serial %d behind %d", i, e.Serial, last)
		}
		last = e.Serial
	}
}
