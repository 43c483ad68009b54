package spool

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"supernats/bridge/spool/marks"
	"supernats/bridge/spool/segment"

	"github.com/google/go-cmp/cmp"
)

// The spool that the rows of the table damage: records 1 to 30 of ten bytes in
// three segments.
const (
	crashRecords = 30
	perSegment   = 10
	crashFrame   = segment.FrameSize + 10
)

func crashRecord(n int) string { return fmt.Sprintf("record %03d", n) }

// frameOf returns where the frame of a record begins in its segment.
func frameOf(n int) int { return segment.HeaderSize + (n-1)%perSegment*crashFrame }

func crashSpool(t *testing.T, dir string, done int) {
	t.Helper()
	for n := 1; n <= crashRecords; n += perSegment {
		s := open(t, Options{Dir: dir, Sync: -1})
		for i := range perSegment {
			appendAll(t, s, crashRecord(n+i))
		}
		if n+perSegment > crashRecords {
			for range done {
				if _, ok, err := s.Next(); !ok || err != nil {
					t.Fatal(ok, err)
				}
			}
			if err := s.Ack(done, uint64(done)); err != nil {
				t.Fatal(err)
			}
		}
		closeSpool(t, s)
	}
	// The rows are about what a spool can know without its tally.
	remove(marks.TallyName)(t, dir)
}

// change rewrites the segment whose first record has a number.
func change(first uint64, how func(b []byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		name := filepath.Join(dir, segment.Name(first))
		b := read(t, name)
		write(t, name, how(b))
	}
}

func flip(first uint64, at int) func(*testing.T, string) {
	return change(first, func(b []byte) []byte { b[at] ^= 0x10; return b })
}

func cut(first uint64, size int) func(*testing.T, string) {
	return change(first, func(b []byte) []byte { return b[:size] })
}

func zero(first uint64, from, to int) func(*testing.T, string) {
	return change(first, func(b []byte) []byte { clear(b[from:to]); return b })
}

func tail(first uint64, more []byte) func(*testing.T, string) {
	return change(first, func(b []byte) []byte { return append(b, more...) })
}

func remove(names ...string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		for _, name := range names {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func put(name string, b []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) { write(t, filepath.Join(dir, name), b) }
}

// slotEvery is the distance between the two slots of a checkpoint.
const slotEvery = 4096

// slot returns a slot of a checkpoint.
func slot(counter, next uint64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, counter)
	b = binary.LittleEndian.AppendUint64(b, next)
	b = binary.LittleEndian.AppendUint64(b, 0)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

// numbers returns the numbers from a to b.
func numbers(a, b int) (all []int) {
	for ; a <= b; a++ {
		all = append(all, a)
	}
	return all
}

func kept(first int) string { return fmt.Sprintf("%020d.damaged", first) }

func foreignFrame(number uint64) []byte {
	return segment.AppendFrame(nil, number, []byte("somebody's"))
}

var crashTable = []struct {
	name   string
	done   int // records done before the crash
	damage func(*testing.T, string)
	want   []int // records that survive
	lost   []Loss
	next   uint64 // number of the next record; 0: 31
}{
	// At the end of the log: it was never reported as stored.
	{name: "frame cut at the start", damage: cut(21, frameOf(30)), want: numbers(1, 29), next: 30},
	{name: "frame cut in its head", damage: cut(21, frameOf(30)+9), want: numbers(1, 29), next: 30},
	{name: "frame cut after its head", damage: cut(21, frameOf(30)+segment.FrameSize), want: numbers(1, 29), next: 30},
	{name: "frame cut in the record", damage: cut(21, frameOf(30)+crashFrame-1), want: numbers(1, 29), next: 30},
	{name: "only frame of the last segment cut", damage: cut(21, frameOf(21)+25), want: numbers(1, 20), next: 21},
	{name: "header cut", damage: cut(21, segment.HeaderSize-1), want: numbers(1, 20), next: 21},
	{name: "header and nothing else", damage: cut(21, segment.HeaderSize), want: numbers(1, 20), next: 21},
	{name: "empty segment at the end", damage: put(segment.Name(31), nil), want: numbers(1, 30)},
	{name: "empty segment at the end, numbers missing", damage: put(segment.Name(41), nil), want: numbers(1, 30), lost: []Loss{{First: 31, Records: 10}}, next: 41},
	{name: "all done, then an empty segment", done: 30, damage: put(segment.Name(31), nil)},
	{name: "record begun, its frame reaches far beyond the end", damage: tail(21, segment.AppendFrame(nil, 31, noise(1<<20))[:1000]), want: numbers(1, 30)},

	// At the end of the log, and no torn write: how much it was is not known.
	{name: "tail of zeros", damage: tail(21, make([]byte, 4096)), want: numbers(1, 30), lost: []Loss{{File: kept(21), First: 31, Bytes: 4096}}},
	{name: "tail of zeros, all done", done: 30, damage: tail(21, make([]byte, 4096)), lost: []Loss{{File: kept(21), First: 31, Bytes: 4096}}},
	{name: "tail of garbage", damage: tail(21, noise(5000)), want: numbers(1, 30), lost: []Loss{{File: kept(21), First: 31, Bytes: 5000}}},
	{name: "last record zeroed", damage: zero(21, frameOf(30), frameOf(30)+crashFrame), want: numbers(1, 29), lost: []Loss{{File: kept(21), First: 30, Bytes: crashFrame}}, next: 30},
	{name: "last record damaged", damage: flip(21, frameOf(30)+segment.FrameSize), want: numbers(1, 29), lost: []Loss{{File: kept(21), First: 30, Records: 1, Bytes: crashFrame}}},
	{name: "head of the last record damaged", damage: flip(21, frameOf(30)+17), want: numbers(1, 29), lost: []Loss{{File: kept(21), First: 30, Bytes: crashFrame}}, next: 30},
	{name: "last segment nothing but zeros", damage: zero(21, 0, frameOf(30)+crashFrame), want: numbers(1, 20), lost: []Loss{{File: kept(21), First: 21, Records: 1, Bytes: 10 * crashFrame}}, next: 22},

	// In the middle: the records after it are found, the lost ones counted.
	{name: "middle record of the last segment damaged", damage: flip(21, frameOf(25)+segment.FrameSize+3), want: slices.Concat(numbers(1, 24), numbers(26, 30)), lost: []Loss{{File: kept(21), First: 25, Records: 1, Bytes: crashFrame}}},
	{name: "length zero", damage: zero(21, frameOf(25), frameOf(25)+4), want: slices.Concat(numbers(1, 24), numbers(26, 30)), lost: []Loss{{File: kept(21), First: 25, Records: 1, Bytes: crashFrame}}},
	{name: "length huge", damage: change(21, func(b []byte) []byte {
		binary.LittleEndian.PutUint32(b[frameOf(25):], 1<<32-1)
		return b
	}), want: slices.Concat(numbers(1, 24), numbers(26, 30)), lost: []Loss{{File: kept(21), First: 25, Records: 1, Bytes: crashFrame}}},
	{name: "record of an older segment damaged", damage: flip(11, frameOf(15)+segment.FrameSize), want: slices.Concat(numbers(1, 14), numbers(16, 30)), lost: []Loss{{File: kept(11), First: 15, Records: 1, Bytes: crashFrame}}},
	{name: "last record of an older segment damaged", damage: flip(11, frameOf(20)), want: slices.Concat(numbers(1, 19), numbers(21, 30)), lost: []Loss{{File: kept(11), First: 20, Records: 1, Bytes: crashFrame}}},
	{name: "two places of a segment damaged", damage: change(11, func(b []byte) []byte {
		clear(b[frameOf(12) : frameOf(14)+5])
		b[frameOf(17)+25]++
		return b
	}), want: slices.Concat(numbers(1, 11), numbers(15, 16), numbers(18, 30)), lost: []Loss{
		{File: kept(11), First: 12, Records: 3, Bytes: 3 * crashFrame}, {File: kept(11), First: 17, Records: 1, Bytes: crashFrame},
	}},
	{name: "damage and bytes too many", damage: change(11, func(b []byte) []byte {
		return slices.Concat(b[:frameOf(13)], noise(333), b[frameOf(14):])
	}), want: slices.Concat(numbers(1, 12), numbers(14, 30)), lost: []Loss{{File: kept(11), First: 13, Records: 1, Bytes: 333}}},
	{name: "header of an older segment zeros", damage: zero(11, 0, segment.HeaderSize), want: numbers(1, 30)},
	{name: "older segment nothing but zeros", damage: zero(11, 0, frameOf(20)+crashFrame), want: slices.Concat(numbers(1, 10), numbers(21, 30)), lost: []Loss{{File: kept(11), First: 11, Records: 10, Bytes: 10 * crashFrame}}},
	{name: "tail of an older segment missing", damage: cut(11, frameOf(18)), want: slices.Concat(numbers(1, 17), numbers(21, 30)), lost: []Loss{{First: 18, Records: 3}}},
	{name: "tail of an older segment cut in a record", damage: cut(11, frameOf(18)+22), want: slices.Concat(numbers(1, 17), numbers(21, 30)), lost: []Loss{{File: kept(11), First: 18, Records: 3, Bytes: 22}}},
	{name: "torn frame at the end of an older segment", damage: tail(11, segment.AppendFrame(nil, 21, noise(99))[:50]), want: numbers(1, 30)},
	{name: "whole frame of a failed append at the end of an older segment", damage: tail(11, foreignFrame(21)), want: numbers(1, 30)},
	{name: "empty segment in the middle", damage: cut(11, 0), want: slices.Concat(numbers(1, 10), numbers(21, 30)), lost: []Loss{{First: 11, Records: 10}}},
	{name: "segment in the middle missing", damage: remove(segment.Name(11)), want: slices.Concat(numbers(1, 10), numbers(21, 30)), lost: []Loss{{First: 11, Records: 10}}},
	{name: "first segment missing, nothing known to be done", damage: remove(segment.Name(1)), want: numbers(11, 30)},
	{name: "first segment missing, three done", done: 3, damage: remove(segment.Name(1)), want: numbers(11, 30), lost: []Loss{{First: 4, Records: 7}}},
	{name: "all segments missing", done: 3, damage: remove(segment.Name(1), segment.Name(11), segment.Name(21)), next: 4},

	// Where the reader stands.
	{name: "damage in what is done", done: 14, damage: flip(11, frameOf(13)+segment.FrameSize), want: numbers(15, 30)},
	{name: "damage across the checkpoint", done: 14, damage: zero(11, frameOf(14), frameOf(17)), want: numbers(17, 30), lost: []Loss{{File: kept(11), First: 15, Records: 2, Bytes: 3 * crashFrame}}},
	{name: "checkpoint at the start of a segment, damage before", done: 20, damage: flip(11, frameOf(20)), want: numbers(21, 30)},

	// The checkpoint.
	{name: "checkpoint missing", done: 5, damage: remove(marks.CheckpointName), want: numbers(1, 30)},
	{name: "checkpoint empty", done: 5, damage: put(marks.CheckpointName, nil), want: numbers(1, 30)},
	{name: "checkpoint half written", done: 5, damage: put(marks.CheckpointName, slices.Concat(make([]byte, slotEvery), slot(1, 6)[:20])), want: numbers(1, 30)},
	{name: "newer slot half written", done: 5, damage: put(marks.CheckpointName, slices.Concat(slot(2, 9)[:20], make([]byte, slotEvery-20), slot(1, 6))), want: numbers(6, 30)},
	{name: "newer slot damaged", done: 5, damage: put(marks.CheckpointName, slices.Concat(append(slot(2, 9)[:27], 0), make([]byte, slotEvery-28), slot(1, 6))), want: numbers(6, 30)},
	{name: "both slots bad", done: 5, damage: put(marks.CheckpointName, noise(2*slotEvery)), want: numbers(1, 30)},
	{name: "checkpoint ahead of the data", damage: put(marks.CheckpointName, slices.Concat(slot(8, 101))), next: 101},
	{name: "checkpoint ahead of the data, which is torn", damage: func(t *testing.T, dir string) {
		put(marks.CheckpointName, slot(8, 30))(t, dir)
		cut(21, frameOf(27)+3)(t, dir)
	}, next: 30},
	{name: "checkpoint far too old", done: 25, damage: put(marks.CheckpointName, slot(2, 2)), want: numbers(21, 30), lost: []Loss{{First: 2, Records: 19}}},

	// Other files.
	{name: "damaged file of an earlier time", damage: func(t *testing.T, dir string) {
		put(kept(11), []byte("old"))(t, dir)
		flip(11, frameOf(11)+20)(t, dir)
	}, want: slices.Concat(numbers(1, 10), numbers(12, 30)), lost: []Loss{{File: kept(11), First: 11, Records: 1, Bytes: crashFrame}}},
	{name: "foreign files", damage: func(t *testing.T, dir string) {
		for _, name := range []string{"README", "1.segment", "99999999999999999999.segment", "18446744073709551615.segment", "00000000000000000000.segment", "0000000000000000002x.segment", ".segment", "lost+found"} {
			put(name, noise(100))(t, dir)
		}
	}, want: numbers(1, 30)},

	// Records that hold what looks like a frame.
	{name: "damaged record holds older frames", damage: change(21, func(b []byte) []byte {
		evil := slices.Concat(foreignFrame(1), foreignFrame(24), b[:100])
		b = slices.Concat(b[:frameOf(25)], segment.AppendFrame(nil, 25, evil), b[frameOf(26):])
		clear(b[frameOf(25) : frameOf(25)+8])
		return b
	}), want: slices.Concat(numbers(1, 24), numbers(26, 30)), lost: []Loss{{File: kept(21), First: 25, Records: 1, Bytes: segment.FrameSize + 60 + 100}}},
	{name: "damaged record holds frames with far numbers", damage: change(21, func(b []byte) []byte {
		evil := slices.Concat(foreignFrame(999), foreignFrame(1<<63))
		b = slices.Concat(b[:frameOf(25)], segment.AppendFrame(nil, 25, evil), b[frameOf(26):])
		clear(b[frameOf(25) : frameOf(25)+8])
		return b
	}), want: slices.Concat(numbers(1, 24), numbers(26, 30)), lost: []Loss{{File: kept(21), First: 25, Records: 1, Bytes: segment.FrameSize + 60}}},
}

func TestCrashTable(t *testing.T) {
	for _, row := range crashTable {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			crashSpool(t, dir, row.done)
			row.damage(t, dir)
			var want []string
			for _, n := range row.want {
				want = append(want, crashRecord(n))
			}
			if row.next == 0 {
				row.next = crashRecords + 1
			}
			check(t, dir, want, row.lost, row.next)
		})
	}
}

// TestCutAnywhere cuts the log at each byte of the first and the last records of
// its only segment.
func TestCutAnywhere(t *testing.T) {
	dir := t.TempDir()
	crashSpool(t, dir, 0)
	name := filepath.Join(dir, segment.Name(21))
	whole := read(t, name)
	for size := range whole {
		if size > frameOf(21)+crashFrame+10 && size < frameOf(29) {
			continue
		}
		dir := t.TempDir()
		write(t, filepath.Join(dir, segment.Name(21)), whole[:size])
		var want []string
		for n := 21; frameOf(n)+crashFrame <= size && n <= 30; n++ {
			want = append(want, crashRecord(n))
		}
		check(t, dir, want, nil, uint64(21+len(want)))
	}
}

// TestFlipAnywhere changes each byte of the first and last records of a segment: at most one
// record is lost, and it is reported.
func TestFlipAnywhere(t *testing.T) {
	dir := t.TempDir()
	crashSpool(t, dir, 0)
	whole := read(t, filepath.Join(dir, segment.Name(11)))
	next := read(t, filepath.Join(dir, segment.Name(21)))
	for at := range whole {
		if at >= frameOf(13) && at < frameOf(20) {
			continue
		}
		dir := t.TempDir()
		bad := bytes.Clone(whole)
		bad[at] ^= 1 << (at % 8)
		write(t, filepath.Join(dir, segment.Name(11)), bad)
		write(t, filepath.Join(dir, segment.Name(21)), next)
		var want []string
		var lost []Loss
		for n := 11; n <= 30; n++ {
			if n <= 20 && at >= frameOf(n) && at < frameOf(n)+crashFrame {
				lost = append(lost, Loss{File: kept(11), First: uint64(n), Records: 1, Bytes: crashFrame})
				continue
			}
			want = append(want, crashRecord(n))
		}
		check(t, dir, want, lost, 31)
	}
}

// check opens a spool and checks that it holds want and reports lost, and that the next
// record gets the number next: also with one more record, after a Rewind, and opened again.
func check(t *testing.T, dir string, want []string, lost []Loss, next uint64) {
	t.Helper()
	dumped := dump(t, dir)
	if diff := cmp.Diff(want, dumped); diff != "" {
		t.Fatalf("Dump (-want +got):\n%s", diff)
	}
	for round := range 2 {
		var got losses
		s := open(t, Options{Dir: dir, Sync: -1, Lost: got.add})
		if s.next != next {
			t.Errorf("round %d: next number is %d, want %d", round, s.next, next)
		}
		for range 2 {
			if diff := cmp.Diff(want, readAll(t, s)); diff != "" {
				t.Errorf("round %d: records (-want +got):\n%s", round, diff)
			}
			if err := s.Rewind(); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(lost, got.all); diff != "" {
			t.Errorf("round %d: losses (-want +got):\n%s", round, diff)
		}
		for _, loss := range lost {
			if loss.File != "" {
				read(t, filepath.Join(dir, loss.File))
			}
		}
		appendAll(t, s, fmt.Sprint("after ", round))
		want = append(want, fmt.Sprint("after ", round))
		next++
		if diff := cmp.Diff(want, readAll(t, s)); diff != "" {
			t.Errorf("round %d: records with another (-want +got):\n%s", round, diff)
		}
		closeSpool(t, s)
	}
	// All is done: nothing comes again, the numbers continue.
	s := open(t, Options{Dir: dir, Sync: -1})
	if got := readAll(t, s); len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	if err := s.Ack(len(want), 7); err != nil {
		t.Fatal(err)
	}
	closeSpool(t, s)
	s = open(t, Options{Dir: dir, Sync: -1, Lost: func(l Loss) { t.Errorf("lost when all is done: %+v", l) }})
	defer s.Close()
	if got := readAll(t, s); len(got) != 0 || s.next != next || s.Checkpoint() != (marks.Checkpoint{Next: next, Seq: 7}) || len(segmentsOf(t, dir)) != 1 {
		t.Fatalf("when all is done: %q, next %d, %+v, %v", got, s.next, s.Checkpoint(), segmentsOf(t, dir))
	}
}

func dump(t *testing.T, dir string) (recs []string) {
	t.Helper()
	last := uint64(0)
	if err := Dump(dir, func(number uint64, rec []byte) error {
		if number <= last {
			t.Errorf("Dump: record %d after %d", number, last)
		}
		last = number
		recs = append(recs, string(rec))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return recs
}
