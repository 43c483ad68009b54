package deliver

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/deliver/inbox"
	"supernats/consumer/notify"
	"supernats/schema/stream"
)

// position returns what a delivery has written down.
func (f *fleet) position(r *receiver) (p stream.Position) {
	f.Helper()
	e, err := f.Bucket(stream.LeasesBucket).Get(f.Context(), stream.ReceiverConsumer(r.name))
	if err != nil {
		f.Fatal(err)
	}
	f.Unmarshal(e.Value(), &p)
	return p
}

// lateAs are the sequences of what was taken late, and that it was after a time.
func (f *fleet) lateAs(r *receiver, after time.Time, want ...[2]uint64) {
	f.Helper()
	var got [][2]uint64
	f.Until("it is written down", func() bool { return len(f.position(r).Late) >= len(want) })
	for _, l := range f.position(r).Late {
		got = append(got, [2]uint64{l.From, l.To})
		if l.At.Before(after) || l.At.After(time.Now().Add(time.Second)) {
			f.Errorf("%d was taken at %v, want after %v", l.From, l.At, after)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		f.Error(d)
	}
}

// When something was taken is written down where that is not when it was made: after an
// outage, before its turn, and after it was parked; over restarts too.
func TestTakenLate(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com"}
	first := f.deliver(r)
	f.alert("soon")
	f.delivered(r)
	if late := f.position(r).Late; late != nil {
		t.Errorf("what is taken at once is written down: %v", late)
	}

	r.says(always(notify.Outage(errors.New("connection refused"))))
	f.alert("a", "b")
	f.alertFor([]string{"chat"}, "other")
	f.alert("c")
	f.Until("it is tried", func() bool { return len(r.tried()) > 3 })
	first.Stop()
	time.Sleep(inbox.LateAfter)
	back := time.Now().Add(-time.Millisecond)
	r.says(nil)
	second := f.deliver(r)
	f.delivered(r)
	second.Stop()
	var numbers [][2]uint64
	for _, l := range f.position(r).Late {
		numbers = append(numbers, [2]uint64{l.From, l.To})
	}
	// The batch that was tried before it was killed may have been a part of them.
	if n := len(numbers); n == 0 || numbers[0][0] != 2 || numbers[n-1][1] != 5 {
		t.Errorf("taken late are %v, want all from 2 to 5", numbers)
	}
	f.lateAs(r, back, numbers...)

	r.says(refusing(notify.Permanent(errors.New("no")), "bad"))
	third := f.deliver(r)
	f.alert("bad", "good")
	f.delivered(r)
	third.Stop()
	time.Sleep(inbox.LateAfter)
	back = time.Now().Add(-time.Millisecond)
	r.says(nil)
	f.deliver(r)
	f.Until("it is delivered", func() bool { return f.parkedNow() == 0 })
	f.Until("it is written down", func() bool { return len(f.position(r).Late) == len(numbers)+1 })
	if l := f.position(r).Late[len(numbers)]; l.From != 6 || l.To != 6 || l.At.Before(back) {
		t.Errorf("what was parked is %+v", l)
	}
}

// What was taken late is not forgotten when the server does not hear that it was.
func TestLateIsKeptWhenReadingBeginsAgain(t *testing.T) {
	f := newFleet(t)
	r := &receiver{name: "mail/ops@example.com"}
	d := f.newDelivery(r)
	if err := d.Create(context.Background()); err != nil {
		t.Fatal(err)
	}
	d.inbox.Took(time.Now().UTC(), inbox.Taken{Seq: 1, Made: time.Now().Add(-time.Hour)})
	if err := d.open(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(f.position(r).Late) != 1 {
		t.Errorf("written down is %+v", f.position(r))
	}
}
