package spool

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"supernats/bridge/spool/segment"
)

// fill appends records until there is no room.
func fill(t *testing.T, s *Spool, size int, want *[]string) {
	t.Helper()
	for i := 0; ; i++ {
		rec := fmt.Sprintf("%d %0*d", len(*want), size, i)
		switch err := s.Append([]byte(rec)); {
		case errors.Is(err, ErrFull):
			return
		case err != nil:
			t.Fatal(err)
		}
		*want = append(*want, rec)
	}
}

// take reads and acknowledges n records, all if n is 0.
func take(t *testing.T, s *Spool, n int) (recs []string) {
	t.Helper()
	for n == 0 || len(recs) < n {
		rec, ok, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		recs = append(recs, string(rec))
	}
	if err := s.Ack(len(recs), 0); err != nil {
		t.Fatal(err)
	}
	return recs
}

func TestMax(t *testing.T) {
	const limit = 100_000
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Max: limit, SegmentBytes: 10_000, Sync: -1})
	defer func() { closeSpool(t, s) }()
	size := func() (sum int64) {
		for _, name := range segmentsOf(t, dir) {
			sum += int64(len(read(t, name)))
		}
		return sum
	}
	var want []string
	fill(t, s, 1000, &want)
	if got := size(); got > limit || got < limit-1100 || got != s.Stats().Bytes || s.Used() != float64(got)/limit {
		t.Errorf("full at %d of %d bytes: %+v", got, limit, s.Stats())
	}
	fill(t, s, 1, &want)
	if got := size(); got > limit || got < limit-30 {
		t.Errorf("full for small records at %d of %d bytes", got, limit)
	}
	if s.Stats().Records != uint64(len(want)) {
		t.Errorf("%d records, want %d", s.Stats().Records, len(want))
	}

	// Full after a restart too, and again room when a segment is done.
	closeSpool(t, s)
	s = open(t, Options{Dir: dir, Max: limit, SegmentBytes: 10_000, Sync: -1})
	if err := s.Append([]byte("x")); !errors.Is(err, ErrFull) {
		t.Errorf("after a restart: %v", err)
	}
	room := s.Room()
	got := take(t, s, 5)
	select {
	case <-room:
		t.Error("room without any")
	default:
	}
	got = append(got, take(t, s, 10)...)
	<-room
	fill(t, s, 1000, &want)
	if got := size(); got > limit {
		t.Errorf("%d of %d bytes", got, limit)
	}
	got = append(got, take(t, s, 0)...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestMaxExactly fills spools of many sizes up to their limit.
func TestMaxExactly(t *testing.T) {
	for limit := int64(900); limit < 1150; limit += 5 {
		s := open(t, Options{Max: limit, SegmentBytes: 200, Sync: -1})
		var want []string
		fill(t, s, 10, &want)
		frame := int64(segment.FrameSize + len(want[0]))
		if got := s.Stats().Bytes; got > limit || got < limit-segment.HeaderSize-frame {
			t.Errorf("full with %d of %d bytes", got, limit)
		}
		closeSpool(t, s)
	}
}

// TestMaxNothingWaits appends records that are larger than there is room for.
func TestMaxNothingWaits(t *testing.T) {
	s := open(t, Options{Max: 10_000, SegmentBytes: 1 << 20, Sync: -1})
	defer func() { closeSpool(t, s) }()
	for i := range 5 {
		for _, size := range []int{7000, 50_000, 2900} {
			rec := string(noise(size + i))
			room := s.Room()
			appendAll(t, s, rec)
			if err := s.Append([]byte(rec)); !errors.Is(err, ErrFull) {
				t.Errorf("second record of %d bytes: %v", size, err)
			}
			if got := take(t, s, 0); len(got) != 1 || got[0] != rec {
				t.Fatalf("%d records", len(got))
			}
			<-room
			if used := s.Stats(); used.Segments > 2 || used.Bytes > 70_000 {
				t.Errorf("%+v", used)
			}
		}
	}
}
