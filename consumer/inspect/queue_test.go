package inspect

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/schema"
	"supernats/schema/stream"
)

func at(second int) schema.Time {
	return schema.Time{Time: time.Date(2026, 11, 21, 12, 0, second, 0, time.UTC)}
}

// queueUpTo is a queue of which all up to a sequence was acknowledged.
func queueUpTo(seq uint64, p stream.Position) *Queue {
	return &Queue{
		Durable: "notify_mail=2Fa", Receiver: "mail/a", Position: p,
		Info: &jetstream.ConsumerInfo{AckFloor: jetstream.SequenceInfo{Stream: seq}, NumPending: 3, NumAckPending: 1},
	}
}

func TestQueueTook(t *testing.T) {
	q := queueUpTo(5, stream.Position{Ahead: []uint64{8}})
	for seq, want := range map[uint64]bool{1: true, 5: true, 6: false, 7: false, 8: true, 9: false} {
		if q.Took(seq) != want {
			t.Errorf("%d: %t, want %t", seq, !want, want)
		}
	}
	if n := q.Waiting(); n != 3 { // 4 are not acknowledged, one of them is delivered
		t.Errorf("%d wait", n)
	}
}

func TestQueueTookAt(t *testing.T) {
	made := at(1)
	// A batch, one within it that was taken before its turn, and what is not known any more.
	q := queueUpTo(9, stream.Position{LateTimes: stream.LateTimes{Late: []stream.LateBatch{{From: 4, To: 7, At: at(9)}, {From: 5, To: 5, At: at(3)}}, Forgot: 2}})
	for _, c := range []struct {
		name string
		seq  uint64
		want *schema.Time
	}{
		{name: "taken at once", seq: 8, want: &made},
		{name: "in a late batch", seq: 4, want: &q.Position.Late[0].At},
		{name: "before its turn", seq: 5, want: &q.Position.Late[1].At},
		{name: "forgotten", seq: 2},
	} {
		if got := q.TookAt(c.seq, &made); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestQueueFailure(t *testing.T) {
	q := queueUpTo(5, stream.Position{Failures: stream.Failures{Error: "500"}})
	if q.Failure() != "500" {
		t.Errorf("%q", q.Failure())
	}
	q.Info.NumPending, q.Info.NumAckPending = 0, 0
	if q.Failure() != "" {
		t.Errorf("nothing waits, and it fails: %q", q.Failure())
	}
}

func TestQueueNames(t *testing.T) {
	q := queueUpTo(0, stream.Position{})
	for name, want := range map[string]bool{"mail": true, "MAIL": true, "mail/a": true, "Mail/A": true, "mail/b": false, "chat": false} {
		if q.BelongsTo(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
	if !q.IsAmong([]string{"chat", "Mail/a"}) || q.IsAmong([]string{"chat"}) || q.IsAmong(nil) {
		t.Error("a queue is among receivers that it does not belong to, or not among its own")
	}
}
