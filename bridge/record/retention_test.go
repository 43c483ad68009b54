package record

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
)

type durations = map[string]schema.Duration

func TestTTLErrors(t *testing.T) {
	for _, tc := range []struct {
		name     string
		settings durations
		text     string
	}{
		{
			name: "no such event", settings: durations{"TICK_10": schema.Duration(time.Hour)},
			text: `--ttl: invalid event "TICK_10": want one of snapshot, EVENT, PROCESS_STATE`,
		},
		{
			name: "another case", settings: durations{"tick_5": schema.Duration(time.Hour)},
			text: `--ttl: invalid event "tick_5"`,
		},
		{name: "no name", settings: durations{"": schema.Duration(time.Hour)}, text: `--ttl: invalid event ""`},
		{
			name: "a subject", settings: durations{"SNAPSHOT": schema.Duration(time.Hour)},
			text: `--ttl: invalid event "SNAPSHOT"`,
		},
		{
			name: "below a second", settings: durations{"TICK_5": schema.Duration(time.Second - 1)},
			text: "--ttl: invalid value TICK_5=999.999999ms: want 0, or 1s or more",
		},
		{name: "negative", settings: durations{"TICK_5": -1}, text: "want 0, or 1s or more"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			table, err := NewTTL(tc.settings)
			if err == nil {
				t.Fatalf("got %v", table)
			}
			if !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%q does not hold %q", err, tc.text)
			}
		})
	}
}

func TestTTL(t *testing.T) {
	const hour = time.Hour
	set := func(d time.Duration) schema.Duration { return schema.Duration(d) }
	defaults := map[string]time.Duration{
		"TICK_5": hour, "TICK_60": 24 * hour, "TICK_3600": 0,
		"PROCESS_LOG_STDOUT": 72 * hour, "PROCESS_LOG_STDERR": 72 * hour,
		"PROCESS_COMMUNICATION_STDOUT": 72 * hour, "PROCESS_COMMUNICATION_STDERR": 72 * hour,
		"PROCESS_STATE_EXITED": 0, "PROCESS_STATE_RUNNING": 0, "REMOTE_COMMUNICATION": 0,
		"SUPERVISOR_STATE_CHANGE_RUNNING": 0, "PROCESS_GROUP_ADDED": 0, "NOT_KNOWN": 0,
	}
	for _, tc := range []struct {
		name     string
		settings durations
		want     map[string]time.Duration // beside the defaults
	}{
		{name: "nothing set", settings: nil, want: nil},
		{
			name: "a concrete name", settings: durations{"TICK_5": set(time.Second)},
			want: map[string]time.Duration{"TICK_5": time.Second},
		},
		{
			name: "one of a family", settings: durations{"PROCESS_LOG_STDERR": set(5 * hour)},
			want: map[string]time.Duration{"PROCESS_LOG_STDERR": 5 * hour},
		},
		{
			name: "0 takes a default away", settings: durations{"TICK_5": 0, "PROCESS_LOG": 0},
			want: map[string]time.Duration{"TICK_5": 0, "PROCESS_LOG_STDOUT": 0, "PROCESS_LOG_STDERR": 0},
		},
		{
			name: "an abstract name", settings: durations{"TICK": set(2 * hour)},
			want: map[string]time.Duration{"TICK_5": 2 * hour, "TICK_60": 2 * hour, "TICK_3600": 2 * hour},
		},
		{
			name:     "an abstract name and one below it",
			settings: durations{"TICK": set(2 * hour), "TICK_60": set(3 * hour)},
			want:     map[string]time.Duration{"TICK_5": 2 * hour, "TICK_60": 3 * hour, "TICK_3600": 2 * hour},
		},
		{
			name: "a family without a default", settings: durations{"PROCESS_STATE": set(24 * hour)},
			want: map[string]time.Duration{"PROCESS_STATE_EXITED": 24 * hour, "PROCESS_STATE_RUNNING": 24 * hour},
		},
		{
			name:     "everything, but for a family",
			settings: durations{"EVENT": set(7 * hour), "PROCESS_STATE": 0},
			want: map[string]time.Duration{
				"TICK_5": 7 * hour, "TICK_60": 7 * hour, "TICK_3600": 7 * hour,
				"PROCESS_LOG_STDOUT": 7 * hour, "PROCESS_LOG_STDERR": 7 * hour,
				"PROCESS_COMMUNICATION_STDOUT": 7 * hour, "PROCESS_COMMUNICATION_STDERR": 7 * hour,
				"REMOTE_COMMUNICATION": 7 * hour, "SUPERVISOR_STATE_CHANGE_RUNNING": 7 * hour, "PROCESS_GROUP_ADDED": 7 * hour, "NOT_KNOWN": 7 * hour,
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			table, err := NewTTL(tc.settings)
			if err != nil {
				t.Fatal(err)
			}
			want, got := map[string]time.Duration{}, map[string]time.Duration{}
			for name, d := range defaults {
				want[name], got[name] = d, table.Of(name)
			}
			for name, d := range tc.want {
				want[name] = d
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if d := table[ttlSnapshot]; d != hour {
				t.Errorf("snapshots stay for %v", d)
			}
		})
	}
	table, err := NewTTL(durations{ttlSnapshot: set(2 * hour)})
	if err != nil || table[ttlSnapshot] != 2*hour {
		t.Errorf("snapshots stay for %v, %v", table[ttlSnapshot], err)
	}
	if defaultTTL["TICK_5"] != hour || len(defaultTTL) != 5 {
		t.Errorf("the defaults were changed: %v", defaultTTL)
	}
}
