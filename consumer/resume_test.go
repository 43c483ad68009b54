package consumer_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer"
	"supernats/consumer/fleettest"
	"supernats/schema/stream"
)

// A durable or a stream that vanishes while a consumer runs is made again where it was:
// nothing is missed and nothing comes twice, also for one that began with new messages.
func TestWhatVanishesIsMadeAgain(t *testing.T) {
	for name, remove := range map[string]func(js jetstream.JetStream) error{
		"durable": func(js jetstream.JetStream) error { return js.DeleteConsumer(t.Context(), stream.Events, "test") },
		"stream": func(js jetstream.JetStream) error {
			if err := js.DeleteStream(t.Context(), stream.Events); err != nil {
				return err
			}
			return stream.EnsureAll(t.Context(), js, stream.DefaultLimits())
		},
	} {
		for _, newOnly := range []bool{false, true} {
			for _, some := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, new only %t, some handled %t", name, newOnly, some), func(t *testing.T) {
					_, js := start(t)
					if newOnly {
						publish(t, js, "old")
					}
					h := newHanded(nil)
					c := consumer.Config{JetStream: js, Handler: h, Durable: "test", NewOnly: newOnly}
					run(t, c)
					fleettest.Until(t, "the durable is there", func() bool {
						_, err := js.Consumer(t.Context(), stream.Events, "test")
						return err == nil
					})
					if some {
						publish(t, js, "a", "b")
						for _, want := range []string{"a", "b"} {
							if m := h.next(t); string(m.Data) != want {
								t.Fatalf("%s came, want %s", m.Data, want)
							}
						}
						settled(t, js, stream.Events, "test")
					}

					if err := remove(js); err != nil {
						t.Fatal(err)
					}
					publish(t, js, "c", "d")
					for _, want := range []string{"c", "d"} {
						if m := h.next(t); string(m.Data) != want {
							t.Fatalf("%s came, want %s", m.Data, want)
						}
					}
				})
			}
		}
	}
}

// A connection that is closed for good is the end of Run, not a silence.
func TestClosedConnectionIsAnError(t *testing.T) {
	s, _ := start(t)
	nc, err := nats.Connect(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	c, err := consumer.New(consumer.Config{JetStream: js, Durable: "test", Handler: newHanded(nil)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(context.WithoutCancel(t.Context())) }()

	time.Sleep(100 * time.Millisecond)
	nc.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it ends without an error")
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

// Somebody's pause is kept.
func TestPauseIsKept(t *testing.T) {
	_, js := start(t)
	h := newHanded(nil)
	stop := run(t, consumer.Config{JetStream: js, Handler: h})
	publish(t, js, "a")
	h.next(t)
	settled(t, js, stream.Events, "test")
	stop()
	if _, err := js.PauseConsumer(t.Context(), stream.Events, "test", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	run(t, consumer.Config{JetStream: js, Handler: h})
	time.Sleep(200 * time.Millisecond)
	c, err := js.Consumer(t.Context(), stream.Events, "test")
	if err != nil || !c.CachedInfo().Paused {
		t.Fatalf("it is not paused any more: %v", err)
	}
	publish(t, js, "b")
	if _, err := js.ResumeConsumer(t.Context(), stream.Events, "test"); err != nil {
		t.Fatal(err)
	}
	if m := h.next(t); string(m.Data) != "b" {
		t.Errorf("%s came", m.Data)
	}
}
