package history_test

import (
	"testing"
	"time"

	"supernats/consumer/fleettest"
	"supernats/consumer/history"
	"supernats/schema"
)

// Crashes are counted once, when they were stored, deaths while starting among them; exits
// that were expected are not.
func TestCrashesAreCounted(t *testing.T) {
	f := fleettest.New(t)
	var log history.CrashLog
	refresh := func(want int) {
		t.Helper()
		f.Until("all is counted", func() bool {
			log.Refresh(f.JS, func(err error) {
				if t.Context().Err() == nil { // the last one may still run at the end
					t.Error(err)
				}
			})
			counts, _, whole := log.Counts(time.Now())
			n := 0
			for _, c := range counts {
				n += c
			}
			if n > want {
				t.Fatalf("%d crashes, want %d", n, want)
			}
			return whole && n == want && counts[len(counts)-1]+counts[len(counts)-2] == want
		})
	}
	if counts, begin, whole := log.Counts(time.Now()); len(counts) != history.CrashParts || whole ||
		time.Since(begin) > 24*time.Hour || time.Since(begin) < 23*time.Hour {
		t.Errorf("at first %v since %v, %v", counts, begin, whole)
	}

	for range 3 {
		f.Publish(f.Crash(), f.Event(schema.ProcessStateRunning))
	}
	f.Publish(f.Event(schema.ProcessStateExited, func(e *schema.Event) { e.Expected = new(true) }))
	refresh(3)
	f.Publish(f.Crash())
	refresh(4)
	f.Publish(f.Event(schema.ProcessStateBackoff), f.Event(schema.ProcessStateFatal))
	refresh(5)
	if counts, _, _ := log.Counts(time.Now().Add(25 * time.Hour)); counts[0] != 0 {
		t.Errorf("a day later %v", counts)
	}
}
