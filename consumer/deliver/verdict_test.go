package deliver

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/notify"
	"supernats/schema"
)

var (
	errRefused   = notify.Permanent(errors.New("550 no such user"))
	errTemporary = errors.New("451 try later")
	errAway      = notify.Outage(errors.New("connection refused"))
)

// waitingItems are so many that wait, with sequences from 1 on, each of an alert of its
// own.
func waitingItems(n int) (list items) {
	for seq := range n {
		a := &schema.Notification{Incident: numbered(n)[seq]}
		list = append(list, &item{raw: emptyMessage{}, n: &schema.CloudEvent[*schema.Notification]{Data: a}, seq: uint64(seq + 1)})
	}
	return list
}

type emptyMessage struct{ jetstream.Msg }

func (emptyMessage) Data() []byte { return nil }

// The receiver is probed when that says most: never in an outage, at once after a refusal
// for good, otherwise after three tries or ten seconds.
func TestIsToAsk(t *testing.T) {
	old := time.Now().Add(-time.Minute)
	for _, tc := range []struct {
		name    string
		s       sending
		p       proof
		failure error
		want    bool
	}{
		{name: "first failure of one", s: sending{batch: waitingItems(1), tries: 1}, failure: errTemporary},
		{name: "third failure of one", s: sending{batch: waitingItems(1), tries: 3}, failure: errTemporary, want: true},
		{name: "a long time", s: sending{batch: waitingItems(1), tries: 1, begun: old}, failure: errTemporary, want: true},
		{name: "already proved", s: sending{batch: waitingItems(1), tries: 3, proved: true}, failure: errTemporary},
		{name: "outage", s: sending{batch: waitingItems(1), tries: 3}, failure: errAway},
		{name: "refusal for good", s: sending{batch: waitingItems(1), tries: 1}, failure: errRefused, want: true},
		{name: "a batch ran out of time", s: sending{batch: waitingItems(2), tries: 1}, failure: context.DeadlineExceeded, want: true},
		{name: "one ran out of time", s: sending{batch: waitingItems(1), tries: 1}, failure: context.DeadlineExceeded},
		{name: "a batch of which something was accepted", s: sending{batch: waitingItems(2), tries: 3}, p: proof{took: true}, failure: errTemporary},
		{name: "one after something was accepted", s: sending{batch: waitingItems(1), tries: 2}, p: proof{took: true}, failure: errTemporary, want: true},
	} {
		if tc.s.begun.IsZero() {
			tc.s.begun = time.Now()
		}
		if got := tc.s.isToAsk(tc.failure, &tc.p, defaultTiming()); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}

func TestJudge(t *testing.T) {
	fresh := proof{took: true, credit: 1, credited: time.Now()}
	stale := proof{credit: 1, credited: time.Now().Add(-time.Minute)}
	for _, tc := range []struct {
		name    string
		s       sending
		p       proof
		failure error
		want    verdict
	}{
		{name: "all was accepted in parts", s: sending{batch: items{{seq: 1}}}, p: proof{}, failure: errTemporary, want: allTaken},
		{name: "outage", s: sending{batch: waitingItems(2), proved: true}, p: fresh, failure: errAway, want: outage},
		{name: "a batch, and others are accepted", s: sending{batch: waitingItems(2)}, p: proof{took: true}, failure: errTemporary, want: tooMany},
		{name: "a batch, and others were accepted lately", s: sending{batch: waitingItems(2)}, p: proof{credit: 1, credited: time.Now()}, failure: errTemporary, want: tooMany},
		{name: "a batch, and nothing is known", s: sending{batch: waitingItems(2), tries: 9}, p: proof{}, failure: errTemporary, want: unclear},
		{name: "one, and another was just accepted", s: sending{batch: waitingItems(1), proved: true, asked: true}, p: fresh, failure: errTemporary, want: confirm},
		{name: "one, tried again since", s: sending{batch: waitingItems(1), proved: true}, p: fresh, failure: errTemporary, want: isRefused},
		{name: "one of a divided batch, first try", s: sending{batch: waitingItems(1), tries: 1}, p: fresh, failure: errTemporary, want: unclear},
		{name: "one of a divided batch, second try", s: sending{batch: waitingItems(1), tries: 2}, p: fresh, failure: errTemporary, want: isRefused},
		{name: "one, and the proof is old", s: sending{batch: waitingItems(1), tries: 2}, p: stale, failure: errTemporary, want: unclear},
		{name: "one, and there is no other", s: sending{batch: waitingItems(1), tries: 4, noOther: true}, p: proof{took: true}, failure: errTemporary, want: isRefused},
		{name: "one, and nothing is known", s: sending{batch: waitingItems(1), tries: 9, noOther: true}, p: proof{}, failure: errTemporary, want: unclear},
	} {
		if got := tc.s.judge(tc.failure, &tc.p, defaultTiming()); got != tc.want {
			t.Errorf("%s: verdict %d, want %d", tc.name, got, tc.want)
		}
	}
}

// Eight are set aside for one that was accepted, and none after an outage.
func TestProofIsSpent(t *testing.T) {
	var p proof
	if p.isFresh(time.Minute) {
		t.Error("nothing was accepted yet")
	}
	p.renew()
	for i := range maxCredit {
		if !p.isFresh(time.Minute) {
			t.Errorf("spent after %d", i)
		}
		p.spend()
	}
	if p.isFresh(time.Minute) || p.took {
		t.Error("not spent")
	}
	p.renew()
	if p.void(); p.isFresh(time.Minute) || p.took {
		t.Error("valid after an outage")
	}
}

func TestBatchOfItems(t *testing.T) {
	others := func(list items, seqs ...int) items { // those are for other receivers
		for _, seq := range seqs {
			list[seq-1].n = nil
		}
		return list
	}
	for _, tc := range []struct {
		name    string
		rest    items
		resumes uint64
		most    int
		want    int
	}{
		{name: "all", rest: waitingItems(3), most: 5, want: 3},
		{name: "at most", rest: waitingItems(3), most: 2, want: 2},
		{name: "one", rest: waitingItems(3), most: 1, want: 1},
		{name: "others do not count", rest: others(waitingItems(4), 2, 3), most: 2, want: 4},
		{name: "resumed as it was", rest: waitingItems(5), resumes: 2, most: 5, want: 2},
		{name: "resumed, and more than allowed now", rest: waitingItems(5), resumes: 4, most: 5, want: 4},
	} {
		if got := len(tc.rest.batch(tc.resumes, tc.most)); got != tc.want {
			t.Errorf("%s: %d items, want %d", tc.name, got, tc.want)
		}
	}
}

func TestBatchSize(t *testing.T) {
	s := batchSize{biggest: 100, most: 100}
	s.reset()
	s.halve(100, false)
	if s.now != 50 || s.limit() != 100 {
		t.Errorf("after a failure: %d of %d", s.now, s.limit())
	}
	if s.double(); s.now != 100 {
		t.Errorf("after a success: %d", s.now)
	}
	s.halve(100, true)
	if s.reset(); s.now != 50 {
		t.Errorf("after it ran out of time: %d", s.now)
	}
	s.tooSlow = time.Now().Add(-tooSlowFor - time.Second)
	if s.reset(); s.now != 100 {
		t.Errorf("later: %d", s.now)
	}
	s.halve(2, true)
	if s.allowBiggest(); s.limit() != 100 {
		t.Errorf("after one ran out of time alone: %d", s.limit())
	}
}
