package segment

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"supernats/bridge/spool/files"
)

// writeSegment writes a segment with the records 1, 2, … and returns it.
func writeSegment(tb testing.TB, recs ...[]byte) *File {
	tb.Helper()
	b := AppendHeader(nil, 1)
	for i, rec := range recs {
		b = AppendFrame(b, uint64(i+1), rec)
	}

	dir := tb.TempDir()
	if err := os.WriteFile(filepath.Join(dir, Name(1)), b, files.Mode); err != nil {
		tb.Fatal(err)
	}
	all, err := List(files.Disk{}, dir)
	if err != nil || len(all) != 1 {
		tb.Fatalf("%d segments, %v", len(all), err)
	}
	return all[0]
}

// The buffer of a window grows to hold a large record, and shrinks again.
func TestWindowBuffer(t *testing.T) {
	const large = 8 << 20
	recs := [][]byte{{1}, make([]byte, large)}
	for range 3 * ReadBuffer / 1000 {
		recs = append(recs, make([]byte, 1000))
	}
	seg := writeSegment(t, recs...)
	w := NewWindow(files.Disk{})
	defer w.Close()

	off := int64(HeaderSize)
	for i, want := range recs {
		rec, number, begin, err := w.Find(seg, off, seg.End, uint64(i+1), seg.After)
		if err != nil || number != uint64(i+1) || !bytes.Equal(rec, want) {
			t.Fatalf("record %d: found number %d of %d bytes, %v", i+1, number, len(rec), err)
		}
		off = begin + FrameSize + int64(len(rec))
	}
	if c := cap(w.buf); c > 2*ReadBuffer {
		t.Errorf("%d bytes of buffer are kept", c)
	}
}

// Only what List finds is read: names of other forms are other files.
func TestNames(t *testing.T) {
	for _, tc := range []struct {
		name  string
		first uint64 // 0: the name is not that of a segment
	}{
		{name: "README"},
		{name: ".segment"},
		{name: "1.segment"},
		{name: "00000000000000000000.segment"},
		{name: "0000000000000000002x.segment"},
		{name: "18446744073709551615.segment"}, // an overflow when records are counted from there
		{name: "99999999999999999999.segment"},
		{name: "00000000000000000001.damaged"},
		{name: "00000000000000000001.segment", first: 1},
		{name: "00000000000000004711.segment", first: 4711},
	} {
		first, ok := ParseName(tc.name)
		if ok != (tc.first > 0) || ok && first != tc.first {
			t.Errorf("%s: first is %d, %v; want %d", tc.name, first, ok, tc.first)
		}
		if ok && Name(first) != tc.name {
			t.Errorf("the name of the segment from %d on is %s, want %s", first, Name(first), tc.name)
		}
	}
}
