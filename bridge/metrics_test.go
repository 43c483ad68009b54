package bridge

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// Counters of all causes that can occur begin at 0: what appears with its first value has
// no increase.
func TestCountersBeginAtZero(t *testing.T) {
	b := newBridge(t)
	losses := append(ledger.Causes(), metrics.CauseUnpublishable)
	if !slices.Contains(losses, schema.LossNotListening) {
		t.Errorf("causes of losses are %v", losses)
	}
	for _, cause := range losses {
		if got := lostMetric(t, b, cause); got != 0 {
			t.Errorf("%s begins at %v", cause, got)
		}
	}

	if diff := cmp.Diff(manualCauses(t), byCause(t, b, "supernats_bridge_troubles_total")); diff != "" {
		t.Errorf("counters of troubles (-README.md, at 0 +found):\n%s", diff)
	}
}

// manualCauses are the causes of the manual's table of troubles, but for those that the
// consumer sees, all with 0.
func manualCauses(t *testing.T) map[string]float64 {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n| cause | meaning |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")

	causes := map[string]float64{}
	for row := range strings.Lines(table) {
		names, meaning, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		if strings.HasPrefix(meaning, "seen by `supernats consume`") {
			continue
		}
		for name := range strings.SplitSeq(names, ", ") {
			causes[strings.Trim(name, "`")] = 0
		}
	}
	return causes
}

// lostMetric is the value of the counter of losses.
func lostMetric(t *testing.T, b *Bridge, cause string) float64 {
	t.Helper()
	n, found := byCause(t, b, "supernats_bridge_lost_events_total")[cause]
	if !found {
		t.Fatalf("no losses by %s", cause)
	}
	return n
}

// byCause are the values of a counter by their only label.
func byCause(t *testing.T, b *Bridge, name string) map[string]float64 {
	t.Helper()
	all, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}

	values := map[string]float64{}
	for _, family := range all {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			values[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return values
}

// The whole registry of a bridge is as Prometheus wants it.
func TestMetricsLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(newBridge(t).registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %+v", err, problems)
	}
}
