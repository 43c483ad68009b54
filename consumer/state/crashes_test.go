package state_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/crashes"
	"supernats/consumer/state"
	"supernats/schema"
)

// recentOf is how often api_00 had crashed, a second after the last message, and whether
// all of the last day is counted.
func recentOf(f *state.Fleet, last int) (hour, day int, isWhole bool) {
	r := crashes.Recent(f.State("web1", "api", "api_00").Crashes, meta(last+1).Stored)
	if r == nil {
		return 0, 0, true
	}
	return r.LastHour, r.LastDay, r.IsWholeDay()
}

// The crashes of a process are counted from when it is known, and what was lost may have
// been one.
func TestCrashesOfTheLastDay(t *testing.T) {
	table := table(1, row("RUNNING"))
	exit := func(serial uint64, expected bool) step {
		return step{event: "EXITED", boot: "a", serial: serial, expected: p(expected)}
	}
	backoff := step{event: "BACKOFF", boot: "a", serial: 3}
	loss := &schema.Loss{Host: "web1", Boot: "a", Count: 1}
	for _, c := range []struct {
		name      string
		messages  []any
		hour, day int
		isWhole   bool
	}{
		{name: "none", messages: []any{table, exit(2, true)}, isWhole: true},
		{name: "known for less than a day", messages: []any{table, exit(2, false)}, day: 1},
		{name: "BACKOFF is one, an exit as expected is none", messages: []any{table, backoff, exit(4, true), exit(5, false)}, day: 2},
		{name: "what was applied before", messages: []any{table, exit(2, false), exit(2, false)}, day: 1},
		{name: "a loss", messages: []any{table, exit(2, false), loss}, day: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Events happen an hour before they are stored.
			f := history(c.messages...)
			hour, day, isWhole := recentOf(f, len(c.messages))
			if hour != c.hour || day != c.day || isWhole != c.isWhole {
				t.Errorf("%d in the hour, %d in the day, all: %t", hour, day, isWhole)
			}
			if d := cmp.Diff(stored(f), stored(load(stored(f)))); d != "" {
				t.Errorf("restored:\n%s", d)
			}
		})
	}
}

// Since when all are counted: since there is a record, or since the last loss.
func TestCrashesAreCountedSince(t *testing.T) {
	crash := step{event: "EXITED", boot: "a", serial: 5, expected: p(false)}
	loss := &schema.Loss{Host: "web1", Boot: "a", Count: 1}
	for _, c := range []struct {
		name     string
		messages []any
		want     time.Time
	}{
		{name: "its first message", messages: []any{table(1, row("RUNNING")), crash}, want: meta(1).Stored},
		{name: "a loss before the first crash", messages: []any{table(1, row("RUNNING")), loss, crash}, want: meta(1).Stored},
		{name: "a loss after it", messages: []any{table(1, row("RUNNING")), crash, loss}, want: meta(3).Stored},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := history(c.messages...).State("web1", "api", "api_00").Crashes
			if !got.Since.Equal(c.want) {
				t.Errorf("since %v, want %v", got.Since, c.want)
			}
		})
	}

	f := history(table(1, row("RUNNING")))
	day := 24 * time.Hour
	f.Loss(state.Meta{Seq: 2, Stored: zero.Add(3 * day)}, loss.Envelope(zero.Add(3*day)))
	f.Event(state.Meta{Seq: 3, Stored: zero.Add(3*day + time.Hour)}, crash.envelope(int(3*day/time.Second)+3600))
	if got := f.State("web1", "api", "api_00").Crashes.Since; !got.Equal(zero.Add(3 * day)) {
		t.Errorf("a loss of an hour before the first crash: since %v", got)
	}

	// What was recorded by an earlier version, which did not count.
	f = state.NewFleet()
	f.Load(nil, []schema.ProcessRecord{{Host: "web1", Group: "api", Process: "api_00", State: "RUNNING", Boot: "a", Serial: 1, Seq: 1}})
	f.Event(meta(2), crash.envelope(2))
	if got := f.State("web1", "api", "api_00").Crashes.Since; !got.Equal(meta(2).Stored) {
		t.Errorf("a record of an earlier version: since %v", got)
	}
}
