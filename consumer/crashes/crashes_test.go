package crashes_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"supernats/consumer/crashes"
	"supernats/schema"
)

func TestRecentCrashes(t *testing.T) {
	now := time.Date(2026, 11, 21, 19, 0, 30, 0, time.UTC)
	longAgo := now.Add(-48 * time.Hour)
	since := func(ago time.Duration) *schema.Time { return &schema.Time{Time: now.Add(-ago)} }
	every := func(d time.Duration, times int) (ago []time.Duration) {
		for i := times - 1; i >= 0; i-- {
			ago = append(ago, time.Duration(i)*d)
		}
		return ago
	}
	for _, c := range []struct {
		name  string
		ago   []time.Duration // how long ago, in the order in which they are counted
		since time.Time
		want  *schema.RecentCrashes
	}{
		{name: "none", since: longAgo},
		{name: "none of today", ago: []time.Duration{25 * time.Hour}, since: longAgo},
		{
			name: "the first one", ago: []time.Duration{0}, since: longAgo,
			want: &schema.RecentCrashes{LastHour: 1, LastDay: 1},
		},
		{
			name:  "the edges of the hour and the day",
			ago:   []time.Duration{24*time.Hour + time.Minute, 24*time.Hour - time.Minute, time.Hour + time.Minute, 59 * time.Minute},
			since: longAgo,
			want:  &schema.RecentCrashes{LastHour: 1, LastDay: 3},
		},
		{
			name: "a spool brings an older one later", ago: []time.Duration{0, 2 * time.Hour}, since: longAgo,
			want: &schema.RecentCrashes{LastHour: 1, LastDay: 2},
		},
		{
			name: "the process is known for two hours", ago: []time.Duration{0}, since: now.Add(-2 * time.Hour),
			want: &schema.RecentCrashes{LastHour: 1, LastDay: 1, Since: since(2 * time.Hour)},
		},
		{
			name: "one a minute for a day and more: the day is counted from a whole hour on",
			ago:  every(time.Minute, 2000), since: longAgo,
			want: &schema.RecentCrashes{LastHour: 60, LastDay: 23*60 + 1, Since: since(23*time.Hour + 30*time.Second)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all *schema.Crashes
			for _, ago := range c.ago {
				all = crashes.Add(all, now.Add(-ago), c.since)
			}
			if diff := cmp.Diff(c.want, crashes.Recent(all, now)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever crashes when, the figures never are more than there were, never less than what
// they promise, and what is kept is bounded.
func TestRecentCrashesAreNeverWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all *schema.Crashes
		begin := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
		at := begin
		var times []time.Time
		for range rapid.IntRange(1, 400).Draw(t, "crashes") {
			at = at.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
			times = append(times, at)
			all = crashes.Add(all, at, begin.Add(-48*time.Hour))
		}
		if n := len(all.Minutes) + len(all.Hours); n > 115 {
			t.Fatalf("%d slots", n)
		}

		now := at.Add(time.Duration(rapid.IntRange(0, 30*60).Draw(t, "after")) * time.Minute)
		countSince := func(since time.Time) (n int) {
			for _, c := range times {
				if c.After(since) {
					n++
				}
			}
			return n
		}
		got := crashes.Recent(all, now)
		if got == nil {
			got = &schema.RecentCrashes{}
		}
		hour, day := countSince(now.Add(-time.Hour)), countSince(now.Add(-24*time.Hour))
		if got.LastHour != hour || got.LastDay > day {
			t.Fatalf("%+v, there were %d and %d", got, hour, day)
		}
		if got.Since == nil && got.LastDay != day {
			t.Fatalf("%d in the last day, there were %d", got.LastDay, day)
		}
		if got.Since != nil && got.LastDay < countSince(got.Since.Add(-time.Nanosecond)) {
			t.Fatalf("%d since %v, there were more", got.LastDay, got.Since)
		}
	})
}

// What is lost may have been a crash.
func TestMissedCrashes(t *testing.T) {
	now := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	before := crashes.Add(nil, now.Add(-3*time.Hour), now.Add(-48*time.Hour))
	after := crashes.MissedUpTo(before, now.Add(-2*time.Hour))

	if r := crashes.Recent(before, now); !r.IsWholeDay() {
		t.Errorf("the value has changed: %+v", r)
	}
	if r := crashes.Recent(after, now); r.IsWholeDay() || !r.IsWholeHour(now) {
		t.Errorf("%+v", r)
	}
	if r := crashes.Recent(crashes.Add(after, now, now.Add(-48*time.Hour)), now); r.LastDay != 2 || r.IsWholeDay() {
		t.Errorf("forgotten by the next one: %+v", r)
	}
	if crashes.MissedUpTo(nil, now) != nil {
		t.Error("nothing was counted")
	}
}
