package spool

import (
	"errors"
	"sync"
	"testing"

	"supernats/bridge/spool/segment"
)

// The oldest record is the first one that is not done, wherever the reading side is.
func TestOldest(t *testing.T) {
	dir := t.TempDir()
	crashSpool(t, dir, 0)
	s := open(t, Options{Dir: dir, Sync: -1})
	defer closeSpool(t, s)
	check := func(when, want string) {
		t.Helper()
		if rec, err := s.Oldest(); string(rec) != want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", when, rec, err, want)
		}
	}
	check("nothing read", crashRecord(1))
	readAll(t, s)
	check("all read", crashRecord(1))
	for _, done := range []int{1, perSegment - 1, perSegment, crashRecords - 2*perSegment - 1} {
		if err := s.Ack(done, 0); err != nil {
			t.Fatal(err)
		}
	}
	check("all but one done", crashRecord(crashRecords))
	if err := s.Rewind(); err != nil {
		t.Fatal(err)
	}
	check("gone back", crashRecord(crashRecords))
	readAll(t, s)
	if err := s.Ack(1, 0); err != nil {
		t.Fatal(err)
	}
	check("all done", "")
	appendAll(t, s, "another")
	check("one more", "another")
}

// What is after the end of a segment, or damaged, is not the oldest record.
func TestOldestIsWhole(t *testing.T) {
	for _, tc := range []struct {
		name   string
		done   int
		damage func(*testing.T, string)
		want   string
	}{
		{name: "at the end of a segment", done: perSegment, want: crashRecord(perSegment + 1)},
		{name: "damaged", done: 3, damage: flip(1, frameOf(4)+segment.FrameSize), want: crashRecord(5)},
		{
			name: "damaged to the end of its segment", done: perSegment - 1,
			damage: flip(1, frameOf(perSegment)+segment.FrameSize), want: crashRecord(perSegment + 1),
		},
		{name: "its segment is gone", damage: remove(segment.Name(1)), want: crashRecord(perSegment + 1)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			crashSpool(t, dir, tc.done)
			s := open(t, Options{Dir: dir, Sync: -1})
			defer closeSpool(t, s)
			if tc.damage != nil {
				tc.damage(t, dir)
			}
			if rec, err := s.Oldest(); string(rec) != tc.want || err != nil {
				t.Errorf("got %q, %v; want %q", rec, err, tc.want)
			}
		})
	}
}

// Oldest may be called at any time: its record is whole, and never an earlier one than before.
func TestOldestMeanwhile(t *testing.T) {
	s := open(t, Options{Sync: -1, SegmentBytes: 4 << 10})
	defer closeSpool(t, s)
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asked := 0
	asking.Go(func() {
		for last := ""; ; asked++ {
			select {
			case <-stop:
				return
			default:
			}
			rec, err := s.Oldest()
			if err != nil {
				t.Error(err)
				return
			}
			if len(rec) > 0 {
				if string(rec[:11]) < last {
					t.Errorf("%q after %q", rec, last)
				}
				last = string(rec[:11])
			}
		}
	})
	for _, rec := range numbered(1, 5000) {
		appendAll(t, s, rec)
		if readAll(t, s); len(s.reader.flying) > 20 {
			if err := s.Ack(15, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	asking.Wait()
	if asked == 0 {
		t.Error("nothing was asked")
	}
}

// Stats says why nothing is stored, while that is so.
func TestStatsErr(t *testing.T) {
	s := open(t, Options{Max: 1 << 10, Sync: -1})
	defer s.Close()
	check := func(want error) {
		t.Helper()
		if got := s.Stats().Err; !errors.Is(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	check(nil)
	for s.Append(noise(100)) == nil {
	}
	check(ErrFull)
	n := len(readAll(t, s))
	if err := s.Ack(n, 0); err != nil {
		t.Fatal(err)
	}
	appendAll(t, s, "x")
	check(nil)
	s.Finish()
	check(ErrFinished)
}
