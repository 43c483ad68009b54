package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"supernats/consumer"
	"supernats/consumer/health"
	"supernats/consumer/lease"
	"supernats/consumer/notify"
	"supernats/consumer/records"
	"supernats/schema"
	"supernats/schema/stream"
)

// failures are the ways in which a receiver does not take something.
var failures = map[string]error{
	"500":           errors.New("answered 500"),
	"400":           notify.Permanent(errors.New("answered 400")),
	"no answer":     fmt.Errorf("no answer in time: %w", context.DeadlineExceeded),
	"try later":     notify.After(time.Millisecond, errors.New("answered 429")),
	"in the middle": errors.New("connection reset"),
}

// What follows a notification on which a receiver chokes for ever is delivered; that
// one is parked with the reason, and delivered when the receiver takes it.
func TestChokesOnOne(t *testing.T) {
	for name, failure := range failures {
		for _, waits := range []bool{false, true} { // all wait, or come one by one
			t.Run(fmt.Sprintf("%s, together %t", name, waits), func(t *testing.T) {
				f := newFleet(t)
				r := &receiver{name: "mail/ops@example.com", answer: refusing(failure, "poison")}
				d := f.deliver(r)
				if waits {
					d.Stop()
				}
				f.alert("poison", "a", "b")
				if !waits {
					f.Until("a is delivered", func() bool { return slices.Contains(r.got(), "a") })
				}
				f.alert("c", "d")
				if waits {
					d = f.deliver(r)
				}
				f.delivered(r)
				d.Stop()
				got := r.got()
				slices.Sort(got)
				if d := cmp.Diff([]string{"a", "b", "c", "d"}, got); d != "" {
					t.Error(d)
				}
				if p := f.Messages(stream.Parked); len(p) != 1 || p[0].Header.Get(consumer.HeaderParkedReason) != failure.Error() {
					t.Errorf("parked are %v", p)
				}
				r.says(nil)
				f.deliver(r)
				f.Until("it is delivered", func() bool { return slices.Contains(r.got(), "poison") && f.parkedNow() == 0 })
			})
		}
	}
}

// choking is a receiver that has refused "poison" once, and whose next try is hours away.
func (f *fleet) choking() *receiver {
	f.Helper()
	r := &receiver{name: "mail/ops@example.com", answer: refusing(errors.New("500"), "poison")}
	f.deliver(r, func(d *Delivery) { d.timing.first, d.timing.last, d.timing.patience = time.Hour, time.Hour, 1 })
	f.alert("poison")
	f.Until("it is tried", func() bool { return len(r.tried()) == 1 })
	return r
}

// It is alone and fails for hours: what comes is delivered at once, before its next try.
func TestWhatComesEndsAPause(t *testing.T) {
	f := newFleet(t)
	r := f.choking()
	f.alert("a")
	f.delivered(r)
	if d := cmp.Diff([][]string{{"a"}}, r.batches()); d != "" {
		t.Error(d)
	}
	if n := f.parkedNow(); n != 1 {
		t.Errorf("%d are parked", n)
	}
}

// After an outage the order is kept: what comes has those tried again that wait.
func TestWhatComesAfterAnOutage(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com", answer: always(notify.Outage(errors.New("connection refused")))}
	f.deliver(r, func(d *Delivery) { d.timing.first, d.timing.last = time.Hour, time.Hour })
	f.alert("a")
	f.Until("it is tried", func() bool { return len(r.tried()) == 1 })
	r.says(nil)
	f.alert("b")
	f.delivered(r)
	if d := cmp.Diff([][]string{{"a"}, {"b"}}, r.batches()); d != "" {
		t.Error(d)
	}
}

// Several that it chokes on, of two alerts, in any order and with a receiver that is
// away for a while: all others come, none of them is parked.
func TestChokesOnSeveral(t *testing.T) {
	f := newFleet(t)
	all := numbered(200)
	bad := []string{"p0000", "p0001", "p0002", "p0090", "p0150", "p0151", "p0199"}
	r := &receiver{name: "mail/ops@example.com"}
	var tries atomic.Int64
	r.answer = func(ctx context.Context, b batch) error {
		if n := tries.Add(1); n%20 > 13 { // away
			return errors.New("503")
		}
		return refusing(errors.New("500"), bad...)(ctx, b)
	}
	d := f.deliver(r)
	d.Stop()
	f.alert(all...)
	d = f.deliver(r)
	f.Until("all others are delivered", func() bool { return len(r.got()) >= len(all)-len(bad) })
	f.alert("last") // by which it is known that it takes others
	f.Until("the last one is delivered", func() bool { return slices.Contains(r.got(), "last") })
	d.Stop()
	got := r.got()
	slices.Sort(got)
	want := slices.DeleteFunc(append([]string{"last"}, all...), func(p string) bool { return slices.Contains(bad, p) })
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, m := range f.Messages(stream.Parked) {
		if subject := m.Header.Get(consumer.HeaderParkedSubject); !slices.ContainsFunc(bad, func(p string) bool { return strings.Contains(subject, "."+p+".") }) {
			t.Errorf("parked is %s", subject)
		}
	}
}

// A batch that takes too long is made smaller, and stays so for a while.
func TestTooSlowForABatch(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "hook", answer: func(_ context.Context, b batch) error {
		if len(b) > 30 {
			return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
		}
		return nil
	}}
	d := f.deliver(r)
	d.Stop()
	f.alert(numbered(198)...)
	d = f.deliver(r)
	f.delivered(r)
	if n := len(r.tried()) - len(r.batches()); n > 4 {
		t.Errorf("%d batches were too big", n)
	}
	before := len(r.tried())
	d.Stop()
	f.alertIDs("x", numbered(100)...)
	d = f.deliver(r, func(later *Delivery) { later.size.most, later.size.tooSlow = 24, time.Now() })
	f.delivered(r)
	if n := len(r.tried()) - before; n != 5 {
		t.Errorf("100 more took %d batches", n)
	}
	d.Stop()
	if n := len(r.got()); n != 298 {
		t.Errorf("delivered were %d", n)
	}
}

// What was taken of a batch is not sent again, also after a restart.
func TestTakenInPart(t *testing.T) {
	f := newFleet(t)
	bad := "p0003"
	r := &receiver{name: "hook"}
	var taken []string
	r.answer = func(_ context.Context, b batch) error {
		var places []int
		for i, p := range processes(b) {
			if p != bad {
				places, taken = append(places, i), append(taken, p)
			}
		}
		if len(places) == len(b) {
			return nil
		}
		return notify.Partly(errors.New("500"), places)
	}
	d := f.deliver(r)
	d.Stop()
	f.alert(numbered(8)...)
	d = f.deliver(r, func(d *Delivery) { d.timing.first, d.timing.last = time.Hour, time.Hour })
	f.Until("it is tried", func() bool { return len(r.tried()) == 1 })
	d.Kill()
	d = f.deliver(r)
	f.Until("it is tried again", func() bool { return len(r.tried()) > 1 })
	f.alert("next")
	f.delivered(r)
	d.Stop()
	for _, b := range r.tried()[1:] {
		if len(b) != 1 {
			t.Errorf("sent again was %v", b)
		}
	}
	if d := cmp.Diff(append(slices.DeleteFunc(numbered(8), func(p string) bool { return p == bad }), "next"), taken); d != "" {
		t.Error(d)
	}
	if n := f.parkedNow(); n != 1 {
		t.Errorf("%d are parked", n)
	}
}

// Killed in the middle of finding out: nothing is lost, and what comes twice is what
// was under way.
func TestKilledWhileItChokes(t *testing.T) {
	f := newFleet(t)
	all := numbered(60)
	bad := []string{"p0000", "p0017", "p0018", "p0044"}
	var taken atomic.Int64
	r := &receiver{name: "mail/ops@example.com", answer: func(ctx context.Context, b batch) error {
		_ = health.Sleep(ctx, time.Duration(rand.N(1500))*time.Microsecond)
		err := refusing(errors.New("500"), bad...)(ctx, b)
		if err == nil {
			taken.Add(1)
		}
		return err
	}}
	d := f.deliver(r)
	d.Stop()
	f.alert(all...)
	kills := 0
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); kills++ {
		var dead atomic.Bool
		d = f.deliver(r, func(d *Delivery) {
			d.options.Held = func() error {
				if dead.Load() {
					return lease.ErrLost
				}
				return nil
			}
		})
		time.Sleep(time.Duration(10_000+rand.N(60_000)) * time.Microsecond)
		dead.Store(true)
		d.Kill()
		if got := r.got(); !slices.ContainsFunc(all, func(p string) bool { return !slices.Contains(bad, p) && !slices.Contains(got, p) }) {
			break
		}
	}
	d = f.deliver(r)
	f.alert("last")
	f.Until("the last one is delivered", func() bool { return slices.Contains(r.got(), "last") })
	d.Stop()
	count := map[string]int{}
	for _, p := range r.got() {
		count[p]++
	}
	twice := 0
	for _, p := range all {
		switch n := count[p]; {
		case slices.Contains(bad, p) != (n == 0):
			t.Errorf("%s was delivered %d times", p, n)
		case n > 1:
			twice += n - 1
		}
	}
	t.Logf("%d kills, %d batches taken, %d notifications twice", kills, taken.Load(), twice)
}

// What is parked and delivered late comes with the end of its alert, and with what was
// reported last of a younger one about the same.
func TestParkedComesWithItsEnd(t *testing.T) {
	f := newFleet(t)
	publish := func(process, alert, typ string, n int) {
		a := &schema.Notification{Incident: alert, Rule: "fatal", Host: "web1", Group: "api", Process: process, Count: 1}
		f.PublishRaw(a.Subject(), f.JSON(a.Envelope(fmt.Sprintf("%s/%d", alert, n), typ, time.Now())))
	}
	var chokes atomic.Bool
	chokes.Store(true)
	var late atomic.Pointer[[]string]
	r := &receiver{name: "pager", answer: func(_ context.Context, b batch) error {
		var ids []string
		for _, n := range b {
			ids = append(ids, n.ID)
			if chokes.Load() && (n.ID == "x/1" || n.ID == "y/1" || n.ID == "z/1") {
				return errors.New("500")
			}
		}
		late.Store(&ids)
		return nil
	}}
	d := f.deliver(r)
	for _, alert := range []string{"x", "y", "z"} {
		publish(alert, alert, schema.TypeAlertFiring, 1)
		f.alert("after-" + alert)
		f.delivered(r)
	}
	publish("x", "x", schema.TypeAlertResolved, 2)
	publish("y", "y", schema.TypeAlertResolved, 2)
	publish("y", "younger", schema.TypeAlertFiring, 1)
	f.delivered(r)
	d.Stop()
	if n := f.parkedNow(); n != 3 {
		t.Fatalf("%d are parked", n)
	}
	chokes.Store(false)
	f.deliver(r)
	f.Until("they are delivered", func() bool { return f.parkedNow() == 0 })
	if d := cmp.Diff([]string{"x/1", "y/1", "z/1", "y/2", "younger/1", "x/2"}, *late.Load()); d != "" {
		t.Error(d)
	}
}

// A parked one that takes all its time does not keep the others from their next try.
func TestRoundOfParkedIsBounded(t *testing.T) {
	r := round{tries: 3, until: time.Now().Add(time.Hour)}
	for _, c := range []struct {
		change func(r *round)
		over   bool
	}{
		{change: func(*round) {}, over: false},
		{change: func(r *round) { r.tries = 0 }, over: true},
		{change: func(r *round) { r.until = time.Now().Add(-time.Second) }, over: true},
		{change: func(r *round) { r.refused = 1 }, over: false},
		{change: func(r *round) { r.refused = 2 }, over: true},
		{change: func(r *round) { r.refused, r.took = 9, true }, over: false},
	} {
		now := r
		if c.change(&now); now.isOver() != c.over {
			t.Errorf("%+v", now)
		}
	}
}

// There may be more of those that it chokes on than of others.
func TestChokesOnMost(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com", answer: func(_ context.Context, b batch) error {
		if slices.ContainsFunc(processes(b), func(p string) bool { return p[0] == 'p' }) {
			return errors.New("500")
		}
		return nil
	}}
	d := f.deliver(r, func(d *Delivery) { d.timing.trust = time.Hour })
	for i, p := range numbered(60) {
		f.alert(p)
		if i%6 == 5 {
			f.alert("good-" + p)
		}
	}
	f.Until("all good ones are delivered", func() bool { return len(r.got()) == 10 })
	f.Until("most of the bad ones are set aside", func() bool { return f.parkedNow() >= 50 })
	d.Stop()
}

// What is for others takes no room while something waits.
func TestWhatIsForOthersTakesNoRoom(t *testing.T) {
	f := newFleet(t)
	r := f.choking()
	f.alertFor([]string{"chat"}, numbered(maxBatch+100)...)
	f.alert("a")
	f.delivered(r)
	if d := cmp.Diff([]string{"a"}, r.got()); d != "" {
		t.Error(d)
	}
}

// A batch that is to be sent again is found again, although what is for others lies
// between.
func TestBatchAmongOthersStaysAsItIs(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com", answer: always(errors.New("451 try later"))}
	d := f.deliver(r)
	d.Stop()
	f.alert("a")
	f.alertFor([]string{"chat"}, numbered(maxBatch+100)...)
	f.alert("b")
	d = f.deliver(r)
	f.Until("it is tried", func() bool { return len(r.tried()) > 0 })
	d.Kill()
	r.says(nil)
	f.deliver(r)
	f.delivered(r)
	if got := r.got(); len(got) != 2 || !slices.Contains(got, "a") || !slices.Contains(got, "b") {
		t.Errorf("delivered were %v", r.batches())
	}
}

// Whoever looks at the position knows why nothing is taken, and since when.
func TestPositionSaysWhy(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com", answer: always(errors.New("451 try later"))}
	at := func() *stream.Position {
		table, err := records.OpenTable[stream.Position](t.Context(), f.JS, stream.LeasesBucket, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		p, err := table.Get(t.Context(), stream.ReceiverConsumer(r.name))
		if err != nil || p == nil {
			return &stream.Position{}
		}
		return p
	}
	before := time.Now()
	d := f.deliver(r)
	f.alert("a")
	f.Until("it is recorded", func() bool { return at().Tries > 2 })
	d.Kill()
	d = f.deliver(r) // since then, also over a restart
	f.Until("it is tried again", func() bool { return at().Tries > 5 })
	p := at()
	if p.Error != "451 try later" || p.Trying != 1 || p.Since == nil || p.Tried == nil || p.Since.Before(before.Add(-time.Second)) || !p.Tried.After(p.Since.Time) {
		t.Errorf("%+v", p)
	}
	r.says(nil)
	f.delivered(r)
	f.Until("it is over", func() bool { return at().Failures == stream.Failures{} })
	d.Stop()
	late := &receiver{name: "mail/late@example.com"}
	f.deliver(late)
	r = late
	if p := at(); p.Begin != 1 {
		t.Errorf("%+v", p)
	}
}

// A receiver that goes down in a storm, just after it has taken something: nothing is
// taken for bad.
func TestGoesDownInAStorm(t *testing.T) {
	f := newFleet(t)
	all := numbered(300)
	r := &receiver{name: "mail/ops@example.com"}
	var calls atomic.Int64
	r.answer = func(context.Context, batch) error {
		if n := calls.Add(1); n > 3 && n < 60 {
			return errors.New("502")
		}
		return nil
	}
	d := f.deliver(r, func(d *Delivery) { d.timing.trust = time.Hour })
	for _, p := range all {
		f.alert(p)
	}
	f.delivered(r)
	d.Stop()
	got := r.got()
	slices.Sort(got)
	if d := cmp.Diff(all, got); d != "" {
		t.Error(d)
	}
	if n := f.parkedNow(); n != 0 {
		t.Errorf("%d are parked", n)
	}
}
