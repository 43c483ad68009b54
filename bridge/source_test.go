package bridge

import (
	"testing"

	"supernats/bridge/deathreason"
	"supernats/bridge/record"
	"supernats/bridge/spool"
	"supernats/bridge/spool/queue"
)

// The reader knows when the stream has a process table.
func TestTableIsStored(t *testing.T) {
	dir := t.TempDir()
	sp, err := queue.Open(t.Context(), queue.Options{
		Spool: spool.Options{Max: 1 << 30, Event: record.EventPlace},
		Find:  func() (string, error) { return dir, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()

	stored := 0
	r := &source{
		queue: sp, encoder: testEncoder(), metrics: testMetrics(), tableStored: func() { stored++ },
		reasons: deathreason.New(deathreason.Config{}),
	}
	for _, rec := range [][]byte{eventRecord("TICK_5", "when:1"), tableRecord(t, 1), eventRecord("TICK_5", "when:2")} {
		if err := sp.Append(rec); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := r.Next(); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	for i, want := range []int{0, 1, 1} {
		if err := r.Ack(1, uint64(i+1)); err != nil {
			t.Fatal(err)
		}
		if stored != want {
			t.Errorf("after %d records: %d tables are stored, want %d", i+1, stored, want)
		}
	}
}
