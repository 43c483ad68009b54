package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"supernats/bridge/spool/files"
	"supernats/bridge/spool/marks"
	"supernats/bridge/spool/segment"

	"github.com/google/go-cmp/cmp"
)

func TestOpenErrors(t *testing.T) {
	for _, opt := range []Options{{}, {Max: 1}, {Dir: t.TempDir()}, {Dir: t.TempDir(), Max: -1}, {Dir: "/dev/null/x", Max: 1}, {Dir: t.TempDir(), Max: 1, SegmentBytes: -1}} {
		if s, err := Open(t.Context(), opt); err == nil {
			t.Errorf("%+v: no error", opt)
			s.Close()
		}
	}
	dir := t.TempDir()
	writeNewer(t, dir)
	if s, err := Open(t.Context(), Options{Dir: dir, Max: 1}); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("another version: %v", err)
		s.Close()
	}
}

// writeNewer writes a segment as another version of the spool would.
func writeNewer(tb testing.TB, dir string) {
	tb.Helper()
	newer := append([]byte("snspool2"), segment.AppendHeader(nil, 1)[8:16]...)
	newer = binary.LittleEndian.AppendUint32(newer, crc32.Checksum(newer, crc32.MakeTable(crc32.Castagnoli)))
	write(tb, filepath.Join(dir, segment.Name(1)), append(newer, noise(100)...))
}

func TestModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := filepath.Join(t.TempDir(), "a", "spool")
	s := open(t, Options{Dir: dir})
	defer s.Close()
	appendAll(t, s, "x")
	for name, want := range map[string]os.FileMode{"": 0o750, files.LockName: 0o640, marks.CheckpointName: 0o640, segment.Name(1): 0o640} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v %v, want %o", name, info.Mode(), err, want)
		}
	}
}

func TestAppendSizes(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Sync: -1})
	if err := s.Append(nil); err == nil {
		t.Error("no error for an empty record")
	}
	big := make([]byte, segment.MaxRecord+1)
	if err := s.Append(big); !errors.Is(err, ErrTooBig) {
		t.Error(err)
	}
	huge := 80 << 20
	if raceEnabled {
		huge = 5 << 20
	}
	recs := [][]byte{{0}, noise(segment.ReadBuffer), noise(huge), {1}, noise(defaultSegment)}
	for _, rec := range recs {
		if err := s.Append(rec); err != nil {
			t.Fatal(err)
		}
		if c := cap(s.frame); c > keepFrame {
			t.Errorf("%d bytes of frame are kept", c)
		}
	}
	closeSpool(t, s)
	// The last record is torn: it takes a moment to see that nothing follows.
	s = open(t, Options{Dir: dir, Sync: -1})
	if err := s.Append(recs[2]); err != nil {
		t.Fatal(err)
	}
	closeSpool(t, s)
	all := segmentsOf(t, dir)
	if err := os.Truncate(all[len(all)-1], int64(huge)-1000); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	s = open(t, Options{Dir: dir, Sync: -1})
	defer s.Close()
	t.Log("searched the torn record in", time.Since(start))
	for i, rec := range recs {
		got, ok, err := s.Next()
		if !ok || err != nil || !slices.Equal(got, rec) {
			t.Fatalf("record %d: %d bytes, %v %v", i, len(got), ok, err)
		}
	}
	if got, ok, err := s.Next(); ok || err != nil {
		t.Fatalf("%d bytes: %v", len(got), err)
	}
}

// TestGarbageSearch bounds how long damage holds up the reader.
func TestGarbageSearch(t *testing.T) {
	size := defaultSegment
	if raceEnabled {
		size /= 16
	}
	var heads []byte
	for n := uint64(2); len(heads) < size; n++ {
		heads = append(heads, segment.AppendFrame(nil, n, noise(5))[:segment.FrameSize]...) // heads alone, as if for long records
	}
	zeros := make([]byte, size)
	ones := slices.Repeat([]byte{1, 0, 0, 0}, size/4)
	for name, b := range map[string][]byte{"noise": noise(size), "zeros": zeros, "ones": ones, "heads": heads} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, segment.Name(1)), slices.Concat(segment.AppendHeader(nil, 1), segment.AppendFrame(nil, 1, []byte("a")), b))
		var got losses
		start := time.Now()
		s := open(t, Options{Dir: dir, Lost: got.add})
		recs := readAll(t, s)
		took := time.Since(start)
		closeSpool(t, s)
		if len(recs) != 1 || len(got.all) != 1 || took > 3*time.Second {
			t.Errorf("%s: %q, %+v, took %v", name, recs, got.all, took)
		}
		t.Log(name, took)
	}
}

// TestBadSector reads a segment of which a part cannot be read.
func TestBadSector(t *testing.T) {
	dir := t.TempDir()
	bad := &badSectors{}
	var got losses
	s := open(t, Options{Dir: dir, Sync: -1, SegmentBytes: 64 << 10, Lost: got.add, FS: bad})
	defer s.Close()
	recs := numbered(1, 3000)
	appendAll(t, s, recs...)
	if len(s.segments) < 2 {
		t.Fatal("one segment only")
	}
	bad.from, bad.to = 40_000, 41_000
	var read []string
	failed := 0
	for failed < 100 {
		rec, ok, err := s.Next()
		if err != nil {
			failed++
			read = read[:0]
			if err := s.Rewind(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if !ok {
			break
		}
		read = append(read, string(rec))
	}
	segments := len(segmentsOf(t, dir))
	if failed == 0 || failed > segment.Patience*segments {
		t.Errorf("%d errors", failed)
	}
	lost := 0
	last := len(got.all) - 1
	if end := got.all[last]; end.Events == 0 || end.Events != uint64(last)*got.all[0].Records {
		t.Errorf("lost events are %+v", got.all)
	}
	for _, l := range got.all[:last] {
		if l.Bytes < 1000 || l.Bytes > 2*segment.Sector {
			t.Errorf("%+v", l)
		}
		i := int(l.First) - lost - 1
		recs = slices.Delete(recs, i, i+int(l.Records))
		lost += int(l.Records)
	}
	if diff := cmp.Diff(recs, read); diff != "" || len(got.all) < 1 || len(got.all) > segments {
		t.Errorf("lost %+v\n%s", got.all, diff)
	}
}

// badSectors is a disk on which the bytes of a segment from from to to cannot be
// read.
type badSectors struct {
	files.Disk
	from, to int64
}

type badFile struct {
	files.File
	bad *badSectors
}

func (d *badSectors) Open(name string, flag int) (files.File, error) {
	f, err := d.Disk.Open(name, flag)
	return badFile{f, d}, err
}

func (f badFile) ReadAt(p []byte, off int64) (int, error) {
	if off < f.bad.to && off+int64(len(p)) > f.bad.from {
		n := max(0, f.bad.from-off)
		n2, _ := f.File.ReadAt(p[:n], off)
		return n2, syscall.EIO
	}
	return f.File.ReadAt(p, off)
}

// TestOutage appends a million records that nobody reads.
func TestOutage(t *testing.T) {
	records := 1_000_000
	if testing.Short() || raceEnabled {
		records = 50_000
	}
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Sync: -1, Max: 8 << 30, SegmentBytes: 1 << 20})
	rec := make([]byte, 100)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	appendAll(t, s, "first")
	before := heap()
	for range records {
		if err := s.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if grown := heap() - before; grown > 100_000 {
		t.Errorf("grown by %d bytes", grown)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil || len(fds) > keepOpen+40 {
		t.Errorf("%d open files, %v", len(fds), err)
	}
	closeSpool(t, s)
	start := time.Now()
	s = open(t, Options{Dir: dir, Sync: -1, Max: 8 << 30, SegmentBytes: 1 << 20})
	defer s.Close()
	t.Logf("opened %d segments in %v", s.Stats().Segments, time.Since(start))
	for n := 0; n <= records; {
		batch := min(256, records+1-n)
		for range batch {
			if _, ok, err := s.Next(); !ok || err != nil {
				t.Fatal(n, ok, err)
			}
		}
		if err := s.Ack(batch, 0); err != nil {
			t.Fatal(err)
		}
		n += batch
	}
	if grown := heap() - before; grown > 2*segment.ReadBuffer {
		t.Errorf("grown by %d bytes when all is read", grown)
	}
	if st := s.Stats(); st.Records != 0 || st.Segments > 1 {
		t.Errorf("%+v", st)
	}
}

func TestMore(t *testing.T) {
	s := open(t, Options{})
	defer s.Close()
	if len(s.More()) > 0 {
		t.Error("more than nothing")
	}
	appendAll(t, s, "a", "b")
	<-s.More()
	if got := readAll(t, s); len(got) != 2 {
		t.Error(got)
	}
	s.Finish()
	<-s.More()
}

// TestDamageAtTheEnd has no record after the damage that could be acknowledged.
func TestDamageAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	crashSpool(t, dir, 0)
	flip(21, frameOf(30)+segment.FrameSize)(t, dir)
	for round := range 2 {
		var got losses
		s := open(t, Options{Dir: dir, Lost: got.add})
		if recs := take(t, s, 0); len(recs) != 29*(1-round) || len(got.all) != 1-round {
			t.Errorf("round %d: %d records, lost %+v", round, len(recs), got.all)
		}
		if s.Stats().Records != 0 || s.Checkpoint().Next != 31 {
			t.Errorf("round %d: %+v %+v", round, s.Stats(), s.Checkpoint())
		}
		closeSpool(t, s)
	}
	// The same with nothing to acknowledge at all.
	s := open(t, Options{Dir: dir})
	appendAll(t, s, "0123456789")
	closeSpool(t, s)
	flip(31, segment.HeaderSize+segment.FrameSize)(t, dir)
	var got losses
	s = open(t, Options{Dir: dir, Lost: got.add})
	defer s.Close()
	if recs := readAll(t, s); len(recs) != 0 || len(got.all) != 2 || got.all[1] != (Loss{Events: 1}) || s.Stats().Records != 0 {
		t.Errorf("%q, lost %+v, %+v", recs, got.all, s.Stats())
	}
}

// TestLostAppends appends from inside Lost, as the bridge does to report a loss.
func TestLostAppends(t *testing.T) {
	dir := t.TempDir()
	crashSpool(t, dir, 0)
	flip(11, frameOf(13))(t, dir)
	var s *Spool
	s = open(t, Options{Dir: dir, Sync: -1, Lost: func(l Loss) {
		if err := s.Append(fmt.Appendf(nil, "lost %d", l.First)); err != nil {
			t.Error(err)
		}
	}})
	defer s.Close()
	if got := readAll(t, s); len(got) != 30 || got[29] != "lost 13" {
		t.Errorf("%q", got)
	}
}

// TestFailedFlush checks that a failed flush is reported, and that Append continues.
func TestFailedFlush(t *testing.T) {
	fs := newMemFS()
	reported := make(chan error, 100)
	s := open(t, Options{Dir: t.TempDir(), Sync: time.Millisecond, FS: fs, Failed: func(err error) { reported <- err }})
	defer s.Close()
	fs.mu.Lock()
	fs.fault = func(_ int, what string) fault {
		if strings.HasPrefix(what, "sync ") {
			return fails
		}
		return none
	}
	fs.mu.Unlock()
	appendAll(t, s, "a")
	if err := <-reported; !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	appendAll(t, s, "b")
	<-reported
	fs.mu.Lock()
	fs.fault = nil
	fs.mu.Unlock()
	if got := readAll(t, s); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// TestAckStaleSegment continues after an Ack whose checkpoint could not be flushed: nothing is
// removed before it is.
func TestAckStaleSegment(t *testing.T) {
	fs := newMemFS()
	opt := Options{Dir: t.TempDir(), Sync: time.Hour, SegmentBytes: 1, FS: fs, Lost: func(l Loss) { t.Errorf("lost: %+v", l) }}
	s := open(t, opt)
	appendAll(t, s, numbered(1, 9)...)
	if got := readAll(t, s); len(got) != 9 {
		t.Fatal(got)
	}
	fs.fault = func(_ int, what string) fault {
		if strings.HasPrefix(what, "sync ") {
			return fails
		}
		return none
	}
	if err := s.Ack(5, 1); err == nil {
		t.Error("no error")
	}
	if st := s.Stats(); st.Segments != 9 || st.Records != 4 {
		t.Errorf("%+v", st)
	}
	fs.fault = nil
	if err := s.Ack(1, 2); err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.Segments != 4 || st.Records != 3 {
		t.Errorf("%+v", st)
	}
	closeSpool(t, s)
	for seed := range uint64(20) {
		opt.FS = fs.powerCut(rand.New(rand.NewPCG(0, seed)))
		s := open(t, opt)
		if got := readAll(t, s); !slices.Equal(got, numbered(7, 9)) {
			t.Errorf("%q", got)
		}
		closeSpool(t, s)
	}
}

// Inspect and Dump return an error for a spool that cannot be read; they do not try for ever.
func TestInspectUnreadable(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func(t *testing.T, dir string)
		want string
	}{
		{
			name: "another version",
			make: func(t *testing.T, dir string) { writeNewer(t, dir) },
			want: "another version",
		},
		{
			name: "loop of links",
			make: func(t *testing.T, dir string) {
				target := strings.Repeat("./", 100) + segment.Name(1) // its length is the size of the link
				if err := os.Symlink(target, filepath.Join(dir, segment.Name(1))); err != nil {
					t.Fatal(err)
				}
			},
			want: "too many levels",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			tc.make(t, dir)
			if _, err := Inspect(dir); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Inspect: %v, want %q", err, tc.want)
			}
			if err := Dump(dir, func(uint64, []byte) error { return nil }); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Dump: %v, want %q", err, tc.want)
			}
		})
	}
}

func TestInspect(t *testing.T) {
	if _, err := Inspect(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	dir := t.TempDir()
	if r, err := Inspect(dir); err != nil || !cmp.Equal(r, Report{}) {
		t.Errorf("empty directory: %+v %v", r, err)
	}
	crashSpool(t, dir, 4)
	flip(11, frameOf(13)+25)(t, dir)
	tail(21, noise(100))(t, dir)
	put(kept(1), nil)(t, dir)
	want := Report{
		Checkpoint: marks.Checkpoint{Next: 5, Seq: 4}, Segments: 3, Bytes: 3*(segment.HeaderSize+10*crashFrame) + 100,
		Records: 25, Oldest: 5, Newest: 30, Missing: 1, Damaged: []string{filepath.Join(dir, kept(1))},
	}
	before, err := (files.Disk{}).List(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Inspect(dir)
	if diff := cmp.Diff(want, r); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	stop := errors.New("stop")
	if err := Dump(dir, func(uint64, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	if after, err := (files.Disk{}).List(dir); err != nil || !slices.Equal(before, after) {
		t.Errorf("changed: %v %v %v", before, after, err)
	}
}
