package bridge

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"supernats/bridge/eventlistener"
	"supernats/bridge/ledger"
	"supernats/bridge/metrics"
	"supernats/bridge/record"
	"supernats/bridge/spool"
	"supernats/schema"
)

func newBridge(tb testing.TB) *Bridge {
	tb.Helper()
	b, err := New(goodConfig(), testBoot, "test", zerolog.Nop())
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Each loss counts once, and damage that hides how much it took counts as one.
func TestLossesAreCounted(t *testing.T) {
	b := newBridge(t)
	b.journal.Shed(eventRecord(schema.Tick5, ""), &eventlistener.Header{Event: schema.Tick5})
	b.journal.SpoolLost(spool.Loss{Records: 3})
	b.journal.SpoolLost(spool.Loss{Bytes: 100})
	b.reportLost(&decoded{}, record.ErrMalformed)
	for cause, want := range map[string]float64{
		ledger.CauseBuffer: 0, ledger.CauseFull: 1, ledger.CauseCorrupt: 4, metrics.CauseUnpublishable: 1,
	} {
		if got := lostMetric(t, b, cause); got != want {
			t.Errorf("%s: %v, want %v", cause, got, want)
		}
	}
}

// lostMetric is the value of the counter of losses.
func lostMetric(t *testing.T, b *Bridge, cause string) float64 {
	t.Helper()
	all, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range all {
		if family.GetName() != "supernats_bridge_lost_events_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			if m.GetLabel()[0].GetValue() == cause {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no losses by %s", cause)
	return 0
}

// The whole registry of a bridge is as Prometheus wants it.
func TestMetricsLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(newBridge(t).registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %+v", err, problems)
	}
}
