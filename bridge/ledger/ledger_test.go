package ledger

import (
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
)

// event is an event of pool p whose two serials are equal.
func event(n uint64) Event { return Event{Name: "TICK_5", Pool: "p", Serial: n, PoolSerial: n} }

func headerOf(e Event) []byte { return fmt.Appendf(nil, "%s %d %d", e.Pool, e.Serial, e.PoolSerial) }

// lostOf is the sum of the open losses.
func lostOf(open []*schema.Loss) (lost uint64) {
	for _, loss := range open {
		lost += loss.Count
	}
	return lost
}

// An event that comes before those that it was sent after makes a gap that they close.
func TestEventsOutOfOrderAreNotLost(t *testing.T) {
	for name, tc := range map[string]struct {
		serials []uint64
		lost    uint64
	}{
		"in order":             {serials: []uint64{1, 2, 3}},
		"the last one first":   {serials: []uint64{1, 5, 2, 3, 4, 6}},
		"one of them is lost":  {serials: []uint64{1, 5, 2, 4, 6}, lost: 1},
		"one of them twice":    {serials: []uint64{1, 5, 2, 2, 4, 6}, lost: 1},
		"an old one once more": {serials: []uint64{1, 2, 1, 4, 2}, lost: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var l Ledger
			for _, n := range tc.serials {
				l.Account(event(n), headerOf(event(n)))
			}
			if lost := lostOf(l.open); lost != tc.lost {
				t.Errorf("%d are lost, want %d", lost, tc.lost)
			}
		})
	}
}

// What is missing before the first event is lost only if the pool was ours from its start.
func TestFirstEvent(t *testing.T) {
	for _, tc := range []struct {
		name      string
		fromStart bool
		first     Event
		lost      uint64
	}{
		{
			name: "nothing is known of those before", fromStart: false,
			first: Event{Pool: "p", Serial: 20, PoolSerial: 10}, lost: 0,
		},
		{name: "ours from its start", fromStart: true, first: Event{Pool: "p", Serial: 20, PoolSerial: 10}, lost: 10},
		{
			name: "ours from its start, complete", fromStart: true, first: Event{Pool: "p", Serial: 20, PoolSerial: 0},
			lost: 0,
		},
		{name: "of the Go port", fromStart: true, first: Event{Pool: "p", Serial: 1, PoolSerial: 1}, lost: 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := Ledger{fromStart: tc.fromStart}
			if !l.Account(tc.first, nil) {
				t.Error("the first event is not new")
			}
			if lost := lostOf(l.open); lost != tc.lost {
				t.Errorf("%d are lost, want %d", lost, tc.lost)
			}
		})
	}
}

// A pool that begins again after a reload is not taken for events that are offered again.
func TestReload(t *testing.T) {
	var l Ledger
	for _, e := range []Event{{Pool: "p", Serial: 10, PoolSerial: 5}, {Pool: "p", Serial: 30, PoolSerial: 2}} {
		if !l.Account(e, headerOf(e)) {
			t.Errorf("%+v is not new", e)
		}
	}
	if lost := lostOf(l.open); lost != 2 {
		t.Errorf("%d are lost, want the first 2 of the new pool", lost)
	}
	if l.Account(Event{Pool: "p", Serial: 30, PoolSerial: 2}, nil) {
		t.Error("an event that is offered again is new")
	}
}

// Losses are reported one by one, oldest first, with what is known of them.
func TestLossesAreReported(t *testing.T) {
	l := Ledger{boot: "b"}
	l.Account(event(1), headerOf(event(1)))
	l.Account(event(4), headerOf(event(4)))
	l.Shed(event(4))
	l.Corrupt(2)
	l.Add(&schema.Loss{Boot: "b", Cause: CauseNotListening, Count: 9})

	var got []*schema.Loss
	for loss := l.Oldest(); loss != nil; loss = l.Oldest() {
		got = append(got, loss)
		l.OldestReported()
	}
	serial := func(n uint64) *uint64 { return &n }
	want := []*schema.Loss{
		{Boot: "b", Pool: "p", Cause: CauseBuffer, Count: 2, FirstPoolSerial: serial(2), LastPoolSerial: serial(3)},
		{
			Boot: "b", Pool: "p", Cause: CauseFull, Count: 1, FirstPoolSerial: serial(4), LastPoolSerial: serial(4),
			Events: map[string]int{"TICK_5": 1},
		},
		{Boot: "b", Pool: "p", Cause: CauseCorrupt, Count: 2},
		{Boot: "b", Cause: CauseNotListening, Count: 9},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("losses (-want +got):\n%s", diff)
	}
	if l.Open() != 0 {
		t.Errorf("%d losses are open", l.Open())
	}

	// A gap that was reported is not closed any more.
	l.Account(event(3), headerOf(event(3)))
	if l.Open() != 0 {
		t.Errorf("%d losses are open after an event that came late", l.Open())
	}
}

// The account of the next run continues where the records of the last one end.
func TestResume(t *testing.T) {
	boot := [8]byte{1, 2}
	recorded := func(n uint64) Record {
		e := event(n)
		return Record{Number: n, Boot: boot[:], Header: headerOf(e), Event: &e}
	}
	for _, tc := range []struct {
		name     string
		past     func(y *History)
		boot     byte // the first one of the boot of the next run
		together bool
		next     uint64
		lost     uint64
	}{
		{
			name: "the next event", past: func(y *History) { y.Record(recorded(1)); y.Record(recorded(2)) }, boot: 1,
			together: false, next: 3, lost: 0,
		},
		{
			name: "events between the runs", past: func(y *History) { y.Record(recorded(1)) }, boot: 1,
			together: false, next: 4, lost: 2,
		},
		{
			name: "another supervisord", past: func(y *History) { y.Record(recorded(1)) }, boot: 2, together: false,
			next: 4, lost: 0,
		},
		{
			name: "another supervisord, from its start", past: func(y *History) { y.Record(recorded(1)) }, boot: 2,
			together: true, next: 4, lost: 4,
		},
		{
			name: "records that cannot be read", past: func(y *History) { y.Record(recorded(1)); y.Damage() }, boot: 1,
			together: true, next: 4, lost: 0,
		},
		{
			name: "a record is missing", past: func(y *History) { y.Record(recorded(1)); y.Record(recorded(3)) },
			boot: 1, together: false, next: 4, lost: 0,
		},
		{name: "nothing", past: func(*History) {}, boot: 1, together: true, next: 4, lost: 4},
		{
			name: "nothing can be read", past: func(y *History) { *y = *Unknown() }, boot: 1, together: true, next: 4,
			lost: 0,
		},
		{
			name: "a later place",
			past: func(y *History) { y.Record(recorded(1)); y.Stand(boot[:], headerOf(event(3)), event(3)) }, boot: 1,
			together: false, next: 4, lost: 0,
		},
		{name: "an earlier place", past: func(y *History) {
			y.Record(recorded(1))
			y.Record(recorded(2))
			y.Stand(boot[:], headerOf(event(1)), event(1))
		}, boot: 1, together: false, next: 4, lost: 1},
		{
			name: "somebody else has listened", past: func(y *History) { y.Record(recorded(1)); y.ForgetPlace() },
			boot: 1, together: false, next: 4, lost: 0,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			y := new(History)
			tc.past(y)
			now := boot
			now[0] = tc.boot
			l := y.Resume(now[:], tc.together, nil)
			if l.Boot() != hex.EncodeToString(now[:]) {
				t.Errorf("boot %s", l.Boot())
			}
			l.Account(event(tc.next), headerOf(event(tc.next)))
			if lost := lostOf(l.TakeOpen()); lost != tc.lost {
				t.Errorf("%d are lost, want %d", lost, tc.lost)
			}
		})
	}
}

// A loss of the last run is open until a record of it is found; what was in its memory
// is lost.
func TestHistoryOfLosses(t *testing.T) {
	boot := []byte{1, 0, 0, 0, 0, 0, 0, 0}
	first, last := event(1), event(5)
	y := new(History)
	y.Record(Record{Number: 1, Boot: boot, Header: headerOf(first), Event: &first})
	y.Record(Record{Number: 2, Boot: boot, Header: headerOf(last), Event: &last})
	y.Record(Record{
		Number: 3, Boot: boot, Header: headerOf(last), Event: &last, Message: true,
		Loss: &schema.Loss{Boot: y.BootID(), Cause: CauseBuffer, Count: 2},
	})
	y.LostInMemory(7)
	if lost := lostOf(y.TakeOpen()); lost != 1+7 {
		t.Errorf("%d are lost, want 1 of 3 that is not reported, and 7 in memory", lost)
	}
}
