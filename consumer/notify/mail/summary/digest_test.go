package summary

import (
	"testing"
	"time"

	"supernats/schema"
)

// TestDigestWords are the subjects of mails about several notifications.
func TestDigestWords(t *testing.T) {
	silent := func(host string) *notification {
		a := alertOf(schema.TypeAlertFiring, "quiet", host, "", "")
		a.Data.Kind = schema.KindSilent
		return a
	}
	heard := func(host string) *notification {
		return alertOf(schema.TypeAlertResolved, "host-silent", host, "", "")
	}
	down := func(rule, group, process string) *notification {
		return alertOf(schema.TypeAlertFiring, rule, "web1", group, process)
	}
	warning := func(n *notification) *notification { n.Data.Severity = "warning"; return n }
	again := note(schema.TypeAlertUpdate, 2, schema.Notification{
		Rule: "unexpected-exit", Host: "web1", Group: "worker", Process: "worker_000", Count: 3,
		Events: []schema.AlertEvent{exit(time.Minute, code(3)), exit(2*time.Minute, code(4))},
	})
	lateStorm := storm(3)
	for _, n := range lateStorm {
		n.Data.Events[0].Late = true
	}
	for _, tc := range []struct {
		batch []*notification
		want  string
	}{
		{
			batch: append(storm(200), recovered("web1", "api", "api_00", time.Minute, 1), recovered("web1", "api", "api_01", time.Minute, 1)),
			want:  "CRITICAL worker_000, worker_001, worker_002 +197 crashed",
		},
		{batch: storm(2), want: "CRITICAL worker:worker_000, worker:worker_001 exited unexpectedly"},
		{batch: storm(1), want: "CRITICAL web1 worker:worker_000 exited unexpectedly (exit code 1)"},
		{batch: batch(storm(1)[0], again), want: "CRITICAL worker:worker_000 on web1 crashed (exit 4) (3 events)"},
		{
			batch: append(storm(2), recovered("web1", "worker", "worker_000", 270*time.Second, 1)),
			want:  "CRITICAL worker:worker_001 on web2 crashed (exit 2) (1 resolved)",
		},
		{
			batch: batch(storm(1)[0], recovered("web1", "worker", "worker_000", 270*time.Second, 1)),
			want:  "RESOLVED worker:worker_000 on web1 has recovered after 4m30s...",
		},
		{
			batch: batch(recovered("web1", "a", "a", time.Second, 1), recovered("web2", "b", "b", time.Second, 1), heard("web3")),
			want:  "RESOLVED a, b have recovered on 2 hosts and 1 other alert",
		},
		{
			batch: batch(alertOf(schema.TypeAlertResolved, "quorum", "web1", "api", ""), alertOf(schema.TypeAlertResolved, "quorum", "web1", "db", "")),
			want:  "RESOLVED 2 alerts on web1 are over",
		},
		{batch: batch(silent("web1"), silent("web2")), want: "CRITICAL 2 hosts are silent"},
		{batch: append(storm(3), silent("web9")), want: "CRITICAL worker_000, worker_001, worker_002 crashed, +1 alert"},
		// The worst comes first, even if there is more of another.
		{
			batch: batch(warning(storm(3)[0]), warning(storm(3)[1]), warning(storm(3)[2]), silent("web9")),
			want:  "CRITICAL web9 is silent and 3 other alerts",
		},
		{
			batch: append(storm(2), silent("web9"), warning(down("disk", "", "")), warning(down("quorum", "api", ""))),
			want:  "CRITICAL worker:worker_000, worker:worker_001 crashed, +3 alerts",
		},
		{batch: batch(down("quorum", "api", ""), down("quorum", "db", "")), want: "CRITICAL 2 alerts of rule quorum on web1"},
		{batch: batch(down("unexpected-exit", "api", ""), down("unexpected-exit", "db", "")), want: "CRITICAL 2 alerts on web1: exited unexpectedly"},
		{batch: lateStorm, want: "CRITICAL LATE worker_000, worker_001, worker_002 crashed"},
		{batch: append(storm(5)[3:], lateStorm[0]), want: "CRITICAL worker_003, worker_004, worker_000 exited unexpectedly"},
	} {
		if got, _ := words(tc.batch); got != "[supervisor] "+tc.want {
			t.Errorf("got  %s\nwant [supervisor] %s", got, tc.want)
		}
	}
}
