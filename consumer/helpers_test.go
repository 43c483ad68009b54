package consumer_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/fleettest"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

const subject = "supervisor.event.web1.api.api_00.process_state.exited"

// start runs a server with all streams.
func start(t *testing.T) (*streamtest.Server, jetstream.JetStream) {
	t.Helper()
	s := streamtest.Start(t)
	js := s.JetStream()
	if err := stream.EnsureAll(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	return s, js
}

func publish(t *testing.T, js jetstream.JetStream, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		if _, err := js.Publish(t.Context(), subject, []byte(p)); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs a consumer until the test ends or stop is called, which waits.
func run(t *testing.T, cfg consumer.Config) (stop func()) {
	t.Helper()
	if cfg.Durable == "" {
		cfg.Durable = "test"
	}
	c, err := consumer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return fleettest.Start(t, c.Run).Stop
}

// handed is a Handler that hands each message to the test and answers what it
// says.
type handed struct {
	got    chan *consumer.Message
	answer func(m *consumer.Message) error
}

func newHanded(answer func(m *consumer.Message) error) *handed {
	return &handed{got: make(chan *consumer.Message, 1000), answer: answer}
}

func (h *handed) Handle(ctx context.Context, m *consumer.Message) error {
	select {
	case h.got <- m:
	case <-ctx.Done():
		return ctx.Err()
	}
	if h.answer == nil {
		return nil
	}
	return h.answer(m)
}

func (h *handed) next(t *testing.T) *consumer.Message {
	t.Helper()
	select {
	case m := <-h.got:
		return m
	case <-time.After(patience):
		t.Fatal("no message comes")
		return nil
	}
}

// settled waits until the server has seen everything acknowledged or given up.
func settled(t *testing.T, js jetstream.JetStream, streamName, durable string) {
	t.Helper()
	s, err := js.Stream(t.Context(), streamName)
	if err != nil {
		t.Fatal(err)
	}
	last := s.CachedInfo().State.LastSeq
	fleettest.Until(t, "nothing is pending", func() bool {
		c, err := js.Consumer(t.Context(), streamName, durable)
		return err == nil && c.CachedInfo().NumAckPending == 0 && c.CachedInfo().AckFloor.Stream >= last
	})
}

// parked reads the stream of parked messages.
func parked(t *testing.T, js jetstream.JetStream) []*jetstream.RawStreamMsg {
	t.Helper()
	return fleettest.Messages(t, js, stream.Parked)
}
