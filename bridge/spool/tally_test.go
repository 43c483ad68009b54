package spool

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"supernats/bridge/spool/marks"
	"supernats/bridge/spool/spooltest"
)

// ours says which records of the tests here are events, and where they stand.
func ours(rec []byte) []byte {
	if strings.HasPrefix(string(rec), "event") {
		return rec
	}
	return nil
}

// tallied makes a spool of events and other records, some of them done, and leaves it
// as a process that is killed does.
func tallied(t *testing.T, r *rand.Rand, dir string) (events []string, done int) {
	t.Helper()
	s := open(t, Options{Dir: dir, Sync: -1, Event: ours, SegmentBytes: 2000})
	defer closeSpool(t, s)
	n := 20 + r.IntN(150)
	ack := r.IntN(2) * r.IntN(n)
	for i := range n {
		rec := fmt.Sprintf("event %04d %*s", i, r.IntN(40), "")
		if r.IntN(8) == 0 {
			rec = "other"
		} else {
			events = append(events, rec)
		}
		appendAll(t, s, rec)
	}
	for range ack {
		rec, _, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if ours(rec) != nil {
			done++
		}
		if err := s.Ack(1, 0); err != nil {
			t.Fatal(err)
		}
	}
	return events, done
}

// spoil damages one file of a directory, and says how.
func spoil(t *testing.T, r *rand.Rand, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return spooltest.Damage(t, r, dir, entries[r.IntN(len(entries))].Name())
}

// Whatever happens to one file of a spool: what cannot be read is reported, exactly,
// once, and nothing else is.
func TestRandomDamage(t *testing.T) {
	root := t.TempDir()
	for seed := range uint64(600) {
		r := rand.New(rand.NewPCG(seed, 1))
		dir := filepath.Join(root, fmt.Sprint(seed))
		events, done := tallied(t, r, dir)
		how := spoil(t, r, dir)

		var reported uint64
		life := func(ack bool) (got []string) {
			var lost uint64
			s := open(t, Options{Dir: dir, Sync: -1, Event: ours, SegmentBytes: 2000, Lost: func(l Loss) {
				if lost += l.Events; !l.Later {
					lost += l.Records
				}
			}})
			defer closeSpool(t, s)
			appendAll(t, s, fmt.Sprint("event new ", len(events)))
			events = append(events, fmt.Sprint("event new ", len(events)))
			got = readAll(t, s)
			if ack {
				if err := s.Ack(len(s.reader.flying), 0); err != nil {
					t.Fatal(err)
				}
			}
			if lost > 0 {
				if err := s.AppendReporting([]byte("lost"), OfDamage); err != nil {
					t.Fatal(err)
				}
			}
			reported += lost
			return slices.DeleteFunc(got, func(rec string) bool { return ours([]byte(rec)) == nil })
		}
		if r.IntN(2) == 0 {
			life(false) // reports what is lost, and dies before anything is done
		}
		got := life(true)
		if more := life(true); len(more) != 1 {
			t.Errorf("seed %d, %s: when all is done %q", seed, how, more)
		}

		want, missing := events[:len(events)-1], len(events)-1-done
		for i, rec := range got {
			at := slices.Index(want, rec)
			if at < 0 {
				t.Fatalf("seed %d, %s: %d, %q was doubled, invented or is out of order", seed, how, i, rec)
			}
			if want = want[at+1:]; slices.Index(events, rec) >= done {
				missing--
			}
		}
		if uint64(missing) != reported {
			t.Errorf("seed %d, %s: %d of %d events are missing, %d are reported as lost", seed, how, missing, len(events)-1-done, reported)
		}
	}
}

// What an Append puts on record costs no memory.
func TestTallyDoesNotAllocate(t *testing.T) {
	s := open(t, Options{Sync: -1})
	defer closeSpool(t, s)
	rec := make([]byte, 350)
	if n := testing.AllocsPerRun(100, func() { appendAll(t, s); _ = s.Append(rec) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A tally that somebody cuts under a running bridge does not end it.
func TestTallyIsCut(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Sync: -1})
	defer closeSpool(t, s)
	appendAll(t, s, "event 1")
	if err := os.Truncate(filepath.Join(dir, marks.TallyName), 0); err != nil {
		t.Fatal(err)
	}
	appendAll(t, s, "event 2", "event 3")
	if got := readAll(t, s); len(got) != 3 || !s.counted.Broken() {
		t.Errorf("%q, noticed: %v", got, s.counted.Broken())
	}
}
