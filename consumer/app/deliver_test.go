package app

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"supernats/consumer"
	"supernats/consumer/notify"
	"supernats/schema"
	"supernats/schema/stream"
)

// receiver is a notify.Receiver that answers what the test says, and remembers
// what it accepted.
type receiver struct {
	name   string
	answer func(ctx context.Context, n *schema.CloudEvent[*schema.Alert]) error

	mu       sync.Mutex
	calls    int
	accepted []string
}

func (r *receiver) Name() string { return r.name }

func (r *receiver) Notify(ctx context.Context, batch []*schema.CloudEvent[*schema.Alert]) error {
	n := batch[0]
	r.mu.Lock()
	r.calls++
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		if err := answer(ctx, n); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accepted = append(r.accepted, n.Data.Process)
	return nil
}

func (r *receiver) says(answer func(context.Context, *schema.CloudEvent[*schema.Alert]) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) got() (calls int, accepted []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls, slices.Clone(r.accepted)
}

// quick makes deliveries try again at once.
func quick(t *testing.T) {
	was := deliveryBackOff
	deliveryBackOff = []time.Duration{time.Millisecond}
	t.Cleanup(func() { deliveryBackOff = was })
}

// deliver runs the delivery of a receiver. It returns when the queue is there.
func (f *fleet) deliver(r *receiver) (stop func()) {
	f.Helper()
	d, err := newDelivery(f.js, r, zerolog.Nop())
	if err != nil {
		f.Fatal(err)
	}
	if err := d.Create(f.Context()); err != nil {
		f.Fatal(err)
	}
	return f.background(d.Run)
}

// alert publishes a notification about a process.
func (f *fleet) alert(processes ...string) {
	f.Helper()
	for _, p := range processes {
		a := &schema.Alert{Alert: p, Rule: "fatal", Severity: "critical", Host: "web1", Group: "api", Process: p, Count: 1}
		b, err := schema.Marshal(a.Envelope(p+"/1", schema.TypeAlertFiring, time.Now()))
		if err != nil {
			f.Fatal(err)
		}
		f.raw(a.Subject(), string(b))
	}
}

// delivered waits until nothing waits for a receiver.
func (f *fleet) delivered(r *receiver) {
	f.Helper()
	s, err := f.js.Stream(f.Context(), stream.Alerts)
	if err != nil {
		f.Fatal(err)
	}
	last := s.CachedInfo().State.LastSeq
	f.until("everything is delivered to "+r.name, func() bool {
		c, err := f.js.Consumer(f.Context(), stream.Alerts, deliveryName(r.name))
		return err == nil && c.CachedInfo().NumAckPending == 0 && c.CachedInfo().AckFloor.Stream >= last
	})
}

func TestDeliveredOnceOverOutagesAndRestarts(t *testing.T) {
	quick(t)
	f := newFleet(t)
	down := errors.New("connection refused")
	r := &receiver{name: "mail/ops@example.com", answer: func(context.Context, *schema.CloudEvent[*schema.Alert]) error { return down }}
	stop := f.deliver(r)
	f.alert("a", "b", "c")
	f.until("it is tried", func() bool { calls, _ := r.got(); return calls > 40 }) // more than refusals
	stop()
	f.alert("d") // while nobody is there
	stop = f.deliver(r)
	before, _ := r.got()
	f.until("it is tried again", func() bool { calls, _ := r.got(); return calls > before+3 })
	r.says(nil)
	f.delivered(r)
	stop()
	f.deliver(r)
	f.alert("e")
	f.until("the next one comes", func() bool { _, a := r.got(); return slices.Contains(a, "e") })
	f.delivered(r)
	_, accepted := r.got()
	slices.Sort(accepted)
	if d := cmp.Diff([]string{"a", "b", "c", "d", "e"}, accepted); d != "" {
		t.Error(d)
	}
	if p := f.stored(stream.Parked); len(p) != 0 {
		t.Errorf("%d are parked", len(p))
	}
}

func TestRefusedIsParkedAfterManyTries(t *testing.T) {
	quick(t)
	f := newFleet(t)
	tries := map[string]int{}
	r := &receiver{name: "mail/ops@example.com", answer: func(_ context.Context, n *schema.CloudEvent[*schema.Alert]) error {
		tries[n.Data.Process]++ // one is handled at a time
		switch {
		case n.Data.Process == "refused":
			return notify.Permanent(errors.New("550 no such user"))
		case n.Data.Process == "mended" && tries["mended"] < refusals-1:
			return fmt.Errorf("mail: %w", notify.Permanent(errors.New("552 too big")))
		}
		return nil
	}}
	stop := f.deliver(r)
	f.alert("refused", "mended", "fine")
	f.delivered(r)
	stop()
	_, accepted := r.got()
	slices.Sort(accepted)
	if d := cmp.Diff([]string{"fine", "mended"}, accepted); d != "" {
		t.Error(d)
	}
	if tries["refused"] != refusals {
		t.Errorf("it was tried %d times", tries["refused"])
	}
	parked := f.stored(stream.Parked)
	if len(parked) != 1 || parked[0].Header.Get(consumer.HeaderParkedReason) != "550 no such user" ||
		parked[0].Header.Get(consumer.HeaderParkedTries) != fmt.Sprint(refusals) || parked[0].Header.Get(consumer.HeaderParkedStream) != stream.Alerts {
		t.Errorf("parked are %+v", parked)
	}
}

func TestReceiverThatIsDownHoldsUpNoOther(t *testing.T) {
	quick(t)
	f := newFleet(t)
	hangs := &receiver{name: "mail/slow@example.com", answer: func(ctx context.Context, _ *schema.CloudEvent[*schema.Alert]) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	fails := &receiver{name: "mail/down@example.com", answer: func(context.Context, *schema.CloudEvent[*schema.Alert]) error { return errors.New("down") }}
	works := &receiver{name: "mail/ops@example.com"}
	for _, r := range []*receiver{hangs, fails, works} {
		f.deliver(r)
	}
	f.alert("a", "b", "c")
	f.delivered(works)
	if _, accepted := works.got(); !slices.Equal(accepted, []string{"a", "b", "c"}) {
		t.Errorf("delivered were %v", accepted)
	}
	if _, accepted := hangs.got(); len(accepted) != 0 {
		t.Errorf("delivered were %v", accepted)
	}
}

func TestNewReceiverIsNotToldThePast(t *testing.T) {
	f := newFleet(t)
	f.alert("long ago", "yesterday")
	r := &receiver{name: "mail/new@example.com"}
	f.deliver(r)
	f.alert("now")
	f.delivered(r)
	if _, accepted := r.got(); !slices.Equal(accepted, []string{"now"}) {
		t.Errorf("delivered were %v", accepted)
	}
}

func TestNoNotificationIsParked(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com"}
	f.deliver(r)
	f.raw("supervisor.alert.x", "garbage")
	f.raw("supervisor.alert.x", `{"specversion":"1.0","id":"x","type":"supernats.alert.firing"}`)
	forged := &schema.Alert{Host: "db1", Process: "forged"}
	f.raw("supervisor.alert.web1.x.forged.fatal", f.json(forged.Envelope("x", schema.TypeAlertFiring, time.Now())))
	f.alert("a")
	f.delivered(r)
	if _, accepted := r.got(); !slices.Equal(accepted, []string{"a"}) {
		t.Errorf("delivered were %v", accepted)
	}
	if p := f.stored(stream.Parked); len(p) != 3 {
		t.Errorf("%d are parked", len(p))
	}
}

func TestDeliveryName(t *testing.T) {
	legal := regexp.MustCompile(`^[a-zA-Z0-9_=-]{1,200}$`)
	seen := map[string]string{}
	for _, name := range []string{"mail/ops@example.com", "mail/ops@example.org", "mail/ö@example.com", "mail/a.b@c", "mail/a=2Eb@c", "x", strings.Repeat("x", 300), strings.Repeat("x", 301)} {
		d := deliveryName(name)
		if !legal.MatchString(d) || seen[d] != "" {
			t.Errorf("%.20q is %q, which is also %.20q", name, d, seen[d])
		}
		seen[d] = name
	}
	// Somebody writes the same address in another way: the queue goes on.
	if a, b := deliveryName("mail/Ops@Example.com"), deliveryName("mail/ops@example.com"); a != b {
		t.Errorf("%s is not %s", a, b)
	}
}
