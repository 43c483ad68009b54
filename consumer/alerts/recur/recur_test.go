package recur_test

import (
	"testing"
	"time"

	"supernats/consumer/alerts/recur"
	"supernats/consumer/rules"
	"supernats/schema"
)

const minute, hour = time.Minute, time.Hour

// The more often it was reported, the later it is again; repeat_interval is the most.
func TestUpdateAfter(t *testing.T) {
	for _, c := range []struct {
		name    string
		updates int
		repeat  time.Duration
		want    time.Duration
	}{
		{name: "the first update", updates: 0, repeat: 4 * hour, want: 5 * minute},
		{name: "the second", updates: 1, repeat: 4 * hour, want: 15 * minute},
		{name: "all others", updates: 2, repeat: 5 * hour, want: 4 * hour},
		{name: "not later than it is repeated", updates: 7, repeat: hour, want: hour},
		{name: "nor than the second", updates: 1, repeat: 10 * minute, want: 10 * minute},
		{name: "it is never repeated", updates: 2, repeat: 0, want: 4 * hour},
		{name: "it is repeated all the time", updates: 2, repeat: time.Second, want: 5 * minute},
	} {
		rule := &rules.Rule{GroupInterval: 5 * minute, RepeatInterval: c.repeat}
		if got := recur.UpdateAfter(&schema.Alert{Updates: c.updates}, rule); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
