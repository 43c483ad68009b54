package spool

import (
	"testing"
	"time"
)

func open(tb testing.TB, opt Options) *Spool {
	tb.Helper()
	if opt.Dir == "" {
		opt.Dir = tb.TempDir()
	}
	if opt.Max == 0 {
		opt.Max = 1 << 30
	}
	s, err := Open(tb.Context(), opt)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func BenchmarkAppend(b *testing.B) {
	s := open(b, Options{Sync: 100 * time.Millisecond, Max: 64 << 30})
	defer s.Close()
	rec := make([]byte, 350)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Append(rec); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	s := open(b, Options{Sync: -1, Max: 64 << 30})
	defer s.Close()
	rec := make([]byte, 350)
	for range b.N {
		if err := s.Append(rec); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, ok, err := s.Next(); !ok || err != nil {
			b.Fatal(i, ok, err)
		}
		if i%100 == 99 {
			if err := s.Ack(100, 0); err != nil {
				b.Fatal(err)
			}
		}
	}
}
