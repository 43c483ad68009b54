package bridge

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"supernats/bridge/deathreason"
	"supernats/bridge/record"
	"supernats/bridge/spool"
)

// What asks for a snapshot again and again gets no more than a share of supervisord.
func TestSnapshotPause(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		time.Millisecond: snapshotLeast, 100 * time.Millisecond: snapshotLeast, 3 * time.Second: 30 * time.Second,
	} {
		ended := readAt.Add(took)
		if got := afterSnapshot(readAt, ended).Sub(ended); got != want {
			t.Errorf("after one that took %v the next may come after %v, want %v", took, got, want)
		}
	}
}

// Over an outage no process tables fill the spool: one waits, and the next one is
// taken when the stream has it, or after a long time.
func TestSnapshotWaits(t *testing.T) {
	dir := t.TempDir()
	rec := tableRecord(t, 1)
	sp, err := spool.OpenQueue(t.Context(), spool.QueueOptions{
		Options: spool.Options{Max: 1 << 30, Event: record.EventPlace},
		Find:    func() (string, error) { return dir, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	b := &Bridge{}
	r := &reader{
		Queue: sp, encoder: testEncoder(), reasons: deathreason.New(deathreason.Config{}), metrics: newMetrics(prometheus.NewRegistry(), &Bridge{}),
		stored: func() { b.tableWaits.Store(0) },
	}
	if b.snapshotWaits(readAt) {
		t.Error("there is none")
	}
	for _, rec := range [][]byte{eventRecord("TICK_5", "when:1"), rec, eventRecord("TICK_5", "when:2")} {
		if err := sp.Append(rec); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := r.Next(); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	b.tableWaits.Store(readAt.UnixNano())
	for i, want := range []bool{true, false, false} {
		if err := r.Ack(1, uint64(i+1)); err != nil {
			t.Fatal(err)
		}
		if got := b.snapshotWaits(readAt.Add(time.Second)); got != want {
			t.Errorf("after %d records: %v", i+1, got)
		}
	}
	b.tableWaits.Store(readAt.UnixNano())
	if b.snapshotWaits(readAt.Add(snapshotWaits)) {
		t.Error("it waits for ever")
	}
}
