package spool

import (
	"testing"
	"time"

	"supernats/bridge/spool/segment"
)

func BenchmarkAppend(b *testing.B) {
	s := open(b, Options{Sync: 100 * time.Millisecond, Max: 64 << 30})
	defer s.Close()
	rec := make([]byte, 350)
	b.SetBytes(int64(len(rec)))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Append(rec); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNext reads the same 10,000 records again and again; a hundred of them
// are acknowledged at a time.
func BenchmarkNext(b *testing.B) {
	const records = 10_000
	s := open(b, Options{Sync: -1})
	defer s.Close()
	rec := make([]byte, 350)
	for range records {
		if err := s.Append(rec); err != nil {
			b.Fatal(err)
		}
	}
	start := s.done
	b.SetBytes(int64(len(rec)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%records == 0 {
			s.done = start
			if err := s.Rewind(); err != nil {
				b.Fatal(err)
			}
		}
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

// BenchmarkGarbage searches 16 MiB that hold no record.
func BenchmarkGarbage(b *testing.B) {
	dir := b.TempDir()
	write(b, dir+"/"+segment.Name(1), append(segment.AppendHeader(nil, 1), noise(defaultSegment)...))
	b.SetBytes(defaultSegment)
	for b.Loop() {
		s := open(b, Options{Dir: dir})
		if got := readAll(b, s); len(got) > 0 {
			b.Fatal(got)
		}
		s.Close()
	}
}

// BenchmarkTally is what of an Append keeps count.
func BenchmarkTally(b *testing.B) {
	s := open(b, Options{Sync: -1})
	defer s.Close()
	s.tally.Place = make([]byte, 140)
	b.ReportAllocs()
	for b.Loop() {
		s.counted.Store(&s.tally)
	}
}
