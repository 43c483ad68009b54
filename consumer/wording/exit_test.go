package wording_test

import (
	"cmp"
	"math"
	"testing"
	"time"

	"supernats/consumer/notify/notifytest"
	"supernats/consumer/wording"
	"supernats/schema"
)

func TestEndOfLife(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*schema.AlertEvent)
		want   string
	}{
		"all":                 {change: func(*schema.AlertEvent) {}, want: "ran 2 d 4 h, SIGKILL, out of memory at 2.0 of 2 GiB"},
		"no reason":           {change: func(ev *schema.AlertEvent) { ev.Exit = nil }, want: "ran 2 d 4 h"},
		"a code":              {change: func(ev *schema.AlertEvent) { ev.Exit, *ev.Ran = code(3), 0.25 }, want: "ran 250 ms, exit code 3"},
		"an older bridge":     {change: func(ev *schema.AlertEvent) { ev.Ran, ev.Exit = nil, code(3) }, want: "exit code 3"},
		"while it started":    {change: func(ev *schema.AlertEvent) { ev.Ran, ev.Exit.SpawnErr = nil, "Exited too quickly" }, want: "SIGKILL, out of memory at 2.0 of 2 GiB"},
		"a length below zero": {change: func(ev *schema.AlertEvent) { ev.Exit, *ev.Ran = nil, -math.MaxFloat64 }, want: "ran 0 ms"},
		"a length beyond all": {change: func(ev *schema.AlertEvent) { ev.Exit, *ev.Ran = nil, math.MaxFloat64 }, want: "ran 106751 d 23 h"},
	} {
		if got := wording.EndOfLife(&notifytest.OutOfMemory("a", c.change).Data.Events[0]); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestLastLook(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*schema.AlertEvent)
		want   string
	}{
		"all":          {change: func(*schema.AlertEvent) {}, want: "2.2 s before: 1.9 GiB (peak 2.0 GiB), 500 ms CPU, 1 thread, 31 open files"},
		"none":         {change: func(ev *schema.AlertEvent) { ev.Last = nil }, want: ""},
		"nothing seen": {change: func(ev *schema.AlertEvent) { ev.Last = &schema.Look{Time: ev.Time} }, want: ""},
		"little": {
			change: func(ev *schema.AlertEvent) {
				ev.Last = &schema.Look{Time: ev.Last.Time, RSS: 5 << 20, PeakRSS: 5 << 20}
			}, want: "3.0 s before: 5.0 MiB",
		},
		"a clock that is wrong": {change: func(ev *schema.AlertEvent) {
			ev.Ran, ev.HostTime = nil, &schema.Time{Time: ev.Last.Time.Add(time.Minute)}
		}, want: "1 min before: 1.9 GiB (peak 2.0 GiB), 500 ms CPU, 1 thread, 31 open files"},
		"after its end": {change: func(ev *schema.AlertEvent) { ev.Last.Age = 1e9 }, want: "1.9 GiB (peak 2.0 GiB), 500 ms CPU, 1 thread, 31 open files"},
	} {
		if got := wording.LastLook(&notifytest.OutOfMemory("a", c.change).Data.Events[0]); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func code(n int) *schema.Exit { return &schema.Exit{Code: &n} }

func TestReason(t *testing.T) {
	oom := &schema.OOM{Cgroup: "/a", Limit: 2 << 30, Peak: 2 << 30}
	for _, tc := range []struct {
		exit        *schema.Exit
		long, short string // short is the same where empty
	}{
		{exit: nil, long: ""},
		{exit: &schema.Exit{}, long: ""},
		{exit: code(0), long: "exit code 0", short: "exit 0"},
		{exit: code(3), long: "exit code 3", short: "exit 3"},
		{exit: &schema.Exit{Signal: "SIGKILL"}, long: "SIGKILL"},
		{exit: &schema.Exit{Signal: "SIGSEGV", Core: true}, long: "SIGSEGV, core dumped"},
		{exit: &schema.Exit{Core: true}, long: "core dumped"},
		{
			exit: &schema.Exit{Signal: "SIGKILL", OOM: oom},
			long: "SIGKILL, out of memory at 2.0 of 2 GiB", short: "SIGKILL, out of memory",
		},
		{
			exit: &schema.Exit{Signal: "SIGKILL", OOM: oom, SpawnErr: "Exited too quickly"},
			long: "SIGKILL, out of memory at 2.0 of 2 GiB", short: "SIGKILL, out of memory",
		},
		// The process table says so of what could be started.
		{
			exit: &schema.Exit{SpawnErr: "Exited too quickly (process log may have details)"},
			long: "exited within its startsecs",
		},
		{exit: &schema.Exit{Code: new(3), SpawnErr: "Exited too quickly"}, long: "exit code 3", short: "exit 3"},
		{exit: &schema.Exit{SpawnErr: "can't find\ncommand"}, long: `spawn error: can't find\ncommand`},
		// The words of others stay as they are.
		{exit: &schema.Exit{SpawnErr: "exit code 3"}, long: "spawn error: exit code 3"},
		{exit: &schema.Exit{Signal: "exit code 3"}, long: "exit code 3"},
	} {
		if got := wording.Reason(tc.exit); got != tc.long {
			t.Errorf("reason of %+v is %q, want %q", tc.exit, got, tc.long)
		}
		if got, want := wording.ShortReason(tc.exit), cmp.Or(tc.short, tc.long); got != want {
			t.Errorf("short reason of %+v is %q, want %q", tc.exit, got, want)
		}
	}
}
