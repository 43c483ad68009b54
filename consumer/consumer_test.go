package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"supernats/consumer"
	"supernats/consumer/fleettest"
	"supernats/schema/stream"
)

func TestNewRefuses(t *testing.T) {
	_, js := start(t)
	good := consumer.Config{JetStream: js, Durable: "test", Handler: newHanded(nil)}
	if _, err := consumer.New(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*consumer.Config)
		want  string
	}{
		"no JetStream": {
			spoil: func(c *consumer.Config) { c.JetStream = nil },
			want:  "JetStream, Durable and Handler must be set",
		},
		"no durable": {
			spoil: func(c *consumer.Config) { c.Durable = "" },
			want:  "JetStream, Durable and Handler must be set",
		},
		"no handler": {
			spoil: func(c *consumer.Config) { c.Handler = nil },
			want:  "JetStream, Durable and Handler must be set",
		},
		"a dot": {
			spoil: func(c *consumer.Config) { c.Durable = "a.b" },
			want:  `invalid durable "a.b": want up to 200 letters`,
		},
		"a wildcard":       {spoil: func(c *consumer.Config) { c.Durable = ">" }, want: `durable ">"`},
		"a space":          {spoil: func(c *consumer.Config) { c.Durable = "a b" }, want: `durable "a b"`},
		"a letter of ours": {spoil: func(c *consumer.Config) { c.Durable = "é" }, want: `durable "é"`},
		"a long name": {
			spoil: func(c *consumer.Config) { c.Durable = strings.Repeat("a", 201) },
			want:  "up to 200",
		},
		"negative AckWait":  {spoil: func(c *consumer.Config) { c.AckWait = -1 }, want: "must not be negative"},
		"negative Prefetch": {spoil: func(c *consumer.Config) { c.Prefetch = -1 }, want: "must not be negative"},
		"negative BackOff": {
			spoil: func(c *consumer.Config) { c.BackOff = []time.Duration{1, -1} },
			want:  "must not be negative",
		},
	} {
		cfg := good
		c.spoil(&cfg)
		if _, err := consumer.New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHandledInOrderAndAcknowledged(t *testing.T) {
	for _, prefetch := range []int{0, 50} {
		t.Run(fmt.Sprint(prefetch), func(t *testing.T) {
			_, js := start(t)
			h := newHanded(nil)
			run(t, consumer.Config{JetStream: js, Handler: h, Prefetch: prefetch})
			for i := range 200 {
				publish(t, js, fmt.Sprint(i))
			}
			for i := range 200 {
				m := h.next(t)
				if m.Seq != uint64(i+1) || string(m.Data) != fmt.Sprint(i) || m.Subject != subject || m.Tries != 1 || time.Since(m.Stored) > time.Minute {
					t.Fatalf("message %d is %+v", i+1, m)
				}
			}
			settled(t, js, stream.Events, "test")
		})
	}
}

// A quick Handler never waits for the heartbeat of a request that nobody made.
func TestOneAfterTheOtherWithoutPauses(t *testing.T) {
	_, js := start(t)
	const n = 1500
	for i := range n {
		if _, err := js.PublishAsync(subject, []byte(fmt.Sprint(i)), jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	h := newHanded(nil)
	run(t, consumer.Config{JetStream: js, Handler: h})
	last := time.Now()
	for i := range n {
		h.next(t)
		if pause := time.Since(last); pause > 5*time.Second {
			t.Fatalf("message %d came after %v", i+1, pause)
		}
		last = time.Now()
	}
}

func TestErrorIsTriedAgainAfterTheBackOff(t *testing.T) {
	_, js := start(t)
	backOff := []time.Duration{400 * time.Millisecond, 600 * time.Millisecond}
	h := newHanded(func(m *consumer.Message) error {
		if m.Seq == 1 && m.Tries <= 3 {
			return errors.New("not yet")
		}
		return nil
	})
	run(t, consumer.Config{JetStream: js, Handler: h, BackOff: backOff})
	publish(t, js, "a", "b", "c")
	type try struct {
		Seq   uint64
		Tries int
	}
	var order []try
	var at []time.Time
	for range 6 {
		m := h.next(t)
		order = append(order, try{m.Seq, m.Tries})
		if m.Seq == 1 {
			at = append(at, time.Now())
		}
	}
	// The others do not wait.
	want := []try{{1, 1}, {2, 1}, {3, 1}, {1, 2}, {1, 3}, {1, 4}}
	if d := cmp.Diff(want, order); d != "" {
		t.Error(d)
	}
	for i, least := range []time.Duration{400 * time.Millisecond, 600 * time.Millisecond, 600 * time.Millisecond} {
		// The server's clock begins before ours, on a busy machine by some time.
		if gap := at[i+1].Sub(at[i]); gap < least/2 {
			t.Errorf("try %d came after %v, not %v", i+2, gap, least)
		}
	}
	settled(t, js, stream.Events, "test")
}

func TestNegativeMaxTriesNeverParks(t *testing.T) {
	_, js := start(t)
	h := newHanded(func(m *consumer.Message) error {
		if m.Tries < 25 {
			return errors.New("the server is down")
		}
		return nil
	})
	run(t, consumer.Config{JetStream: js, Handler: h, MaxTries: -1, BackOff: []time.Duration{time.Millisecond}})
	publish(t, js, "a")
	for i := range 25 {
		if m := h.next(t); m.Tries != i+1 {
			t.Fatalf("try %d says %d", i+1, m.Tries)
		}
	}
	settled(t, js, stream.Events, "test")
	if p := parked(t, js); len(p) != 0 {
		t.Errorf("%d are parked", len(p))
	}
}

func TestSlowHandlerIsNotRedelivered(t *testing.T) {
	_, js := start(t)
	h := newHanded(func(m *consumer.Message) error {
		if m.Seq == 1 {
			time.Sleep(2 * time.Second) // four times AckWait
		}
		return nil
	})
	run(t, consumer.Config{JetStream: js, Handler: h, AckWait: 500 * time.Millisecond})
	publish(t, js, "slow", "quick")
	for i := range 2 {
		if m := h.next(t); m.Seq != uint64(i+1) || m.Tries != 1 {
			t.Errorf("%d is message %d at try %d", i, m.Seq, m.Tries)
		}
	}
	settled(t, js, stream.Events, "test")
	c, err := js.Consumer(t.Context(), stream.Events, "test")
	if err != nil {
		t.Fatal(err)
	}
	if d := c.CachedInfo().Delivered.Consumer; d != 2 {
		t.Errorf("the server delivered %d times", d)
	}
}

func TestShortestAckWait(t *testing.T) {
	_, js := start(t)
	h := newHanded(func(*consumer.Message) error { time.Sleep(20 * time.Millisecond); return nil })
	run(t, consumer.Config{JetStream: js, Handler: h, AckWait: 2, MaxTries: -1}) // nanoseconds
	publish(t, js, "a")
	h.next(t)
}

func TestServerRestartLosesNothing(t *testing.T) {
	s, js := start(t)
	const n = 300
	half := make(chan bool)
	h := newHanded(func(m *consumer.Message) error {
		if m.Seq == n/2 {
			select {
			case half <- true: // the server goes while this one is handled
			case <-time.After(patience):
			}
		}
		return nil
	})
	run(t, consumer.Config{JetStream: js, Handler: h, Prefetch: 10, AckWait: time.Second})
	for i := range n {
		publish(t, js, fmt.Sprint(i))
	}
	go func() {
		for range half { // the message comes again
		}
	}()
	s.Stop()
	s.Restart()
	seen := map[uint64]bool{}
	for len(seen) < n {
		seen[h.next(t).Seq] = true
	}
	publish(t, js, "after")
	for h.next(t).Seq != n+1 {
	}
	settled(t, js, stream.Events, "test")
	close(half)
}

func TestConsumerDeletedOnTheServer(t *testing.T) {
	_, js := start(t)
	h := newHanded(nil)
	run(t, consumer.Config{JetStream: js, Handler: h, NewOnly: true})
	fleettest.Until(t, "the consumer is there", func() bool {
		_, err := js.Consumer(t.Context(), stream.Events, "test")
		return err == nil
	})
	publish(t, js, "a")
	h.next(t)
	fleettest.Until(t, "the next message is asked for", func() bool {
		c, err := js.Consumer(t.Context(), stream.Events, "test")
		return err == nil && c.CachedInfo().NumWaiting > 0 && c.CachedInfo().AckFloor.Stream == 1
	})
	if err := js.DeleteConsumer(t.Context(), stream.Events, "test"); err != nil {
		t.Fatal(err)
	}
	fleettest.Until(t, "the consumer is there again", func() bool {
		_, err := js.Consumer(t.Context(), stream.Events, "test")
		return err == nil
	})
	publish(t, js, "b")
	if m := h.next(t); string(m.Data) != "b" {
		t.Errorf("%s came", m.Data)
	}
}

// underWay runs a consumer until it has a message that its Handler is not done with. Nobody
// else gets what it has before it ends: AckWait is longer than any test.
func underWay(t *testing.T, cfg consumer.Config) (stop func()) {
	t.Helper()
	begun := make(chan bool, 1)
	cfg.AckWait = time.Hour
	cfg.Handler = consumer.HandlerFunc(func(ctx context.Context, _ *consumer.Message) error {
		begun <- true
		<-ctx.Done()
		return ctx.Err()
	})
	stop = run(t, cfg)

	select {
	case <-begun:
	case <-time.After(patience):
		t.Fatal("no message comes")
	}
	return stop
}

// The end waits for nothing, not even for an answer of the server. On a busy machine that is
// not seen each time.
func TestEndReturnsAtOnce(t *testing.T) {
	_, js := start(t)
	publish(t, js, "a")
	const tries = 5
	var took []time.Duration
	for n := range tries {
		stop := underWay(t, consumer.Config{JetStream: js, Durable: fmt.Sprint("test", n)})
		before := time.Now()
		stop()
		took = append(took, time.Since(before))
	}
	if fastest := slices.Min(took); fastest > 2*time.Second {
		t.Errorf("Run took %v to return", took)
	}
}

// A message that was under way comes again at once, not only after AckWait, and the one
// after it for the first time. The server answers a request while it still takes note of
// what was returned, so either may be the first.
func TestMessageUnderWayComesAgain(t *testing.T) {
	_, js := start(t)
	publish(t, js, "a", "b")
	underWay(t, consumer.Config{JetStream: js})()

	h := newHanded(nil)
	run(t, consumer.Config{JetStream: js, Handler: h, AckWait: time.Hour})
	tries := map[string]int{}
	for range 2 {
		m := h.next(t)
		tries[string(m.Data)] = m.Tries
	}
	if d := cmp.Diff(map[string]int{"a": 2, "b": 1}, tries); d != "" {
		t.Errorf("the tries of the messages: %s", d)
	}
}

// What was fetched ahead does not wait for AckWait either.
func TestPrefetchedMessagesComeAgainAtOnce(t *testing.T) {
	_, js := start(t)
	const n = 40
	publish(t, js, slices.Repeat([]string{"x"}, n)...)
	underWay(t, consumer.Config{JetStream: js, Prefetch: 30})()

	h := newHanded(nil)
	run(t, consumer.Config{JetStream: js, Handler: h, AckWait: time.Hour})
	for seen := map[uint64]bool{}; len(seen) < n; {
		seen[h.next(t).Seq] = true
	}
}

// A consumer that starts and ends all the time holds up nothing.
func TestManyRestarts(t *testing.T) {
	_, js := start(t)
	h := newHanded(nil)
	for i := range 30 {
		stop := run(t, consumer.Config{JetStream: js, Handler: h, MaxTries: -1})
		if i > 0 {
			before := time.Now()
			h.next(t)
			if d := time.Since(before); d > 10*time.Second {
				t.Fatalf("message %d came after %v", i, d)
			}
		}
		stop()
		publish(t, js, "x") // a request of the one before may still stand
	}
}

// What a Handler has done is acknowledged, although its context has ended meanwhile.
func TestDoneAtTheEndIsNotDoneAgain(t *testing.T) {
	_, js := start(t)
	publish(t, js, "a")
	begun := make(chan bool, 1)
	stop := run(t, consumer.Config{JetStream: js, Handler: consumer.HandlerFunc(func(ctx context.Context, _ *consumer.Message) error {
		begun <- true
		<-ctx.Done()
		return nil // the mail was accepted
	})})
	<-begun
	stop()
	settled(t, js, stream.Events, "test")
}

func TestWhereADurableBegins(t *testing.T) {
	_, js := start(t)
	publish(t, js, "1", "2")
	h := newHanded(nil)
	fresh := consumer.Config{JetStream: js, Durable: "fresh", Handler: h, NewOnly: true}
	c, err := consumer.New(fresh)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // to create it again changes nothing
		if err := c.Create(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, js, "3")
	stop := run(t, fresh)
	if m := h.next(t); string(m.Data) != "3" {
		t.Errorf("NewOnly begins with %s", m.Data)
	}
	settled(t, js, stream.Events, "fresh")
	stop()
	publish(t, js, "4")

	// It was created with NewOnly, and continues without it.
	fresh.NewOnly = false
	run(t, fresh)
	if m := h.next(t); string(m.Data) != "4" {
		t.Errorf("an old durable continues with %s", m.Data)
	}
	all := newHanded(nil)
	run(t, consumer.Config{JetStream: js, Durable: "all", Handler: all})
	if m := all.next(t); string(m.Data) != "1" {
		t.Errorf("a new durable begins with %s", m.Data)
	}
}

func TestSubjects(t *testing.T) {
	_, js := start(t)
	h := newHanded(nil)
	run(t, consumer.Config{JetStream: js, Handler: h, Subjects: []string{
		"supervisor.event.*.*.*.process_state.>", "supervisor.bridge.>",
	}})
	for i, s := range []string{"supervisor.snapshot.web1", "supervisor.bridge.web1.loss", "supervisor.event.web1.-.-.tick.5", subject} {
		if _, err := js.Publish(t.Context(), s, []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := h.next(t), h.next(t); a.Seq != 2 || b.Seq != 4 {
		t.Errorf("came %d and %d", a.Seq, b.Seq)
	}
}

func TestStreamThatComesLater(t *testing.T) {
	_, js := start(t)
	if err := js.DeleteStream(t.Context(), stream.Events); err != nil {
		t.Fatal(err)
	}
	h := newHanded(nil)
	run(t, consumer.Config{JetStream: js, Handler: h})
	if err := stream.EnsureEvents(t.Context(), js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	publish(t, js, "a")
	h.next(t)
}

func TestNothingIsLeftRunning(t *testing.T) {
	_, js := start(t)
	publish(t, js, slices.Repeat([]string{"x"}, 50)...)
	// The connection's own goroutines begin with its first request.
	warm := newHanded(nil)
	stop := run(t, consumer.Config{JetStream: js, Durable: "warm", Handler: warm})
	warm.next(t)
	stop()
	ignore := []goleak.Option{
		goleak.IgnoreCurrent(),
		// Those of the server in this process come and go.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*Server).startGoRoutine.func1"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*fileStore).flushLoop"),
	}
	for _, answer := range []func(*consumer.Message) error{
		nil,
		func(m *consumer.Message) error { return errors.New("no") },
		func(m *consumer.Message) error { time.Sleep(5 * time.Millisecond); return nil },
	} {
		h := newHanded(answer)
		stop := run(t, consumer.Config{JetStream: js, Durable: "leak", Handler: h, Prefetch: 20, AckWait: 10 * time.Millisecond, BackOff: []time.Duration{time.Millisecond}, MaxTries: -1})
		h.next(t)
		stop()
		if err := js.DeleteConsumer(t.Context(), stream.Events, "leak"); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			t.Fatal(err)
		}
		goleak.VerifyNone(t, ignore...)
	}
}
