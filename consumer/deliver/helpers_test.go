package deliver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/fleettest"
	"supernats/consumer/health"
	"supernats/consumer/lease"
	"supernats/schema"
	"supernats/schema/stream"
)

type batch = []*schema.CloudEvent[*schema.Notification]

// receiver is a notify.Receiver that answers what the test says, and remembers by
// their processes what it was asked to deliver and what it accepted.
type receiver struct {
	name   string
	answer func(ctx context.Context, b batch) error

	mu       sync.Mutex
	tries    [][]string
	accepted [][]string
}

func (r *receiver) Name() string { return r.name }

func processes(b batch) (list []string) {
	for _, n := range b {
		list = append(list, n.Data.Process)
	}
	return list
}

func (r *receiver) Notify(ctx context.Context, b batch) error {
	r.mu.Lock()
	r.tries = append(r.tries, processes(b))
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		if err := answer(ctx, b); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accepted = append(r.accepted, processes(b))
	return nil
}

func (r *receiver) says(answer func(context.Context, batch) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// tried returns the batches that it was asked to deliver.
func (r *receiver) tried() [][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.tries)
}

// batches returns those that it accepted, got what is in them.
func (r *receiver) batches() [][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.accepted)
}

func (r *receiver) got() []string { return slices.Concat(r.batches()...) }

// always answers with one error.
func always(err error) func(context.Context, batch) error {
	return func(context.Context, batch) error { return err }
}

// refusing refuses a batch with any of these in it.
func refusing(err error, bad ...string) func(context.Context, batch) error {
	return func(_ context.Context, b batch) error {
		if slices.ContainsFunc(bad, func(p string) bool { return slices.Contains(processes(b), p) }) {
			return err
		}
		return nil
	}
}

// quick is a timing that waits for nothing.
func quick() timing {
	ms := time.Millisecond
	return timing{first: ms, last: 4 * ms, patience: 3, patienceFor: time.Hour, spacing: ms, parkedFirst: time.Hour, parkedMax: time.Hour, idle: 50 * ms}
}

// newDelivery waits for nothing, and is always the active one.
func newDelivery(js jetstream.JetStream, to Addressee) *Delivery {
	d := New(js, to, Options{Held: func() error { return nil }, Log: zerolog.Nop()})
	d.timing = quick()
	return d
}

// fleet is a server with the notifications for receivers.
type fleet struct{ *fleettest.Fleet }

func newFleet(t *testing.T) *fleet { return &fleet{fleettest.New(t)} }

// delivery makes one for a receiver that rules know by the part before the slash.
func (f *fleet) newDelivery(r *receiver, change ...func(*Delivery)) *Delivery {
	d := newDelivery(f.JS, Addressee{Receiver: r, Called: "mail"})
	for _, c := range change {
		c(d)
	}
	return d
}

// deliver runs the delivery of a receiver. It returns when the queue is there.
func (f *fleet) deliver(r *receiver, change ...func(*Delivery)) running {
	f.Helper()
	return f.runDelivery(f.newDelivery(r, change...))
}

func (f *fleet) runDelivery(d *Delivery) running {
	f.Helper()
	again := health.Retry{Log: zerolog.Nop()} // as the daemon does: the one before may be writing
	if err := again.Until(f.Context(), func() error { return d.Create(f.Context()) }); err != nil {
		f.Fatal(err)
	}
	return running{fleettest.Start(f.T, d.Run)}
}

// running is a delivery that runs.
type running struct{ *fleettest.Running }

// Kill ends it as when another instance takes over: with nothing that is under way brought
// to its end.
func (r running) Kill() { r.Interrupt(lease.ErrLost) }

// impatient makes requests that were lost with a connection fail soon.
func (f *fleet) impatient() {
	f.Helper()
	js, err := jetstream.New(f.JS.Conn(), jetstream.WithDefaultTimeout(500*time.Millisecond))
	if err != nil {
		f.Fatal(err)
	}
	f.JS = js
}

// alert publishes a notification about each process.
func (f *fleet) alert(processes ...string) {
	f.Helper()
	f.alertFor(nil, processes...)
}

// alertFor publishes one for some receivers.
func (f *fleet) alertFor(receivers []string, processes ...string) {
	f.Helper()
	f.alertAs("", receivers, processes...)
}

// alertIDs publishes about processes of which there may have been notifications.
func (f *fleet) alertIDs(prefix string, processes ...string) {
	f.Helper()
	f.alertAs(prefix, nil, processes...)
}

func (f *fleet) alertAs(prefix string, receivers []string, processes ...string) {
	f.Helper()
	for _, p := range processes {
		a := &schema.Notification{Incident: prefix + p, Rule: "fatal", Severity: "critical", Host: "web1", Group: "api", Process: p, Count: 1, Notify: receivers}
		id := prefix + p + "/1"
		b := f.JSON(a.Envelope(id, schema.TypeAlertFiring, time.Now()))
		f.Until("the notification is stored", func() bool { // the server may be away
			ctx, cancel := context.WithTimeout(f.Context(), time.Second)
			defer cancel()
			_, err := f.JS.Publish(ctx, a.Subject(), []byte(b), jetstream.WithMsgID(id))
			return err == nil
		})
	}
}

// delivered waits until nothing waits for a receiver.
func (f *fleet) delivered(r *receiver) {
	f.Helper()
	var last uint64
	f.Until("the stream is there", func() bool {
		ctx, cancel := context.WithTimeout(f.Context(), time.Second)
		defer cancel()
		s, err := f.JS.Stream(ctx, stream.Alerts)
		if err == nil {
			last = s.CachedInfo().State.LastSeq
		}
		return err == nil
	})
	f.Until("everything is delivered to "+r.name, func() bool {
		ctx, cancel := context.WithTimeout(f.Context(), time.Second)
		defer cancel()
		c, err := f.JS.Consumer(ctx, stream.Alerts, stream.ReceiverConsumer(r.name))
		return err == nil && c.CachedInfo().NumAckPending == 0 && c.CachedInfo().AckFloor.Stream >= last
	})
}

// parkedNow is how many messages are in the stream of parked ones.
func (f *fleet) parkedNow() uint64 {
	f.Helper()
	s, err := f.JS.Stream(f.Context(), stream.Parked)
	if err != nil {
		f.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func numbered(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("p%04d", i))
	}
	return list
}

// alertSlowly publishes alerts one after the other, and closes published after the last one.
func (f *fleet) alertSlowly(all []string) (published <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, p := range all {
			f.alert(p)
			time.Sleep(time.Duration(rand.N(5)) * time.Millisecond)
		}
	}()
	return done
}

// hasDelivered is a receiver that has taken alerts from a delivery that was stopped since.
func (f *fleet) hasDelivered(name string, alerts ...string) *receiver {
	f.Helper()
	r := &receiver{name: name}
	d := f.deliver(r)
	f.alert(alerts...)
	f.delivered(r)
	d.Stop()
	return r
}
