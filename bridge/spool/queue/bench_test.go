package queue

import (
	"testing"
	"time"

	"supernats/bridge/spool"
)

// BenchmarkAppend is what supervisord waits for.
func BenchmarkAppend(b *testing.B) {
	dir := b.TempDir()
	rec := make([]byte, 350)
	q, err := Open(b.Context(), Options{
		Spool: spool.Options{Sync: 100 * time.Millisecond, Max: 64 << 30, Event: func(rec []byte) []byte { return rec[9:150] }},
		Find:  func() (string, error) { return dir, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	b.SetBytes(int64(len(rec)))
	b.ReportAllocs()
	for b.Loop() {
		if err := q.Append(rec); err != nil {
			b.Fatal(err)
		}
	}
}
