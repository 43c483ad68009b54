package letter

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/notify/mail/lettertest"
	"supernats/schema"
)

// factsOf are the lines between the first sentence of a text and what follows them.
func factsOf(l Letter) string {
	_, rest, _ := strings.Cut(l.Text, "\n\n")
	facts, _, _ := strings.Cut(rest, "\n\n")
	return facts
}

// TestFacts: what a person needs first stands first, and what is not known is left out.
func TestFacts(t *testing.T) {
	event := func(name string, late bool) *notification {
		return firing(func(a *schema.Notification) {
			a.Labels = nil
			a.Events[0].Event, a.Events[0].Exit, a.Events[0].Late = name, nil, late
		})
	}
	recovered := recovered("web1", "api", "api_00", 5*time.Minute, 3)
	recovered.Data.State = schema.StateRunning
	loop := firing(func(a *schema.Notification) {
		a.Count = 24
		a.Recurring = &schema.Recurring{Times: 22, Since: schema.Time{Time: happened.Add(-15 * time.Minute)}}
	})
	present := firing(func(a *schema.Notification) {
		a.Labels, a.State = nil, schema.StateExited
		a.Crashes = &schema.RecentCrashes{LastHour: 3, LastDay: 17}
	})
	trouble := lettertest.Alert(schema.TypeAlertFiring, "bridge-trouble", "web1", "", "", schema.AlertEvent{
		Event: "supernats.bridge.trouble", Time: schema.Time{Time: happened}, Cause: "disk-full", Fix: "make room",
	})
	const since = "2026-11-21 19:00:31.833 UTC (10m ago)"
	for _, tc := range []struct {
		name  string
		batch []*notification
		want  string
	}{
		{
			name: "a lack of memory", batch: batch(lettertest.Hungry()),
			want: "  Where    web1 (192.0.2.11)\n  Since    " + since + "\n  Ran for  2 d 4 h" +
				"\n  Crashes  the first in 24 hours\n  Now      EXITED, down unless supervisord restarts it (as of 10m ago)",
		},
		{
			name: "FATAL", batch: batch(event(schema.ProcessStateFatal, false)),
			want: "  Since  " + since + "\n  Now    FATAL, down until somebody starts it (as of 10m ago)",
		},
		{
			name: "late, so nobody knows what it does now", batch: batch(event(schema.ProcessStateFatal, true)),
			want: "  Since  " + since,
		},
		{
			name: "again and again", batch: batch(loop),
			want: "  Where      web1 (192.0.2.11)\n  Since      " + since +
				"\n  How often  22 times in the last 15 minutes, 24 times since the alert opened",
		},
		{
			name: "what it does now, and how often it crashed lately", batch: batch(present),
			want: "  Since    " + since + "\n  Crashes  3 in the last hour, 17 in the last 24 hours" +
				"\n  Now      EXITED, down unless supervisord restarts it (as of 10m ago)",
		},
		{
			name: "recovered", batch: batch(recovered),
			want: "  Since      " + since + "\n  Until      2026-11-21 19:05:31.833 UTC (5m ago)" +
				"\n  How often  3 times since the alert opened\n  Now        RUNNING (as of 10m ago)",
		},
		{
			name: "a trouble", batch: batch(trouble),
			want: "  Since      " + since + "\n  To fix it  make room",
		},
		{
			name: "a digest says it of the worst", batch: lettertest.HungryBatch(),
			want: "  Worst    importer on web1\n  What     exited unexpectedly\n" +
				"  Why      SIGKILL, out of memory at 2.0 of 2 GiB\n  Since    " + since + "\n  Ran for  2 d 4 h" +
				"\n  Crashes  the first in 24 hours\n  Now      EXITED, down unless supervisord restarts it (as of 10m ago)",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := writeAt(t, tc.batch, happened.Add(10*time.Minute))
			if diff := cmp.Diff(tc.want, factsOf(l)); diff != "" {
				t.Errorf("facts (-want +got):\n%s\nof\n%s", diff, l.Text)
			}
		})
	}
}

// TestOneSentenceForEach: the facts about the worst alert of a digest do not report it twice.
func TestOneSentenceForEach(t *testing.T) {
	l := write(t, storm(3))
	if n := strings.Count(l.Text, "worker:worker_000 on web1 exited unexpectedly (exit code 1)"); n != 1 {
		t.Errorf("is reported %d times in\n%s", n, l.Text)
	}
}
