package consumertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer"
	"supernats/schema"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

const durable = "conformance"

// bench is a server with events, and the target that handles them.
type bench struct {
	target Target
	server *streamtest.Server
	js     jetstream.JetStream
	log    zerolog.Logger
	// ids are those of the events made, in their order.
	ids []string
	// stops end what was started.
	stops []func()
}

func newBench(t *testing.T, target Target) *bench {
	t.Helper()
	s := streamtest.Start(t)
	log := zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel)
	b := &bench{target: target, server: s, js: s.JetStream(), log: log}
	if err := stream.EnsureAll(t.Context(), b.js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.end)
	return b
}

// end stops what was started, the last one first.
func (b *bench) end() {
	for _, stop := range slices.Backward(b.stops) {
		stop()
	}
	b.stops = nil
}

// open opens the target. If the caller does not call stop, the end of the bench does.
func (b *bench) open(ctx context.Context) (h consumer.Handler, stop func() error, err error) {
	h, stop, err = b.target.Open(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("open the target: %w", err)
	}
	if h == nil || stop == nil {
		return nil, nil, errors.New("open the target: want a Handler and a stop")
	}

	stopped := false
	stopOnce := func() error {
		if stopped {
			return nil
		}
		stopped = true
		return stop()
	}
	b.stops = append(b.stops, func() { _ = stopOnce() })
	return h, stopOnce, nil
}

// nextEvent makes an event: a crash of one of four processes.
func (b *bench) nextEvent() (subject string, payload []byte) {
	n := len(b.ids) + 1

	e := &schema.Event{
		Event:      schema.ProcessStateExited,
		Host:       "web1",
		Server:     "supervisor",
		Boot:       "4f0c6d1e2a90b7c3",
		Serial:     uint64(n),
		Pool:       "supernats",
		PoolSerial: uint64(n),
		Group:      "api",
		Process:    fmt.Sprintf("api_%02d", n%4),
		FromState:  schema.StateRunning,
		Expected:   new(false),
		PID:        1000 + n,
		Exit:       &schema.Exit{Code: new(n % 256)},
	}
	b.ids = append(b.ids, e.ID())
	payload, err := schema.Marshal(e.Envelope(time.Date(2026, 11, 21, 19, 0, n, 0, time.UTC)))
	if err != nil {
		panic(err) // a struct of ours
	}
	return e.Subject(), payload
}

// publish publishes n events.
func (b *bench) publish(ctx context.Context, n int) error {
	for range n {
		subject, payload := b.nextEvent()
		if _, err := b.js.Publish(ctx, subject, payload, jetstream.WithMsgID(b.ids[len(b.ids)-1])); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return nil
}

// nextMessage makes an event and returns it as a Handler gets it, without a server.
func (b *bench) nextMessage() *consumer.Message {
	subject, payload := b.nextEvent()
	n := len(b.ids)
	return &consumer.Message{
		Subject: subject, ID: b.ids[n-1], Data: payload, Seq: uint64(n), Stored: time.Now(), Tries: 1,
	}
}

// run runs a consumer with a Handler until stop, which waits for its end.
func (b *bench) run(h consumer.Handler) (stop func(), err error) {
	c, err := consumer.New(consumer.Config{
		JetStream: b.js,
		Durable:   durable,
		Handler:   h,
		MaxTries:  5,
		AckWait:   5 * time.Second,
		BackOff:   []time.Duration{10 * time.Millisecond},
		Log:       b.log,
	})
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	b.stops = append(b.stops, stop)
	return stop, nil
}

// waitSettled waits until the server has an acknowledgement of every message.
func (b *bench) waitSettled(ctx context.Context) error {
	return b.until(ctx, "every message is acknowledged", func() bool {
		s, err := b.js.Stream(ctx, stream.Events)
		if err != nil {
			return false
		}
		c, err := s.Consumer(ctx, durable)
		if err != nil {
			return false
		}

		// A consumer that was just created may not know yet what is pending.
		info := c.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0 &&
			info.Delivered.Stream >= s.CachedInfo().State.LastSeq
	})
}

func (b *bench) until(ctx context.Context, what string, holds func() bool) error {
	for end := time.Now().Add(Patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if ctx.Err() != nil || time.Now().After(end) {
			return fmt.Errorf("never: %s", what)
		}
	}
	return nil
}

// checkEffects compares the effects in the store with the events that were made, and their
// order if inOrder is set.
func (b *bench) checkEffects(ctx context.Context, inOrder bool) error {
	got, err := b.target.Effects(ctx)
	if err != nil {
		return fmt.Errorf("read the effects: %w", err)
	}

	times := map[string]int{}
	for _, id := range got {
		times[id]++
	}

	var errs []error
	for _, id := range b.ids {
		if times[id] != 1 {
			errs = append(errs, fmt.Errorf("event %s had its effect %d times", id, times[id]))
		}
		delete(times, id)
	}
	for id, n := range times {
		errs = append(errs, fmt.Errorf("%d effects of %q, which is no event", n, id))
	}
	if len(errs) == 0 && inOrder && !slices.Equal(got, b.ids) {
		errs = append(errs, fmt.Errorf("the order of the effects is %v", got))
	}

	if n := len(errs); n > 5 {
		errs = append(errs[:5], fmt.Errorf("and %d more", n-5))
	}
	return errors.Join(errs...)
}
