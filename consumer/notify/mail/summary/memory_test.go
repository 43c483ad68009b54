package summary

import (
	"strings"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"

	"supernats/consumer/notify/mail/lettertest"
	"supernats/schema"
)

func TestMemoryInWords(t *testing.T) {
	with := func(change func(*schema.AlertEvent)) *notification {
		n := lettertest.Hungry()
		change(&n.Data.Events[0])
		return n
	}
	again := lettertest.Hungry()
	again.Type, again.Data.Count = schema.TypeAlertUpdate, 17
	more := lettertest.Hungry()
	more.Type, more.Data.Count = schema.TypeAlertUpdate, 2
	more.Data.Events = append(more.Data.Events, more.Data.Events[0])
	loop := lettertest.Hungry()
	loop.Type, loop.Time.Time, loop.Data.Count = schema.TypeAlertUpdate, happened.Add(15*time.Minute), 22
	loop.Data.Recurring = &schema.Recurring{Times: 22, Since: schema.Time{Time: happened}, RunMS: 40_000}
	long := lettertest.Hungry()
	long.Data.Host, long.Data.Process = "web-frontend-01.fra.example.com", "payment-importer_00"
	own := lettertest.Hungry()
	own.Data.Annotations = map[string]string{"summary": "importer was killed"}

	for name, tc := range map[string]struct {
		n              *notification
		subject, first string
	}{
		"a lack of memory": {
			n: lettertest.Hungry(), subject: "CRITICAL web1 importer crashed (SIGKILL, out of memory)",
			first: "importer on web1 exited unexpectedly (ran 2 d 4 h, SIGKILL, out of memory at 2.0 of 2 GiB).",
		},
		"without a limit": {
			n: with(func(ev *schema.AlertEvent) { ev.Exit.OOM.Limit, ev.Ran = 0, nil }), subject: "CRITICAL web1 importer crashed (SIGKILL, out of memory)",
			first: "importer on web1 exited unexpectedly (SIGKILL, out of memory at 2.0 GiB).",
		},
		"of which nothing else is known": {
			n: with(func(ev *schema.AlertEvent) { ev.Exit.OOM, ev.Ran = &schema.OOM{Cgroup: "/"}, nil }), subject: "CRITICAL web1 importer crashed (SIGKILL, out of memory)",
			first: "importer on web1 exited unexpectedly (SIGKILL, out of memory).",
		},
		"while it started": {
			n: with(func(ev *schema.AlertEvent) { ev.Exit.SpawnErr = "Exited too quickly" }), subject: "CRITICAL web1 importer crashed (SIGKILL, out of memory)",
			first: "importer on web1 exited unexpectedly (ran 2 d 4 h, SIGKILL, out of memory at 2.0 of 2 GiB).",
		},
		"an exit code": {
			n: with(func(ev *schema.AlertEvent) { ev.Exit = code(3); *ev.Ran = 12.4 }), subject: "CRITICAL web1 importer exited unexpectedly (exit code 3)",
			first: "importer on web1 exited unexpectedly (ran 12 s, exit code 3).",
		},
		"no reason": {
			n: with(func(ev *schema.AlertEvent) { ev.Exit = nil; *ev.Ran = 0.012 }), subject: "CRITICAL web1 importer exited unexpectedly (ran 12 ms)",
			first: "importer on web1 exited unexpectedly (ran 12 ms).",
		},
		"FATAL": {
			n:       with(func(ev *schema.AlertEvent) { ev.Event, ev.Exit = schema.ProcessStateFatal, code(3); *ev.Ran = 0.3 }),
			subject: "CRITICAL web1 importer is FATAL (exit code 3)",
			first:   "importer on web1 is FATAL, gave up starting it (ran 300 ms, exit code 3).",
		},
		"once more": {
			n: again, subject: "CRITICAL UPDATE web1 importer crashed (SIGKILL, out of memory)",
			first: "importer on web1 exited unexpectedly once more (ran 2 d 4 h, SIGKILL, out of memory at 2.0 of 2 GiB), 17 times since the alert opened.",
		},
		"twice more": {
			n: more, subject: "CRITICAL UPDATE web1 importer ran out of memory (and 1 more)",
			first: "importer on web1 exited unexpectedly 2 more times (the last time SIGKILL, out of memory at 2.0 of 2 GiB).",
		},
		"again and again": {
			n: loop, subject: "CRITICAL UPDATE web1 importer crashed 22x in 15m, runs 40s each",
			first: "importer on web1 crashed 22 times in 15 minutes, runs 40 s each (SIGKILL, out of memory at 2.0 of 2 GiB), 22 times since the alert opened.",
		},
		"long names": {
			n: long, subject: "CRITICAL web-frontend-01.fra...ment-importer_00 ran out of memory",
			first: "importer:payment-importer_00 on web-frontend-01.fra.example.com exited unexpectedly (ran 2 d 4 h, SIGKILL, out of memory at 2.0 of 2 GiB).",
		},
		"the words of a rule": {
			n: own, subject: "CRITICAL web1 importer crashed (SIGKILL, out of memory)",
			first: "importer on web1 exited unexpectedly (ran 2 d 4 h, SIGKILL, out of memory at 2.0 of 2 GiB).",
		},
	} {
		t.Run(name, func(t *testing.T) {
			subject, first := words(batch(tc.n))
			if !strings.HasPrefix(subject, "[supervisor] "+tc.subject) || displaywidth.String(subject) > MaxWidth {
				t.Errorf("subject\n%s, want\n[supervisor] %s", subject, tc.subject)
			}
			if first != tc.first {
				t.Errorf("first line\n%s, want\n%s", first, tc.first)
			}
		})
	}
}

// A digest counts them; in the subject the names come first, and then the number where
// there is room.
func TestMemoryInDigests(t *testing.T) {
	subject, first := words(lettertest.HungryBatch())
	if want := "[supervisor] CRITICAL importer, api:api_00 exited unexpectedly on 3 hosts"; subject != want {
		t.Errorf("subject %q, want %q", subject, want)
	}
	both := batch(crash("web1", "", "a", 0, lettertest.OutOfMemory()), crash("web1", "", "b", 0, lettertest.OutOfMemory()))
	if subject, _ := words(both); subject != "[supervisor] CRITICAL web1 a, b exited unexpectedly (2 out of memory)" {
		t.Errorf("subject %q", subject)
	}
	if want := "3 processes on 3 hosts exited unexpectedly (1 out of memory)."; first != want {
		t.Errorf("first line %q, want %q", first, want)
	}
}
