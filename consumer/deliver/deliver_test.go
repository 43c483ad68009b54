package deliver

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer"
	"supernats/consumer/notify"
	"supernats/schema"
	"supernats/schema/stream"
)

func TestDeliveredOnceInOrderOverOutagesAndRestarts(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com", answer: always(notify.Outage(errors.New("connection refused")))}
	d := f.deliver(r)
	f.alert("a", "b", "c")
	f.Until("it is tried", func() bool { return len(r.tried()) > 10 })
	d.Stop()
	f.alert("d") // while nobody is there
	d = f.deliver(r)
	before := len(r.tried())
	f.Until("it is tried again", func() bool { return len(r.tried()) > before+3 })
	r.says(nil)
	f.delivered(r)
	d.Stop()
	f.deliver(r)
	f.alert("e")
	f.delivered(r)
	if d := cmp.Diff([]string{"a", "b", "c", "d", "e"}, r.got()); d != "" {
		t.Error(d)
	}
	if n := f.parkedNow(); n != 0 {
		t.Errorf("%d are parked", n)
	}
}

// A batch is not extended once it was tried, by any process: only so its
// Message-ID stays.
func TestBatchThatWasTriedStaysAsItIs(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com", answer: always(errors.New("451 try later"))}
	d := f.deliver(r)
	f.alert("a")
	f.Until("it is tried", func() bool { return len(r.tried()) > 2 })
	f.alert("b", "c")
	before := len(r.tried())
	f.Until("it is tried again", func() bool { return len(r.tried()) > before+3 })
	d.Kill()
	f.alert("d")
	d = f.deliver(r)
	before = len(r.tried())
	f.Until("it is tried again", func() bool { return len(r.tried()) > before+3 })
	d.Stop()
	for _, b := range r.tried() { // others alone, to find out whether it takes anything
		if len(b) != 1 {
			t.Fatalf("tried was %v", b)
		}
	}
	r.says(nil)
	f.deliver(r)
	f.delivered(r)
	batches := slices.DeleteFunc(r.batches(), func(b []string) bool { return len(b) == 1 && b[0] != "a" })
	if !slices.ContainsFunc(batches, func(b []string) bool { return slices.Equal(b, []string{"a"}) }) {
		t.Errorf("delivered were %v", batches)
	}
	got := r.got()
	slices.Sort(got)
	if d := cmp.Diff([]string{"a", "b", "c", "d"}, got); d != "" {
		t.Error(d)
	}
}

func TestOneBadIsFoundAndParked(t *testing.T) {
	for _, bad := range []int{0, 1, 31, 32, 63} {
		t.Run(fmt.Sprint(bad), func(t *testing.T) {
			f := newFleet(t)
			all := numbered(64)
			r := &receiver{name: "mail/ops@example.com", answer: refusing(notify.Permanent(errors.New("552 too big")), all[bad])}
			d := f.deliver(r)
			d.Stop() // so that all wait
			f.alert(all...)
			d = f.deliver(r)
			f.delivered(r)
			d.Stop()
			got := r.got() // the first ones alone, before the bad one
			slices.Sort(got)
			if d := cmp.Diff(slices.Delete(slices.Clone(all), bad, bad+1), got); d != "" {
				t.Error(d)
			}
			// The whole, two alone, each half and what is found good, the tries of the bad
			// one.
			if n := len(r.tried()); n > 1+2+2*6+3+1 {
				t.Errorf("it took %d tries", n)
			}
			parked := f.Messages(stream.Parked)
			if len(parked) != 1 || parked[0].Header.Get(consumer.HeaderParkedReason) != "552 too big" ||
				parked[0].Header.Get(consumer.HeaderParkedSubject) != "supervisor.alert.web1.api."+all[bad]+".fatal" ||
				parked[0].Subject != stream.ParkedSubject(stream.ReceiverConsumer(r.name)) {
				t.Errorf("parked are %v", parked)
			}
		})
	}
}

// A recipient that is refused for good and comes back later: everything waits in its
// order, nothing is parked, and all comes as one batch.
func TestAllRefusedComesWhenItIsFixed(t *testing.T) {
	f := newFleet(t)
	all := numbered(40)
	for name, failure := range map[string]error{
		"for good": notify.Permanent(errors.New("550 no such user")), "for now": errors.New("500"), "in time": context.DeadlineExceeded, "outage": notify.Outage(errors.New("connection refused")),
	} {
		// What is sent next depends on how often it was refused: it is fixed after a try, and
		// not after a time.
		var tries atomic.Int32
		tried, fixed := make(chan struct{}), make(chan struct{})
		r := &receiver{name: "mail/" + name + "@example.com", answer: func(context.Context, batch) error {
			if tries.Add(1) == 21 {
				close(tried)
				<-fixed
			}
			return failure
		}}
		f.deliver(r).Stop()
		f.alertIDs(name, all...)
		d := f.deliver(r)
		<-tried
		if n := f.parkedNow(); n != 0 {
			t.Fatalf("%s: %d are parked", name, n)
		}
		r.says(nil)
		close(fixed)
		f.delivered(r)
		d.Stop()
		// One that was being tried alone may come first.
		got := r.got()
		slices.Sort(got)
		if d := cmp.Diff(all, got); d != "" || len(r.batches()) > 3 {
			t.Errorf("%s: %v %s", name, r.batches(), d)
		}
	}
}

func TestParkedIsTriedAgain(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com", answer: refusing(notify.Permanent(errors.New("no")), "bad", "worse", "x", "y")}
	// All are fixed but one, which stays bad: a restart tries soon.
	first := f.deliver(r)
	for _, p := range []string{"bad", "a", "worse", "b", "x", "c", "y", "d"} {
		f.alert(p)
		if len(p) == 1 && p < "x" {
			f.delivered(r)
		}
	}
	first.Stop()
	if n := f.parkedNow(); n != 4 {
		t.Fatalf("%d are parked", n)
	}
	got := r.got()
	slices.Sort(got)
	if d := cmp.Diff([]string{"a", "b", "c", "d"}, got); d != "" {
		t.Fatal(d)
	}
	r.says(always(errors.New("421 closing")))
	second := f.deliver(r)
	before := len(r.tried())
	f.Until("it was tried", func() bool { return len(r.tried()) > before })
	second.Stop()
	if n := f.parkedNow(); n != 4 {
		t.Fatalf("%d are parked", n)
	}
	// Also for now, which is no verdict on the others.
	r.says(refusing(errors.New("500"), "worse"))
	d := f.newDelivery(r)
	third := f.runDelivery(d)
	f.Until("the others are delivered", func() bool { return f.parkedNow() == 1 })
	third.Stop()
	got = r.got()
	slices.Sort(got)
	if d := cmp.Diff([]string{"a", "b", "bad", "c", "d", "x", "y"}, got); d != "" {
		t.Error(d)
	}
}

func TestParkedPauses(t *testing.T) {
	times, p := defaultTiming(), parkedSchedule{due: time.Now()}
	if !p.isDue() {
		t.Error("the start is not due")
	}
	var pauses []time.Duration
	for range 6 {
		p.endRound(times, true, false)
		pauses = append(pauses, p.pause)
	}
	m := time.Minute
	if d := cmp.Diff([]time.Duration{5 * m, 10 * m, 20 * m, 40 * m, 60 * m, 60 * m}, pauses); d != "" {
		t.Error(d)
	}
	if p.isDue() || p.untilDue(2*time.Hour) > time.Hour || p.untilDue(time.Second) != time.Second {
		t.Errorf("due in %v", time.Until(p.due))
	}
	if p.endRound(times, true, true); p.pause != 5*m {
		t.Errorf("after a success: %v", p.pause)
	}
	if p.endRound(times, false, true); p.isDue() || p.untilDue(time.Hour) != time.Hour {
		t.Error("due although nothing is parked")
	}
	if p.addParked(times); p.pause != 5*m || p.isDue() {
		t.Errorf("after parking: %v", p.pause)
	}
}

// The copy of a notification that left no room for the reason is cut; it is the
// original that is sent.
func TestCutParkedIsSentWhole(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com", answer: refusing(notify.Permanent(errors.New("552 too big")), "big")}
	d := f.deliver(r)
	a := &schema.Notification{Incident: "a", Rule: "fatal", Host: "web1", Group: "api", Process: "big", Labels: map[string]string{"x": ""}}
	envelope := a.Envelope("a/1", schema.TypeAlertFiring, time.Now())
	big := strings.Repeat("x", int(f.JS.Conn().MaxPayload())-len(f.JSON(envelope)))
	a.Labels["x"] = big
	f.PublishRaw(a.Subject(), f.JSON(envelope))
	f.alert("small")
	f.delivered(r)
	d.Stop()
	if p := f.Messages(stream.Parked); len(p) != 1 || p[0].Header.Get(consumer.HeaderParkedCut) == "" {
		t.Fatalf("%d are parked", len(p))
	}
	whole := make(chan int, 1)
	r.says(func(_ context.Context, b batch) error { whole <- len(b[0].Data.Labels["x"]); return nil })
	f.deliver(r)
	select {
	case n := <-whole:
		if n != len(big) {
			t.Errorf("sent were %d bytes", n)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it is not sent")
	}
	f.Until("it is not parked any more", func() bool { return f.parkedNow() == 0 })
}

func TestOneReceiverHoldsUpNoOther(t *testing.T) {
	f := newFleet(t)
	hangs := &receiver{name: "mail/hangs@example.com", answer: func(ctx context.Context, _ batch) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	fails := &receiver{name: "mail/down@example.com", answer: always(errors.New("down"))}
	works := &receiver{name: "mail/ops@example.com"}
	for _, r := range []*receiver{fails, works} {
		f.deliver(r)
	}
	h := f.deliver(hangs)
	f.alert("a", "b", "c")
	f.delivered(works)
	if d := cmp.Diff([]string{"a", "b", "c"}, works.got()); d != "" {
		t.Error(d)
	}
	f.Until("it hangs", func() bool { return len(hangs.tried()) == 1 })
	h.Kill() // which waits for nothing
	if got := hangs.got(); len(got) != 0 {
		t.Errorf("delivered were %v", got)
	}
}

func TestNewReceiverIsNotNotifiedOfThePast(t *testing.T) {
	f := newFleet(t)
	f.alert("long ago", "yesterday")
	r := &receiver{name: "mail/new@example.com"}
	f.deliver(r)
	f.alert("now")
	f.delivered(r)
	if d := cmp.Diff([]string{"now"}, r.got()); d != "" {
		t.Error(d)
	}
}

func TestOnlyThoseNamedAreNotified(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com"}
	d := f.deliver(r)
	d.Stop()
	f.alertFor([]string{"chat"}, "a", "b")
	f.alertFor([]string{"chat", "mail"}, "c")
	f.alertFor([]string{"mail/ops@example.com"}, "d") // that is no name
	f.alertFor([]string{"mail"}, "e")
	f.alertFor(nil, "f")
	f.alertFor([]string{"chat"}, "g")
	f.deliver(r)
	f.delivered(r)
	if d := cmp.Diff([][]string{{"c", "e", "f"}}, r.batches()); d != "" {
		t.Error(d)
	}
}

func TestNoNotificationIsParked(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com"}
	d := f.newDelivery(r)
	run := f.runDelivery(d)
	f.PublishRaw("supervisor.alert.x", "garbage")
	f.PublishRaw("supervisor.alert.x", `{"specversion":"1.0","id":"x","type":"supernats.alert.firing"}`)
	forged := &schema.Notification{Host: "db1", Process: "forged"}
	f.PublishRaw("supervisor.alert.web1.x.forged.fatal", f.JSON(forged.Envelope("x", schema.TypeAlertFiring, time.Now())))
	f.alert("a")
	f.delivered(r)
	run.Stop()
	f.deliver(r) // tries what is parked: these stay
	f.alert("b")
	f.delivered(r)
	if d := cmp.Diff([]string{"a", "b"}, r.got()); d != "" {
		t.Error(d)
	}
	if n := f.parkedNow(); n != 3 {
		t.Errorf("%d are parked", n)
	}
}

// Two go out at once and what comes then comes together.
func TestRateLimit(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com"}
	const every = 500 * time.Millisecond
	begun := time.Now()
	d := f.deliver(r, func(d *Delivery) { d.limiter = Limit{2, every}.limiter() })
	for i, p := range numbered(300) {
		f.alert(p)
		if i < 2 {
			f.delivered(r)
		}
	}
	f.delivered(r)
	took := time.Since(begun)
	d.Stop()
	if d := cmp.Diff(numbered(300), r.got()); d != "" {
		t.Error(d)
	}
	n := len(r.batches())
	if most := 2 + int(took/every); n < 3 || n > most {
		t.Errorf("%d batches in %v", n, took)
	}
	none := Limit{}.limiter()
	for range 3 {
		if !none.Allow() {
			t.Error("no limit is one")
		}
	}
}

// While the limit holds a batch, the record of the queue says until when.
func TestRateLimitIsRecorded(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com"}
	const every = 4 * time.Second
	d := f.deliver(r, func(d *Delivery) { d.limiter = Limit{1, every}.limiter() })
	defer d.Stop()
	f.alert("first")
	f.delivered(r)
	begun := time.Now()
	f.alert("second")
	held := func() *schema.Time {
		var p stream.Position
		e, err := f.Bucket(stream.LeasesBucket).Get(t.Context(), stream.ReceiverConsumer(r.Name()))
		if err != nil {
			t.Fatal(err)
		}
		f.Unmarshal(e.Value(), &p)
		return p.LimitedUntil
	}
	var until *schema.Time
	for end := begun.Add(every); until == nil && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		until = held()
	}
	if until == nil || until.Before(begun) || until.After(begun.Add(every)) {
		t.Errorf("held until %v, want within %v after %v", until, every, begun)
	}
	f.delivered(r)
	if until := held(); until != nil {
		t.Errorf("delivered, and held until %v", until)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com"}
	d := f.deliver(r)
	d.Stop()
	big := strings.Repeat("x", 900_000)
	for _, p := range numbered(20) {
		a := &schema.Notification{Incident: p, Rule: "fatal", Host: "web1", Group: "api", Process: p, Labels: map[string]string{"x": big}}
		f.PublishRaw(a.Subject(), f.JSON(a.Envelope(p, schema.TypeAlertFiring, time.Now())))
	}
	d = f.deliver(r)
	f.delivered(r)
	d.Stop()
	for _, b := range r.batches() {
		if len(b) > 9 { // 8.1 MB
			t.Errorf("a batch has %d of 900 kB", len(b))
		}
	}
	if d := cmp.Diff(numbered(20), r.got()); d != "" {
		t.Error(d)
	}
	f.alert(numbered(1500)...)
	d = f.deliver(r)
	f.delivered(r)
	d.Stop()
	if b := r.batches(); len(b[len(b)-2]) != maxBatch || len(b[len(b)-1]) != 500 {
		t.Errorf("batches have %d and %d", len(b[len(b)-2]), len(b[len(b)-1]))
	}
}

func TestPauses(t *testing.T) {
	times := defaultTiming()
	for tries, want := range []time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 9: 256 * time.Second, 10: 5 * time.Minute, 100: 5 * time.Minute} {
		if want == 0 {
			continue
		}
		low, high := time.Duration(1<<62), time.Duration(0)
		for range 1000 {
			d := times.pause(tries, errors.New("x"))
			low, high = min(low, d), max(high, d)
		}
		if low < want*3/4 || high > want*5/4 || low == high {
			t.Errorf("after %d tries: %v to %v", tries, low, high)
		}
	}
	for asked, want := range map[time.Duration]time.Duration{3 * time.Second: 3 * time.Second, 10 * time.Hour: time.Hour} {
		if d := times.pause(1, fmt.Errorf("chat: %w", notify.After(asked, errors.New("429")))); d != want {
			t.Errorf("asked for %v: %v", asked, d)
		}
	}
}

func TestDeliveryName(t *testing.T) {
	legal := regexp.MustCompile(`^[a-zA-Z0-9_=-]{1,200}$`)
	seen := map[string]string{}
	for _, name := range []string{"mail/ops@example.com", "mail/ops@example.org", "mail/ö@example.com", "mail/a.b@c", "mail/a=2Eb@c", "x", strings.Repeat("x", 300), strings.Repeat("x", 301)} {
		d := stream.ReceiverConsumer(name)
		if !legal.MatchString(d) || seen[d] != "" {
			t.Errorf("%.20q is %q, which is also %.20q", name, d, seen[d])
		}
		seen[d] = name
	}
	// Somebody writes the same address in another way: the queue continues.
	if a, b := stream.ReceiverConsumer("mail/Ops@Example.com"), stream.ReceiverConsumer("mail/ops@example.com"); a != b {
		t.Errorf("%s is not %s", a, b)
	}
}
