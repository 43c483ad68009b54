package pulse

import (
	"testing"
	"time"
)

// A burst is noticed within a slot, and its end some slots later; single events are
// none, however many.
func TestBurst(t *testing.T) {
	var p Burst
	at := time.Date(2026, 11, 21, 19, 0, 31, 833512999, time.UTC)
	for range 1000 {
		at = at.Add(time.Millisecond)
		p.EventRead(at)
		if p.Running(at) {
			t.Fatal("a thousand events a second are a burst")
		}
	}
	for range 100_000 {
		at = at.Add(50 * time.Microsecond)
		p.EventRead(at)
	}
	if !p.Running(at) || !p.Running(at.Add(slotLength)) {
		t.Error("20,000 events a second are no burst")
	}
	if p.Running(at.Add(4*slotLength)) || p.Running(at.Add(-time.Second)) {
		t.Error("the burst does not end")
	}
	p.EventRead(at.Add(4 * slotLength))
	if p.Running(at.Add(4 * slotLength)) {
		t.Error("one event after a burst is a burst")
	}
	for range 1 << 17 {
		p.EventRead(at.Add(time.Second))
	}
	if !p.Running(at.Add(time.Second)) || p.word.Load()>>32 != slotOf(at.Add(time.Second)) {
		t.Error("many events in one slot are counted wrong")
	}
}

func BenchmarkBurst(b *testing.B) {
	var p Burst
	now := time.Now()
	for b.Loop() {
		p.EventRead(now)
	}
}
