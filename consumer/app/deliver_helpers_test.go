package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

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

func isHeld() error { return nil }

// delivery makes one for a receiver that rules know by the part before the slash.
func (f *fleet) delivery(r *receiver, change ...func(*delivery)) *delivery {
	d := newDelivery(f.js, addressee{Receiver: r, name: "mail"}, isHeld, quick(), zerolog.Nop())
	for _, c := range change {
		c(d)
	}
	return d
}

// deliver runs the delivery of a receiver. It returns when the queue is there.
func (f *fleet) deliver(r *receiver, change ...func(*delivery)) *running {
	f.Helper()
	return f.runDelivery(f.delivery(r, change...))
}

func (f *fleet) runDelivery(d *delivery) *running {
	f.Helper()
	again := health.Retry{Log: zerolog.Nop()} // as the daemon does: the one before may be writing
	if err := again.Until(f.Context(), func() error { return d.Create(f.Context()) }); err != nil {
		f.Fatal(err)
	}
	return start(f.T, d.Run)
}

// running is something that ends with a context.
type running struct {
	t    *testing.T
	end  context.CancelCauseFunc
	done chan struct{}
	err  error
}

func start(t *testing.T, do func(ctx context.Context) error) *running {
	ctx, end := context.WithCancelCause(context.Background())
	r := &running{t: t, end: end, done: make(chan struct{})}
	go func() {
		r.err = do(ctx)
		close(r.done)
	}()
	t.Cleanup(r.stop)
	return r
}

// stop ends it in a clean way, kill as when another instance takes over: with
// nothing that is under way brought to its end.
func (r *running) stop() { r.finish(nil) }
func (r *running) kill() { r.finish(lease.ErrLost) }

func (r *running) finish(cause error) {
	r.end(cause)
	select {
	case <-r.done:
		if !errors.Is(r.err, context.Canceled) {
			r.t.Errorf("it ended with %v", r.err)
		}
	case <-time.After(20 * time.Second):
		r.t.Fatal("it does not end")
	}
}

// impatient makes requests that were lost with a connection fail soon.
func (f *fleet) impatient() {
	f.Helper()
	js, err := jetstream.New(f.js.Conn(), jetstream.WithDefaultTimeout(500*time.Millisecond))
	if err != nil {
		f.Fatal(err)
	}
	f.js = js
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
		b := f.json(a.Envelope(id, schema.TypeAlertFiring, time.Now()))
		f.until("the notification is stored", func() bool { // the server may be away
			ctx, cancel := context.WithTimeout(f.Context(), time.Second)
			defer cancel()
			_, err := f.js.Publish(ctx, a.Subject(), []byte(b), jetstream.WithMsgID(id))
			return err == nil
		})
	}
}

// delivered waits until nothing waits for a receiver.
func (f *fleet) delivered(r *receiver) {
	f.Helper()
	var last uint64
	f.until("the stream is there", func() bool {
		ctx, cancel := context.WithTimeout(f.Context(), time.Second)
		defer cancel()
		s, err := f.js.Stream(ctx, stream.Alerts)
		if err == nil {
			last = s.CachedInfo().State.LastSeq
		}
		return err == nil
	})
	f.until("everything is delivered to "+r.name, func() bool {
		ctx, cancel := context.WithTimeout(f.Context(), time.Second)
		defer cancel()
		c, err := f.js.Consumer(ctx, stream.Alerts, deliveryName(r.name))
		return err == nil && c.CachedInfo().NumAckPending == 0 && c.CachedInfo().AckFloor.Stream >= last
	})
}

// parkedNow is how many messages are in the stream of parked ones.
func (f *fleet) parkedNow() uint64 {
	f.Helper()
	s, err := f.js.Stream(f.Context(), stream.Parked)
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
