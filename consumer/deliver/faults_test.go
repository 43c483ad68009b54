package deliver

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

	"supernats/consumer/fleettest"
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
	d.End()
	time.AfterFunc(100*time.Millisecond, func() { close(free) })
	d.Stop()
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
		// Accepted, and killed before or after that was known.
		_ = health.Sleep(ctx, time.Duration(rand.N(1500))*time.Microsecond)
		return nil
	}}
	var dead *atomic.Bool
	deliver := func() running {
		dead = new(atomic.Bool)
		own := dead
		return f.deliver(r, func(d *Delivery) {
			d.options.Held = func() error {
				if own.Load() {
					return lease.ErrLost
				}
				return nil
			}
		})
	}
	d := deliver()
	published := f.alertSlowly(all)
	kills := 0
	for done := false; !done; kills++ {
		select {
		case <-published:
			done = true
		case <-time.After(time.Duration(rand.N(20_000)) * time.Microsecond):
		}
		dead.Store(true)
		d.Kill()
		d = deliver()
	}
	f.delivered(r)
	d.Stop()
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

// Sent, and the server is gone before it knows of it.
func TestServerIsGoneWhenABatchIsSent(t *testing.T) {
	f := newFleet(t)
	f.impatient()
	r := &receiver{name: "mail/ops@example.com"}
	stopped := sync.OnceFunc(f.Server.Stop)
	r.says(func(context.Context, batch) error { stopped(); return nil })
	f.deliver(r)
	f.alert("a")
	f.Until("it is sent", func() bool { return len(r.got()) == 1 })
	f.Server.Restart()
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
	published := f.alertSlowly(all)
	for done := false; !done; {
		select {
		case <-published:
			done = true
		case <-time.After(time.Duration(rand.N(300)) * time.Millisecond):
			f.Server.Stop()
			f.Server.Restart()
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
	p := streamtest.NewProxy(t, f.JS.Conn().ConnectedAddr())
	r := &receiver{name: "mail/ops@example.com"}
	far := p.JetStream()
	d := newDelivery(far, Addressee{Receiver: r, Called: "mail"})
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
	d := f.newDelivery(old)
	var lost atomic.Bool
	d.options.Held = func() error {
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
	frozen := running{fleettest.Start(t, d.Run)}
	f.Until("it has a queue", func() bool {
		_, err := f.JS.Consumer(t.Context(), stream.Alerts, stream.ReceiverConsumer(old.name))
		return err == nil
	})
	f.alert("a")
	f.Until("it is tried", func() bool { return len(old.tried()) == 1 })
	now := &receiver{name: old.name}
	f.deliver(now)
	f.alert("b")
	f.delivered(now)
	close(wake)
	f.alert("c")
	f.delivered(now)
	frozen.Kill()
	if d := cmp.Diff([]string{"a", "b", "c"}, now.got()); d != "" {
		t.Error(d)
	}
	// The batch in flight is the one that may come twice.
	if got := old.got(); len(got) > 1 {
		t.Errorf("the old one has delivered %v", got)
	}
}

// The consumer is gone, as after a kill between its end and its new beginning.
func TestQueueThatIsGoneContinues(t *testing.T) {
	f := newFleet(t)
	r := f.hasDelivered("mail/ops@example.com", "a", "b")
	f.alert("c")
	d := f.deliver(r)
	f.delivered(r)
	if err := f.JS.DeleteConsumer(t.Context(), stream.Alerts, stream.ReceiverConsumer(r.name)); err != nil {
		t.Fatal(err)
	}
	f.alert("d")
	f.delivered(r)
	d.Stop()
	f.alert("e")
	r.says(always(errors.New("down")))
	d = f.deliver(r)
	before := len(r.tried())
	f.Until("it is tried", func() bool { return len(r.tried()) > before })
	d.Kill()
	if err := f.JS.DeleteConsumer(t.Context(), stream.Alerts, stream.ReceiverConsumer(r.name)); err != nil {
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

// Another stream of notifications, whose sequences begin again.
func TestStreamIsReplaced(t *testing.T) {
	f := newFleet(t)
	r := f.hasDelivered("mail/ops@example.com", "a", "b", "c")
	if err := f.JS.DeleteStream(t.Context(), stream.Alerts); err != nil {
		t.Fatal(err)
	}
	if err := stream.EnsureAll(t.Context(), f.JS, stream.DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	f.alert("d")
	f.deliver(r)
	f.delivered(r)
	if d := cmp.Diff([]string{"a", "b", "c", "d"}, r.got()); d != "" {
		t.Error(d)
	}
}

// The records of positions are lost while no daemon runs: who has taken notifications
// before was there before.
func TestReceiverWithoutPositionIsNotNew(t *testing.T) {
	f := newFleet(t)
	r := f.hasDelivered("mail/ops", "a", "b")
	name := stream.ReceiverConsumer(r.name)
	if err := f.Bucket(stream.LeasesBucket).Purge(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	d := f.deliver(r)
	f.alert("c")
	f.delivered(r)
	d.Stop()

	e, err := f.Bucket(stream.LeasesBucket).Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	var at stream.Position
	if f.Unmarshal(e.Value(), &at); at.Begin != 0 || at.Done == 0 {
		t.Errorf("%s", e.Value())
	}
	if got := r.got(); len(got) != 3 {
		t.Errorf("delivered are %q", got)
	}
}
