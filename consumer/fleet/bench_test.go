package fleet

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"supernats/schema"
)

// BenchmarkChange measures one snapshot after one process of 200,000 has changed.
func BenchmarkChange(b *testing.B) {
	m := crowd(10_000)
	m.snapshot(noon)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		state := []string{schema.StateFatal, schema.StateRunning}[i%2]
		m.setProcess(process("web05000.example.com", "api", "api_07", state))
		m.snapshot(noon)
	}
}

// BenchmarkPage measures a page of the whole fleet, sorted and filtered.
func BenchmarkPage(b *testing.B) {
	s := crowd(10_000).snapshot(noon)
	for _, q := range []Query{{}, {Sort: SortWorst}, {Text: "web05000"}, {Hosts: []string{"web05*"}}} {
		b.Run(fmt.Sprintf("sort=%s,text=%s,hosts=%d", q.Sort, q.Text, len(q.Hosts)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Processes(&q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMemory reports what a process takes, all in all.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		m := crowd(10_000)
		begun := time.Now()
		m.snapshot(noon)
		b.ReportMetric(time.Since(begun).Seconds()*1e3, "ms/first")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/200_000, "B/process")
		runtime.KeepAlive(m)
	}
}
