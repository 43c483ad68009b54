package bridge

import (
	"testing"
	"time"
)

// A burst is noticed within a slot, and its end some slots later; single events are
// none, however many.
func TestPace(t *testing.T) {
	var p pace
	at := readAt
	for range 1000 {
		at = at.Add(time.Millisecond)
		p.saw(at)
		if p.burst(at) {
			t.Fatal("a thousand events a second are a burst")
		}
	}
	for range 100_000 {
		at = at.Add(50 * time.Microsecond)
		p.saw(at)
	}
	if !p.burst(at) || !p.burst(at.Add(paceSlot)) {
		t.Error("20,000 events a second are no burst")
	}
	if p.burst(at.Add(4*paceSlot)) || p.burst(at.Add(-time.Second)) {
		t.Error("the burst does not end")
	}
	p.saw(at.Add(4 * paceSlot))
	if p.burst(at.Add(4 * paceSlot)) {
		t.Error("one event after a burst is a burst")
	}
	for range 1 << 17 {
		p.saw(at.Add(time.Second))
	}
	if !p.burst(at.Add(time.Second)) || p.word.Load()>>32 != paceSlotOf(at.Add(time.Second)) {
		t.Error("many events in one slot are counted wrong")
	}
}

func BenchmarkPace(b *testing.B) {
	var p pace
	now := time.Now()
	for b.Loop() {
		p.saw(now)
	}
}
