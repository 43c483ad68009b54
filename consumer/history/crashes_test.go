package history_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"supernats/consumer/fleettest"
	"supernats/consumer/history"
	"supernats/schema"
	"supernats/schema/stream"
)

// Crashes are counted once, when they were stored, deaths while starting among them; exits
// that were expected are not.
func TestCrashesAreCounted(t *testing.T) {
	f := fleettest.New(t)
	var log history.CrashLog
	isCounted := func(want int) {
		t.Helper()
		f.Until("all is counted", func() bool {
			counts, _, whole := log.Counts(time.Now())
			n := 0
			for _, c := range counts {
				n += c
			}
			if n > want && want > 0 {
				t.Fatalf("%d crashes, want %d", n, want)
			}
			return whole && n == want && counts[len(counts)-1]+counts[len(counts)-2] == want
		})
	}
	if counts, begin, whole := log.Counts(time.Now()); len(counts) != history.CrashParts || whole ||
		time.Since(begin) > 24*time.Hour || time.Since(begin) < 23*time.Hour {
		t.Errorf("at first %v since %v, %v", counts, begin, whole)
	}

	jetStream := func() jetstream.JetStream { return f.JS }
	f.Background(func(ctx context.Context) error {
		return log.Run(ctx, jetStream, func(err error) { t.Log(err) })
	})
	for range 3 {
		f.Publish(f.Crash(), f.Event(schema.ProcessStateRunning))
	}
	f.Publish(f.Event(schema.ProcessStateExited, func(e *schema.Event) { e.Expected = new(true) }))
	isCounted(3)
	f.Publish(f.Crash())
	isCounted(4)
	f.Publish(f.Event(schema.ProcessStateBackoff), f.Event(schema.ProcessStateFatal))
	isCounted(5)
	if counts, _, _ := log.Counts(time.Now().Add(25 * time.Hour)); counts[0] != 0 {
		t.Errorf("a day later %v", counts)
	}

	// The sequences of a stream that is created again begin at 1.
	s, err := f.JS.Stream(t.Context(), stream.Events)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.JS.DeleteStream(t.Context(), stream.Events); err != nil {
		t.Fatal(err)
	}
	if _, err := f.JS.CreateStream(t.Context(), s.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
	isCounted(0)
	f.Publish(f.Crash())
	isCounted(1)
}
