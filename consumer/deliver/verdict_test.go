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
		{"all was accepted in parts", sending{batch: items{{seq: 1}}}, proof{}, errTemporary, allTaken},
		{"outage", sending{batch: waitingItems(2), proved: true}, fresh, errAway, outage},
		{"a batch, and others are accepted", sending{batch: waitingItems(2)}, proof{took: true}, errTemporary, tooMany},
		{"a batch, and others were accepted lately", sending{batch: waitingItems(2)}, proof{credit: 1, credited: time.Now()}, errTemporary, tooMany},
		{"a batch, and nothing is known", sending{batch: waitingItems(2), tries: 9}, proof{}, errTemporary, unclear},
		{"one, and another was just accepted", sending{batch: waitingItems(1), proved: true, asked: true}, fresh, errTemporary, confirm},
		{"one, tried again since", sending{batch: waitingItems(1), proved: true}, fresh, errTemporary, isRefused},
		{"one of a divided batch, first try", sending{batch: waitingItems(1), tries: 1}, fresh, errTemporary, unclear},
		{"one of a divided batch, second try", sending{batch: waitingItems(1), tries: 2}, fresh, errTemporary, isRefused},
		{"one, and the proof is old", sending{batch: waitingItems(1), tries: 2}, stale, errTemporary, unclear},
		{"one, and there is no other", sending{batch: waitingItems(1), tries: 4, noOther: true}, proof{took: true}, errTemporary, isRefused},
		{"one, and nothing is known", sending{batch: waitingItems(1), tries: 9, noOther: true}, proof{}, errTemporary, unclear},
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
	if s.absolve(); s.limit() != 100 {
		t.Errorf("after one ran out of time alone: %d", s.limit())
	}
}
