package summary

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"

	"supernats/consumer/wording"
	"supernats/schema"
)

func TestSubject(t *testing.T) {
	event := func(name string, x *schema.Exit) func(*schema.Notification) {
		return func(a *schema.Notification) { a.Events[0].Event, a.Events[0].Exit = name, x }
	}
	rule := func(name string) func(*schema.Notification) { return func(a *schema.Notification) { a.Rule = name } }
	host := func(a *schema.Notification) { a.Group, a.Process, a.Events = "", "", nil }
	of := func(typ string, n *Notification) *Notification {
		n.Type = typ
		return n
	}
	lost := func(a *schema.Notification) {
		a.Events = []schema.AlertEvent{{Event: "supernats.bridge.loss", Lost: 3, Cause: schema.LossNotListening}}
	}
	trouble := func(a *schema.Notification) {
		a.Events = []schema.AlertEvent{{Event: wording.EventTrouble, Cause: "disk-full", Text: "3 MiB are left", Fix: "make room"}}
	}
	reasoned := func(a *schema.Notification) { a.Annotations = map[string]string{"reason": "its bridge was stopped"} }
	endedBy := func(why string) func(*schema.Notification) { return func(a *schema.Notification) { a.Ended = why } }
	five := func(a *schema.Notification) {
		a.Count, a.Events = 5, slices.Repeat(a.Events, 5)
		a.Events[4].Exit = code(4)
	}
	for _, tc := range []struct {
		n    *Notification
		want string
	}{
		{n: firing(), want: "[supervisor] CRITICAL web1 api:api_00 exited unexpectedly (exit code 3)"},
		// Somebody takes care of it: no filter for CRITICAL is to wake others.
		{n: of(schema.TypeAlertAcknowledged, firing(func(a *schema.Notification) {
			a.Events, a.By, a.Reason = nil, "ann", "rolling back"
		})), want: "[supervisor] ACKNOWLEDGED web1 api:api_00 is acknowledged by ann: rolling back"},
		{n: of(schema.TypeAlertUnacknowledged, firing(func(a *schema.Notification) {
			a.Events, a.Cause = nil, schema.UnackedByTime
		})), want: "[supervisor] CRITICAL UNACKNOWLEDGED web1 api:api_00 is no longer..."},
		{n: firing(event(schema.ProcessStateExited, nil)), want: "[supervisor] CRITICAL web1 api:api_00 exited unexpectedly"},
		{n: firing(event(schema.ProcessStateExited, &schema.Exit{})), want: "[supervisor] CRITICAL web1 api:api_00 exited unexpectedly"},
		{n: firing(event(schema.ProcessStateExited, code(0))), want: "[supervisor] CRITICAL web1 api:api_00 exited unexpectedly (exit code 0)"},
		{n: firing(event(schema.ProcessStateExited, &schema.Exit{Signal: "SIGKILL"})), want: "[supervisor] CRITICAL web1 api:api_00 exited unexpectedly (SIGKILL)"},
		{n: firing(event(schema.ProcessStateExited, &schema.Exit{Signal: "SIGSEGV", Core: true})), want: "[supervisor] CRITICAL web1 api:api_00 crashed (SIGSEGV, core dumped)"},
		{n: firing(event(schema.ProcessStateExited, &schema.Exit{Core: true})), want: "[supervisor] CRITICAL web1 api:api_00 exited unexpectedly (core dumped)"},
		{n: firing(func(a *schema.Notification) { a.Process = "api" }), want: "[supervisor] CRITICAL web1 api exited unexpectedly (exit code 3)"},
		{n: firing(event(schema.ProcessStateFatal, nil)), want: "[supervisor] CRITICAL web1 api:api_00 is FATAL, gave up starting it"},
		{
			n:    firing(event(schema.ProcessStateFatal, &schema.Exit{SpawnErr: "can't find command '/opt/api'"})),
			want: "[supervisor] CRITICAL web1 api:api_00 is FATAL (spawn error: can't find...",
		},
		// A subject is shortened in our own words: those of others, and names, are cut.
		{
			n:    firing(event(schema.ProcessStateFatal, &schema.Exit{SpawnErr: "exit code 3 of exec: ENOEXEC"})),
			want: "[supervisor] CRITICAL web1 api:api_00 is FATAL (spawn error: exit code 3 of...",
		},
		{
			n: firing(rule("odd"), event("", nil), func(a *schema.Notification) {
				a.Annotations = map[string]string{"summary": "import exited unexpectedly (exit code 3)"}
			}),
			want: "[supervisor] CRITICAL web1 api:api_00: import exited unexpectedly (exit...",
		},
		{n: firing(event(schema.ProcessStateFatal, code(1))), want: "[supervisor] CRITICAL web1 api:api_00 is FATAL (exit code 1)"},
		{n: firing(event(schema.ProcessLogStderr, nil), rule("oom")), want: "[supervisor] CRITICAL web1 api:api_00 wrote to stderr (rule oom)"},
		{n: firing(event("PROCESS_SPLIT", nil), rule("odd")), want: "[supervisor] CRITICAL web1 api:api_00 alert odd by PROCESS_SPLIT"},
		{n: firing(host, rule("host-silent")), want: "[supervisor] CRITICAL web1 is silent, its bridge sends nothing"},
		{n: firing(host, rule("loss")), want: "[supervisor] CRITICAL web1 has lost events"},
		{n: firing(host, rule("loss"), lost), want: "[supervisor] CRITICAL web1 has lost at least 3 events (supervisord did not..."},
		{n: firing(host, rule("bridge-trouble"), trouble), want: "[supervisor] CRITICAL web1 is in trouble (disk-full: 3 MiB are left)"},
		{n: of(schema.TypeAlertResolved, firing(host, rule("bridge-trouble"))), want: "[supervisor] RESOLVED web1 is out of trouble: open for 0s, 1 event"},
		{n: firing(host, rule("host-silent"), reasoned), want: "[supervisor] CRITICAL web1 is silent, its bridge was stopped"},
		{n: firing(event(schema.ProcessStateUnknown, nil), rule("unknown")), want: "[supervisor] CRITICAL web1 api:api_00 is in state UNKNOWN"},
		{n: firing(host, rule("odd")), want: "[supervisor] CRITICAL web1 alert odd"},
		{n: firing(five), want: "[supervisor] CRITICAL web1 api:api_00 crashed (exit 4) (and 4 more)"},
		// A notification that holds fewer events than it is about.
		{n: firing(func(a *schema.Notification) { a.Count = 300 }), want: "[supervisor] CRITICAL web1 api:api_00 crashed (exit 3) (and 299 more)"},
		{n: of(schema.TypeAlertUpdate, firing(five, func(a *schema.Notification) { a.Count = 70 })), want: "[supervisor] CRITICAL UPDATE web1 api:api_00 crashed (exit 4) (and 4 more)"},
		{n: of(schema.TypeAlertResolved, firing(func(a *schema.Notification) { a.Events = nil })), want: "[supervisor] RESOLVED web1 api:api_00 has recovered: open for 0s, 1 event"},
		{
			n: of(schema.TypeAlertResolved, firing(func(a *schema.Notification) {
				a.Events, a.Annotations = nil, map[string]string{"reason": "it was stopped"}
			})),
			want: "[supervisor] RESOLVED web1 api:api_00 no longer needs attention (it was...",
		},
		{n: of(schema.TypeAlertResolved, firing(host, rule("host-silent"))), want: "[supervisor] RESOLVED web1 is reporting again: open for 0s"},
		{n: of(schema.TypeAlertResolved, firing(host, rule("host-silent"), reasoned, endedBy(schema.EndedForgotten))), want: "[supervisor] RESOLVED web1 was forgotten: open for 0s"},
		{n: of(schema.TypeAlertResolved, firing(host, rule("host-silent"), reasoned, endedBy(schema.EndedRule))), want: "[supervisor] RESOLVED web1 is no longer watched (its rule was removed)..."},
		{n: of(schema.TypeAlertResolved, firing(endedBy(schema.EndedForgotten))), want: "[supervisor] RESOLVED web1 api:api_00 no longer needs attention (the host..."},
	} {
		if got, _ := words(batch(tc.n)); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

// The severity and names come first, whatever there is to say, and the subject fits into
// a line.
func TestSubjectFits(t *testing.T) {
	long := strings.Repeat("payment-worker-", 6)
	wide := strings.Repeat("集計", 20)
	for _, tc := range []struct {
		batch []*notification
		want  string
	}{
		{batch: batch(crash("web1", "api", "api_00", 0, code(3))), want: "[supervisor] CRITICAL web1 api:api_00 exited"},
		{batch: batch(crash(long, long, long, 0, code(3))), want: "[supervisor] CRITICAL payment-work"},
		{batch: batch(crash(wide, wide, wide, 0, code(3))), want: "[supervisor] CRITICAL 集計"},
		{batch: batch(crash(long, long, long, 0, code(3)), crash(wide, wide, wide, 0, code(3))), want: "[supervisor] CRITICAL "},
		{batch: batch(recovered(long, long, long, time.Minute, 1)), want: "[supervisor] RESOLVED payment-work"},
		{batch: batch(crash("web1", "a", "a", 0, nil), crash("web1", "b", "b", 0, nil), crash("web1", "c", "c", 0, nil)), want: "[supervisor] CRITICAL web1 a, b, c exited unexpectedly"},
		{batch: append(batch(crash("web1", "a", "a", 0, nil), crash("web1", "b", "b", 0, nil), crash("web1", "c", "c", 0, nil)), crash("web1", "d", "d", 0, nil)), want: "[supervisor] CRITICAL web1 a, b, c and 1 other exited unexpectedly"},
		{batch: batch(note(schema.TypeAlertFiring, 1, schema.Notification{Rule: "x", Severity: strings.Repeat("sev", 30), Host: "h"})), want: "[supervisor] SEVSEVSEVSEV… h "},
	} {
		subject, _ := words(tc.batch)
		if width := displaywidth.String(subject); width > 78 || !strings.HasPrefix(subject, tc.want) {
			t.Errorf("%d columns, want %s…: %s", width, tc.want, subject)
		}
	}
}
