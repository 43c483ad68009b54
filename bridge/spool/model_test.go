package spool

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"supernats/bridge/spool/files"
	"supernats/bridge/spool/marks"
	"supernats/bridge/spool/segment"

	"pgregory.net/rapid"
)

// TestModel does the same random things to a spool and to a slice.
func TestModel(t *testing.T) {
	root := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		dir := filepath.Join(root, fmt.Sprint(runs))
		opt := Options{
			Dir: dir, Max: 1 << 20, SegmentBytes: int64(rapid.IntRange(1, 400).Draw(rt, "segment")),
			Sync:   rapid.SampledFrom([]time.Duration{-1, time.Hour}).Draw(rt, "sync"),
			Lost:   func(l Loss) { rt.Errorf("lost: %+v", l) },
			Failed: func(err error) { rt.Error(err) },
		}
		var (
			recs     []string // all of them
			acked    int
			read     int
			next     uint64 = 1
			seq      uint64
			finished bool
		)
		reopen := func() *Spool {
			s, err := Open(t.Context(), opt)
			if err != nil {
				rt.Fatal(err)
			}
			read, finished = acked, false
			return s
		}
		s := reopen()
		defer func() { _ = s.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				rec := fmt.Sprintf("%d %*s", next, rapid.IntRange(0, 300).Draw(rt, "size"), "")
				err := s.Append([]byte(rec))
				if finished {
					if !errors.Is(err, ErrFinished) {
						rt.Fatal(err)
					}
					return
				}
				if err != nil {
					rt.Fatal(err)
				}
				recs = append(recs, rec)
				next++
			},
			"next": func(rt *rapid.T) {
				for range rapid.IntRange(1, 9).Draw(rt, "n") {
					rec, ok, err := s.Next()
					if read == len(recs) {
						if ok || finished != errors.Is(err, io.EOF) || !finished && err != nil {
							rt.Fatalf("%q %v %v", rec, ok, err)
						}
						return
					}
					if !ok || err != nil || string(rec) != recs[read] {
						rt.Fatalf("%q %v %v, want %q", rec, ok, err, recs[read])
					}
					read++
				}
			},
			"ack": func(rt *rapid.T) {
				n := rapid.IntRange(0, read-acked).Draw(rt, "n")
				if err := s.Ack(n, seq+1); err != nil {
					rt.Fatal(err)
				}
				if acked += n; n > 0 {
					seq++
				}
			},
			"ack too many": func(rt *rapid.T) {
				if err := s.Ack(read-acked+1, 99); err == nil {
					rt.Fatal("no error")
				}
			},
			"rewind": func(rt *rapid.T) {
				if err := s.Rewind(); err != nil {
					rt.Fatal(err)
				}
				read = acked
			},
			"reopen": func(rt *rapid.T) {
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				s = reopen()
			},
			"finish": func(rt *rapid.T) {
				if rapid.IntRange(0, 5).Draw(rt, "really") == 0 {
					s.Finish()
					finished = true
				}
			},
			"": func(rt *rapid.T) {
				if stats := s.Stats(); stats.Records != uint64(len(recs)-acked) || s.Checkpoint() != (marks.Checkpoint{Next: uint64(acked) + 1, Seq: seq}) {
					rt.Fatalf("%+v %+v, want %d records, %d done", stats, s.Checkpoint(), len(recs)-acked, acked)
				}
			},
			"look": func(rt *rapid.T) {
				stats := s.Stats()
				var bytes int64
				all, err := segment.List(files.Disk{}, dir)
				if err != nil {
					rt.Fatal(err)
				}
				for _, seg := range all {
					bytes += seg.End
				}
				if bytes != stats.Bytes || len(all) != stats.Segments {
					rt.Fatalf("%+v, on disk %d segments of %d bytes", stats, len(all), bytes)
				}
				r, err := Inspect(dir)
				if err != nil || r.Records != stats.Records || r.Missing > 0 || r.Bytes != bytes || r.Segments != len(all) || len(r.Damaged) > 0 {
					rt.Fatalf("%+v %v, want %+v", r, err, stats)
				}
				if r.Records > 0 && (r.Oldest != uint64(acked)+1 || r.Newest != next-1) {
					rt.Fatalf("%+v, want %d to %d", r, acked+1, next-1)
				}
			},
		})
		s.Finish()
		if err := s.Rewind(); err != nil {
			rt.Fatal(err)
		}
		if got := readAll(rt, s); !slices.Equal(got, recs[acked:]) {
			rt.Fatalf("%q, want %q", got, recs[acked:])
		}
	})
}

// TestConcurrent writes, reads, flushes and inspects a spool at the same time.
func TestConcurrent(t *testing.T) {
	const records = 20_000
	dir := t.TempDir()
	s := open(t, Options{
		Dir: dir, Sync: time.Millisecond, SegmentBytes: 8 << 10, Max: 200 << 10,
		Lost: func(l Loss) { t.Errorf("lost: %+v", l) }, Failed: func(err error) { t.Error(err) },
	})
	var (
		all     sync.WaitGroup
		running atomic.Bool
		looks   int
		done    atomic.Uint64
	)
	running.Store(true)
	all.Go(func() {
		for i := range records {
			for {
				room := s.Room()
				err := s.Append(killRecord(uint64(i+1), i%50))
				if err == nil {
					break
				}
				if !errors.Is(err, ErrFull) {
					t.Error(err)
					break
				}
				<-room
			}
		}
		s.Finish()
	})
	all.Go(func() {
		defer running.Store(false)
		r := rand.New(rand.NewPCG(5, 6))
		for acked, read := 0, 0; ; {
			rec, ok, err := s.Next()
			if errors.Is(err, io.EOF) {
				if err := s.Ack(read-acked, 1); err != nil || read != records {
					t.Error(read, err)
				}
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			if !ok {
				<-s.More()
				continue
			}
			if want := killRecord(uint64(read+1), read%50); string(rec) != string(want) {
				t.Errorf("record %d is %q", read+1, rec)
				return
			}
			read++
			switch r.IntN(100) {
			case 0:
				if err := s.Rewind(); err != nil {
					t.Error(err)
				}
				read = acked
			case 1, 2:
				n := r.IntN(read - acked + 1)
				if err := s.Ack(n, 1); err != nil {
					t.Error(err)
				}
				acked += n
				done.Store(uint64(acked))
			}
		}
	})
	all.Go(func() {
		for running.Load() {
			if st := s.Stats(); st.Bytes > 200<<10 || s.Used() > 1 {
				t.Errorf("%+v", st)
			}
			s.Checkpoint()
			time.Sleep(time.Microsecond)
		}
	})
	all.Go(func() {
		for ; running.Load(); looks++ {
			r, err := Inspect(dir)
			if err != nil || r.Missing > 0 || len(r.Damaged) > 0 {
				t.Errorf("%+v %v", r, err)
			}
			before, last := done.Load(), uint64(0)
			if err := Dump(dir, func(number uint64, rec []byte) error {
				if number <= before || last > 0 && number <= last || string(rec) != string(killRecord(number, int(number-1)%50)) {
					return fmt.Errorf("record %d after %d, done %d: %q", number, last, before, rec)
				}
				last = number
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	t.Logf("%d looks", looks)
	if looks < 3 {
		t.Errorf("only %d looks", looks)
	}
	closeSpool(t, s)
	closeSpool(t, s) // a second time is nothing
	if r, err := Inspect(dir); err != nil || r.Records != 0 || r.Checkpoint.Next != records+1 {
		t.Errorf("%+v %v", r, err)
	}
}
