package app

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer"
	"supernats/consumer/health"
	"supernats/consumer/lease"
	"supernats/schema/stream"
	"supernats/schema/stream/streamtest"
)

// A stop lets what is under way end: breaking it off might send it twice.
func TestStopLetsABatchEnd(t *testing.T) {
	f := newFleet(t)
	begun, free := make(chan bool), make(chan bool)
	r := &receiver{name: "mail/ops@example.com", answer: func(ctx context.Context, _ batch) error {
		close(begun)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-free:
			return nil
		}
	}}
	d := f.deliver(r)
	f.alert("a")
	<-begun
	d.end(nil)
	time.AfterFunc(100*time.Millisecond, func() { close(free) })
	d.stop()
	r.says(nil)
	f.deliver(r)
	f.alert("b")
	f.delivered(r)
	if d := cmp.Diff([][]string{{"a"}, {"b"}}, r.batches()); d != "" {
		t.Error(d)
	}
	if n := len(r.tried()); n != 2 {
		t.Errorf("%d tries", n)
	}
}

// Killed in the middle again and again: nothing is lost, and what comes twice is a
// whole batch that was under way, with nothing between.
func TestKilledInTheMiddle(t *testing.T) {
	f := newFleet(t)
	all := numbered(400)
	r := &receiver{name: "mail/ops@example.com", answer: func(ctx context.Context, _ batch) error {
		// Accepted, and killed before or after it was heard of.
		_ = health.Sleep(ctx, time.Duration(rand.N(1500))*time.Microsecond)
		return nil
	}}
	var dead *atomic.Bool
	deliver := func() *running {
		dead = new(atomic.Bool)
		own := dead
		return f.deliver(r, func(d *delivery) {
			d.held = func() error {
				if own.Load() {
					return lease.ErrLost
				}
				return nil
			}
		})
	}
	d := deliver()
	published := make(chan bool)
	go func() {
		defer close(published)
		for _, p := range all {
			f.alert(p)
			time.Sleep(time.Duration(rand.N(5)) * time.Millisecond)
		}
	}()
	kills := 0
	for done := false; !done; kills++ {
		select {
		case <-published:
			done = true
		case <-time.After(time.Duration(rand.N(20_000)) * time.Microsecond):
		}
		dead.Store(true)
		d.kill()
		d = deliver()
	}
	f.delivered(r)
	d.stop()
	var got []string
	twice := 0
	batches := r.batches()
	for i, b := range batches {
		if i > 0 && slices.Equal(b, batches[i-1]) {
			twice++
			continue
		}
		got = append(got, b...)
	}
	if d := cmp.Diff(all, got); d != "" {
		t.Error(d)
	}
	t.Logf("%d kills, %d batches, %d twice", kills, len(batches), twice)
}

// Sent, and the server is gone before it heard of it.
func TestServerIsGoneWhenABatchIsSent(t *testing.T) {
	f := newFleet(t)
	f.impatient()
	r := &receiver{name: "mail/ops@example.com"}
	stopped := sync.OnceFunc(f.server.Stop)
	r.says(func(context.Context, batch) error { stopped(); return nil })
	f.deliver(r)
	f.alert("a")
	f.until("it is sent", func() bool { return len(r.got()) == 1 })
	f.server.Restart()
	f.alert("b")
	f.delivered(r)
	if d := cmp.Diff([][]string{{"a"}, {"b"}}, r.batches()); d != "" {
		t.Error(d)
	}
}

func TestServerRestartsWhileDelivering(t *testing.T) {
	f := newFleet(t)
	f.impatient()
	r := &receiver{name: "mail/ops@example.com"}
	f.deliver(r)
	all := numbered(150)
	published := make(chan bool)
	go func() {
		defer close(published)
		for _, p := range all {
			f.alert(p)
			time.Sleep(time.Duration(rand.N(5)) * time.Millisecond)
		}
	}()
	for done := false; !done; {
		select {
		case <-published:
			done = true
		case <-time.After(time.Duration(rand.N(300)) * time.Millisecond):
			f.server.Stop()
			f.server.Restart()
		}
	}
	f.delivered(r)
	if d := cmp.Diff(all, r.got()); d != "" {
		t.Error(d)
	}
}

// What the server sends into a connection that breaks is not acknowledged along
// with what comes after it.
func TestNotificationsLostOnTheWay(t *testing.T) {
	f := newFleet(t)
	p := streamtest.NewProxy(t, f.js.Conn().ConnectedAddr())
	r := &receiver{name: "mail/ops@example.com"}
	far := p.JetStream()
	d := newDelivery(far, addressee{Receiver: r, name: "mail"}, isHeld, quick(), zerolog.Nop())
	f.runDelivery(d)
	var all []string
	for i, name := range numbered(40) {
		all = append(all, name)
		switch i % 4 {
		case 1:
			p.SetFault(streamtest.LosesAnswers) // what comes now is lost
		case 2:
			p.SetFault(streamtest.NoFault)
			p.Cut()
		}
		f.alert(name)
		if i%4 == 3 {
			f.delivered(r)
		}
	}
	f.delivered(r)
	if d := cmp.Diff(all, r.got()); d != "" {
		t.Error(d)
	}
}

// An instance that was frozen while another took over sends nothing more.
func TestAnotherInstanceTakesOver(t *testing.T) {
	f := newFleet(t)
	wake := make(chan bool)
	old := &receiver{name: "mail/ops@example.com", answer: always(errors.New("451 try later"))}
	d := f.delivery(old)
	var lost atomic.Bool
	d.held = func() error {
		if lost.Load() {
			return lease.ErrLost
		}
		if len(old.tried()) == 1 { // it freezes after this look at the clock
			<-wake
			lost.Store(true)
			old.says(nil)
		}
		return nil
	}
	frozen := start(t, d.Run)
	f.until("it has a queue", func() bool {
		_, err := f.js.Consumer(t.Context(), stream.Alerts, deliveryName(old.name))
		return err == nil
	})
	f.alert("a")
	f.until("it is tried", func() bool { return len(old.tried()) == 1 })
	now := &receiver{name: old.name}
	f.deliver(now)
	f.alert("b")
	f.delivered(now)
	close(wake)
	f.alert("c")
	f.delivered(now)
	frozen.kill()
	if d := cmp.Diff([]string{"a", "b", "c"}, now.got()); d != "" {
		t.Error(d)
	}
	// The batch in flight is the one that may come twice.
	if got := old.got(); len(got) > 1 {
		t.Errorf("the old one has delivered %v", got)
	}
}

// Whatever the clock says, the position of a queue has one writer.
func TestQueueThatAnotherHasOpened(t *testing.T) {
	f := newFleet(t)
	a, b := newInbox(f.js, "mail/ops@example.com", zerolog.Nop()), newInbox(f.js, "mail/ops@example.com", zerolog.Nop())
	for _, i := range []*inbox{a, b} {
		if err := i.open(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.begin(t.Context(), 1); !stream.IsWrongLast(err) {
		t.Errorf("the first one may send: %v", err)
	}
	if err := b.begin(t.Context(), 1); err != nil {
		t.Error(err)
	}
}

// The consumer is gone, as after a kill between its end and its new beginning.
func TestQueueThatIsGoneGoesOn(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com"}
	d := f.deliver(r)
	f.alert("a", "b")
	f.delivered(r)
	d.stop()
	f.alert("c")
	d = f.deliver(r)
	f.delivered(r)
	if err := f.js.DeleteConsumer(t.Context(), stream.Alerts, deliveryName(r.name)); err != nil {
		t.Fatal(err)
	}
	f.alert("d")
	f.delivered(r)
	d.stop()
	f.alert("e")
	r.says(always(errors.New("down")))
	d = f.deliver(r)
	before := len(r.tried())
	f.until("it is tried", func() bool { return len(r.tried()) > before })
	d.kill()
	if err := f.js.DeleteConsumer(t.Context(), stream.Alerts, deliveryName(r.name)); err != nil {
		t.Fatal(err)
	}
	r.says(nil)
	f.alert("f")
	f.deliver(r)
	f.delivered(r)
	got := r.got()
	if d := cmp.Diff([]string{"c", "d", "e", "f"}, got[len(got)-4:]); d != "" {
		t.Error(d)
	}
}

// Another stream of notifications, whose numbers begin anew.
func TestStreamIsMadeAnew(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com"}
	d := f.deliver(r)
	f.alert("a", "b", "c")
	f.delivered(r)
	d.stop()
	if err := f.js.DeleteStream(t.Context(), stream.Alerts); err != nil {
		t.Fatal(err)
	}
	if err := stream.EnsureAll(t.Context(), f.js, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	f.alert("d")
	f.deliver(r)
	f.delivered(r)
	if d := cmp.Diff([]string{"a", "b", "c", "d"}, r.got()); d != "" {
		t.Error(d)
	}
}

// A queue of the version before: each notification had its own acknowledgement,
// and those that failed were waiting for their next try among others that had not.
func TestQueueOfTheVersionBefore(t *testing.T) {
	for name, c := range map[string]struct {
		failing, want []string
		restart       bool
	}{
		"nothing came yet":            {nil, nil, false},
		"a restart, nothing came yet": {nil, nil, true},
		"none in flight":              {[]string{}, nil, false},
		"some in flight":              {[]string{"p0001", "p0002", "p0005"}, []string{"p0001", "p0002", "p0005"}, false},
		"a restart, some in flight":   {[]string{"p0000", "p0007", "p0009"}, []string{"p0000", "p0007", "p0009"}, true},
		"all in flight":               {numbered(10), numbered(10), false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			f.alert("long ago")
			r := &receiver{name: "mail/ops@example.com"}
			var mu sync.Mutex
			handled := map[uint64]bool{}
			before, err := consumer.New(consumer.Config{
				JetStream: f.js, Stream: stream.Alerts, Durable: deliveryName(r.name), NewOnly: true, MaxTries: -1,
				BackOff: []time.Duration{5 * time.Minute}, Log: zerolog.Nop(),
				Handler: consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
					mu.Lock()
					defer mu.Unlock()
					handled[m.Seq] = true
					n, err := decode(m.Subject, m.Data)
					if err == nil && slices.Contains(c.failing, n.Data.Process) {
						err = errors.New("down")
					}
					return err
				}),
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := before.Create(t.Context()); err != nil {
				t.Fatal(err)
			}
			if c.failing != nil {
				run := start(t, before.Run)
				f.alert(numbered(10)...)
				f.until("all were tried", func() bool { mu.Lock(); defer mu.Unlock(); return len(handled) == 10 })
				f.until("the server knows", func() bool {
					info, err := f.js.Consumer(t.Context(), stream.Alerts, deliveryName(r.name))
					return err == nil && info.CachedInfo().NumAckPending == len(c.failing)
				})
				run.stop()
			}
			if c.restart {
				f.server.Stop()
				f.server.Restart()
			}
			f.alert("after it")
			r.says(always(errors.New("down")))
			d := f.deliver(r)
			f.until("it is tried", func() bool { return len(r.tried()) > 0 })
			d.kill() // in the middle of the change
			r.says(nil)
			f.deliver(r)
			f.alert("new")
			f.delivered(r)
			if d := cmp.Diff(append(slices.Clone(c.want), "after it", "new"), r.got()); d != "" {
				t.Error(d)
			}
			f.until("the consumer is one of now", func() bool {
				now, err := f.js.Consumer(t.Context(), stream.Alerts, deliveryName(r.name))
				return err == nil && now.CachedInfo().Config.AckPolicy == jetstream.AckAllPolicy
			})
		})
	}
}
