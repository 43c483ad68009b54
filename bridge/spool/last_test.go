package spool

import (
	"slices"
	"testing"
)

// Open passes on what was appended last, even if it is done.
func TestLast(t *testing.T) {
	dir := t.TempDir()
	var last []string
	var numbers []uint64
	reopen := func() *Spool {
		t.Helper()
		last, numbers = nil, nil
		return open(t, Options{Dir: dir, SegmentBytes: 150, Last: func(number uint64, rec []byte) {
			last, numbers = append(last, string(rec)), append(numbers, number)
		}})
	}
	check := func(from, to int) {
		t.Helper()
		if want := numbered(from, to); !slices.Equal(last, want) || len(numbers) > 0 && (numbers[0] != uint64(from) || numbers[len(numbers)-1] != uint64(to)) {
			t.Fatalf("last are %q %d, want %q", last, numbers, want)
		}
	}
	s := reopen()
	check(1, 0)
	appendAll(t, s, numbered(1, 5)...)
	n := len(readAll(t, s))
	if err := s.Ack(n, 0); err != nil {
		t.Fatal(err)
	}
	closeSpool(t, s)
	s = reopen() // all is done
	if len(last) == 0 || last[len(last)-1] != numbered(5, 5)[0] {
		t.Fatalf("last are %q", last)
	}
	from := int(numbers[0])
	check(from, 5)
	closeSpool(t, s)
	s = reopen() // of a run that stored nothing
	check(from, 5)
	if err := s.addSegment(); err != nil { // one that died when it had begun a segment
		t.Fatal(err)
	}
	closeSpool(t, s)
	s = reopen()
	check(from, 5)
	appendAll(t, s, numbered(6, 6)...)
	closeSpool(t, s)
	s = reopen()
	check(6, 6)
	closeSpool(t, s)
}
