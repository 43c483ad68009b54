package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"supernats/bridge/spool"
	"supernats/bridge/spool/files"
	"supernats/bridge/spool/marks"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// bench is a queue and what it reports.
type bench struct {
	*Queue
	mu     sync.Mutex
	raised map[string]string
	lost   uint64
	left   []spool.Left
}

func newBench(tb fatal, dir string, change ...func(*Options)) *bench {
	tb.Helper()
	b := &bench{raised: map[string]string{}}
	opt := Options{
		Spool: spool.Options{Max: 1 << 20, Sync: -1, Event: ours},
		Find:  func() (string, error) { return dir, nil },
		Owner: Owner{Host: "web1", Section: "a:a"},
		Opening: func(string, bool) (func(uint64, []byte), func(spool.Left)) {
			return nil, func(left spool.Left) {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.left = append(b.left, left)
			}
		},
		Raise: func(cause, text, fix string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.raised[cause] = text + " | " + fix
		},
		Clear: func(cause string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			delete(b.raised, cause)
		},
	}
	opt.Spool.Lost = func(l spool.Loss) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.lost += l.Events; !l.Later {
			b.lost += l.Records
		}
	}
	for _, f := range change {
		f(&opt)
	}
	q, err := Open(context.Background(), opt)
	if err != nil {
		tb.Fatal(err)
	}
	b.Queue = q
	return b
}

func (b *bench) has(cause string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.raised[cause] != ""
}

// eventually waits for what the queue does on its own.
func eventually(tb testing.TB, what string, f func() bool) {
	tb.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("waited for %s", what)
		}
	}
}

func (b *bench) append(tb fatal, recs ...string) {
	tb.Helper()
	for _, rec := range recs {
		if err := b.Append([]byte(rec)); err != nil {
			tb.Fatal(err)
		}
	}
}

// readQueue returns what can be read, and rewinds when Next asks for it.
func (b *bench) readQueue(tb fatal) (recs []string) {
	tb.Helper()
	for {
		rec, ok, err := b.Next()
		switch {
		case errors.Is(err, ErrEarlier):
			if err := b.Rewind(); err != nil {
				tb.Fatal(err)
			}
			recs = nil
		case err != nil && !errors.Is(err, io.EOF):
			tb.Fatal(err)
		case !ok:
			return recs
		default:
			recs = append(recs, string(rec))
		}
	}
}

func (b *bench) done(tb fatal, n int) {
	tb.Helper()
	if err := b.Ack(n, 1); err != nil {
		tb.Fatal(err)
	}
}

func (b *bench) close(tb fatal) {
	tb.Helper()
	if err := b.Close(); err != nil {
		tb.Fatal(err)
	}
}

// blocked returns a directory that cannot be made until the function is called.
func blocked(tb testing.TB) (dir string, free func()) {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "file")
	write(tb, file, nil)
	return filepath.Join(file, "spool"), func() {
		if err := os.Remove(file); err != nil {
			tb.Fatal(err)
		}
	}
}

// Without a directory records go through memory, in order, and that is reported. As soon as
// there is one, it is used.
func TestQueueWithoutDisk(t *testing.T) {
	dir, free := blocked(t)
	q := newBench(t, dir)
	defer q.close(t)
	if !q.has(CauseUnusable) || q.Dir() != "" {
		t.Errorf("%v, directory %q", q.raised, q.Dir())
	}
	q.append(t, "event 1", "event 2")
	if st := q.Stats(); st.Err != nil || st.Memory != 2 || st.Disk == nil || st.Records != 2 {
		t.Errorf("%+v", st)
	}
	if diff := cmp.Diff([]string{"event 1", "event 2"}, q.readQueue(t)); diff != "" {
		t.Error(diff)
	}
	free()
	eventually(t, "the spool", func() bool { return q.Dir() == dir && !q.has(CauseUnusable) })

	// What is in memory goes first; then the disk takes over.
	q.append(t, "event 3")
	q.done(t, 1)
	if st := q.Stats(); st.Memory != 2 || len(segmentsOf(t, dir)) != 0 {
		t.Errorf("%+v", st)
	}
	if diff := cmp.Diff([]string{"event 3"}, q.readQueue(t)); diff != "" {
		t.Error(diff)
	}
	q.done(t, 2)
	q.append(t, "event 4")
	if st := q.Stats(); st.Memory != 0 || st.Records != 1 || len(segmentsOf(t, dir)) != 1 {
		t.Errorf("%+v", st)
	}
	if diff := cmp.Diff([]string{"event 4"}, q.readQueue(t)); diff != "" {
		t.Error(diff)
	}
	q.done(t, 1)
}

// A spool that is opened late holds what an earlier run left. That goes first, and is in
// doubt: some of it may be stored.
func TestQueueOpensLate(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "spool")
	first := newBench(t, dir)
	first.append(t, "event 1", "event 2")
	first.close(t)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	write(t, dir, nil) // a file is in the way

	q := newBench(t, dir)
	q.append(t, "event 3", "event 4")
	if got := q.readQueue(t); len(got) != 2 {
		t.Errorf("%q", got)
	}
	q.done(t, 1)
	if err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the spool", func() bool { return q.Dir() == dir })
	if diff := cmp.Diff([]string{"event 1", "event 2", "event 4"}, q.readQueue(t)); diff != "" {
		t.Error(diff)
	}
	if n, _ := q.Doubt(); n != 2 {
		t.Errorf("%d records are in doubt", n)
	}
	if n, _ := q.Doubt(); n != 0 {
		t.Errorf("then %d records are in doubt", n)
	}
	q.done(t, 3)
	q.close(t)
	last := newBench(t, dir)
	defer last.close(t)
	if got := last.readQueue(t); len(got) != 0 {
		t.Errorf("%q come again", got)
	}
}

// fullDisk is a file system without room, except for what is overwritten.
type fullDisk struct {
	files.Disk
	mu   sync.Mutex
	full error
}

func (d *fullDisk) set(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = err
}

func (d *fullDisk) err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.full
}

func (d *fullDisk) Open(name string, flag int) (files.File, error) {
	_, err := os.Stat(name)
	if flag&os.O_CREATE != 0 && err != nil && d.err() != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: d.err()}
	}
	f, err := d.Disk.Open(name, flag)
	if err != nil || filepath.Ext(name) != ".segment" {
		return f, err
	}
	return &fullFile{f, d}, nil
}

type fullFile struct {
	files.File
	d *fullDisk
}

func (f *fullFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.d.err(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

// A disk that takes nothing, for whatever reason, holds nothing up. The next bridge knows
// what was in memory when this one was killed.
func TestQueueOnAFullDisk(t *testing.T) {
	for errno, cause := range map[error]string{
		syscall.ENOSPC: CauseDiskFull, syscall.EDQUOT: CauseDiskFull,
		syscall.EROFS: CauseUnusable, syscall.EIO: CauseUnusable,
	} {
		t.Run(errno.Error(), func(t *testing.T) {
			dir, fs := t.TempDir(), &fullDisk{}
			with := func(o *Options) { o.Spool.FS = fs }
			q := newBench(t, dir, with)
			q.append(t, "event 1")
			fs.set(errno)
			q.append(t, "event 2", "other", "event 3")
			eventually(t, cause, func() bool { return q.has(cause) })
			if st := q.Stats(); st.Memory != 3 || st.Records != 4 || st.Err != nil {
				t.Errorf("%+v", st)
			}
			if diff := cmp.Diff([]string{"event 1", "event 2", "other", "event 3"}, q.readQueue(t)); diff != "" {
				t.Error(diff)
			}
			q.done(t, 2)

			// A process that is killed leaves this.
			killed := t.TempDir()
			if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			next := newBench(t, killed)
			if want := []spool.Left{{Place: []byte("event 3"), Memory: 1}}; !cmp.Equal(want, next.left) {
				t.Errorf("left are %+v", next.left)
			}
			if err := next.AppendLoss([]byte("other"), true); err != nil {
				t.Fatal(err)
			}
			next.close(t)
			again := newBench(t, killed)
			if again.left[0].Memory != 0 {
				t.Errorf("reported again: %+v", again.left)
			}
			again.close(t)

			fs.set(nil)
			q.done(t, 2)
			time.Sleep(diskRetry)
			q.append(t, "event 4")
			eventually(t, "the end of "+cause, func() bool { return !q.has(cause) })
			if st := q.Stats(); st.Memory != 0 || st.Records != 1 {
				t.Errorf("%+v", st)
			}
			if got := q.readQueue(t); !slices.Equal(got, []string{"event 4"}) {
				t.Errorf("%q", got)
			}
			q.close(t)
		})
	}
}

// What is in memory at the end goes to the disk, if the disk then takes it.
func TestQueueCloseStoresMemory(t *testing.T) {
	dir, fs := t.TempDir(), &fullDisk{}
	q := newBench(t, dir, func(o *Options) { o.Spool.FS = fs })
	fs.set(syscall.ENOSPC)
	q.append(t, "event 1", "event 2")
	fs.set(nil)
	q.close(t)
	next := newBench(t, dir)
	defer next.close(t)
	if got := next.readQueue(t); !slices.Equal(got, []string{"event 1", "event 2"}) || next.left[0].Memory != 0 {
		t.Errorf("%q, %+v", got, next.left)
	}
}

// While NATS is away too, what is in memory goes to the disk as soon as the disk takes it,
// even if it was handed out; an acknowledgement that arrives then does not count.
func TestQueueMovesToDisk(t *testing.T) {
	for _, handedOut := range []int{0, 2} {
		dir, free := blocked(t)
		q := newBench(t, dir)
		q.append(t, "event 1", "event 2", "event 3")
		for range handedOut {
			if _, ok, err := q.Next(); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		free()
		eventually(t, "the disk", func() bool { return q.Stats().Memory == 0 })
		q.append(t, "event 4")
		if handedOut > 0 {
			if err := q.Ack(1, 1); !errors.Is(err, errMoved) {
				t.Errorf("ack: %v", err)
			}
		}
		if diff := cmp.Diff([]string{"event 1", "event 2", "event 3", "event 4"}, q.readQueue(t)); diff != "" {
			t.Error(diff)
		}
		q.done(t, 4)
		q.close(t)
	}
}

// Memory is bounded by records and by bytes.
func TestQueueMemoryIsBounded(t *testing.T) {
	for _, size := range []int{10, 100_000} {
		dir, _ := blocked(t)
		q := newBench(t, dir)
		rec := make([]byte, size)
		n := 0
		for ; n <= memoryRecords; n++ {
			if err := q.Append(rec); err != nil {
				if !errors.Is(err, spool.ErrFull) || !errors.Is(q.Stats().Err, spool.ErrFull) {
					t.Error(err)
				}
				break
			}
		}
		if want := min(memoryRecords, memoryBytes/(size+recordCost)); n != want {
			t.Errorf("%d records of %d bytes are taken, want %d", n, size, want)
		}
		// When nothing moves, less is taken.
		room := q.Room()
		if q.mem.fits(1, time.Now().Add(2*stuckAfter)) {
			t.Error("as much is taken while nothing is acknowledged")
		}
		if _, ok, err := q.Next(); !ok || err != nil {
			t.Fatal(ok, err)
		}
		q.done(t, 1)
		<-room
		q.append(t, string(rec))
		if err := q.Close(); err == nil {
			t.Error("what is lost is not said")
		}
	}
}

// A directory that somebody removes is restored, with what was in it.
func TestQueueDirectoryRemoved(t *testing.T) {
	for _, what := range []string{"all", "segments", "lock", "spool"} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "spool")
			q := newBench(t, dir, func(o *Options) { o.Spool.SegmentBytes = 300 })
			want := numbered(1, 30)
			q.append(t, want[:20]...)
			rm := map[string][]string{
				"all": {dir}, "segments": segmentsOf(t, dir),
				"lock":  {filepath.Join(dir, "lock")},
				"spool": {filepath.Join(dir, marks.CheckpointName), filepath.Join(dir, marks.TallyName)},
			}
			for _, name := range rm[what] {
				if err := os.RemoveAll(name); err != nil {
					t.Fatal(err)
				}
			}
			q.append(t, want[20:]...)
			eventually(t, "the removal to be noticed", func() bool { return q.has(CauseRemoved) })

			// Killed now, everything is there for the next one.
			killed := t.TempDir()
			if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			next := newBench(t, killed)
			if diff := cmp.Diff(want, next.readQueue(t)); diff != "" || next.lost > 0 {
				t.Errorf("after a kill (-want +got), %d lost:\n%s", next.lost, diff)
			}
			next.close(t)

			q.append(t, "last")
			if diff := cmp.Diff(append(want, "last"), q.readQueue(t)); diff != "" || q.lost > 0 {
				t.Errorf("(-want +got), %d lost:\n%s", q.lost, diff)
			}
			q.done(t, 31)
			q.close(t)
		})
	}
}

// Two bridges with one directory have a spool each, even if nothing distinguishes them, and
// later each gets its own again.
func TestQueueSlots(t *testing.T) {
	dir := t.TempDir()
	other := func(o *Options) { o.Owner.Section = "b:b" }
	a, b, twin := newBench(t, dir), newBench(t, dir, other), newBench(t, dir)
	dirs := []string{a.Dir(), b.Dir(), twin.Dir()}
	if want := []string{dir, filepath.Join(dir, "slot-2"), filepath.Join(dir, "slot-3")}; !slices.Equal(want, dirs) {
		t.Errorf("directories are %q", dirs)
	}
	if a.Instance() != b.Instance() || a.Instance() == twin.Instance() {
		t.Errorf("instances are %s, %s and %s", a.Instance(), b.Instance(), twin.Instance())
	}
	b.append(t, "event of b")
	instance := twin.Instance()
	for _, q := range []*bench{a, b, twin} {
		q.close(t)
	}
	b = newBench(t, dir, other)
	if got := b.readQueue(t); b.Dir() != dirs[1] || !slices.Equal(got, []string{"event of b"}) {
		t.Errorf("then %s holds %q", b.Dir(), got)
	}
	a, twin = newBench(t, dir), newBench(t, dir)
	if a.Dir() != dirs[0] || twin.Dir() != dirs[2] || twin.Instance() != instance {
		t.Errorf("then %s and %s, %s", a.Dir(), twin.Dir(), twin.Instance())
	}
	for _, q := range []*bench{a, b, twin} {
		q.close(t)
	}
	if slots, err := Slots(dir); err != nil || !slices.Equal(slots, dirs) {
		t.Errorf("%q, %v", slots, err)
	}
}

// A bridge waits for a moment for the lock of its predecessor, but not for that of another
// supervisord's bridge.
func TestQueueWaitsForItsPredecessor(t *testing.T) {
	dir := t.TempDir()
	old := newBench(t, dir)
	old.append(t, "event 1")
	timer := time.AfterFunc(300*time.Millisecond, func() { _ = old.Close() })
	defer timer.Stop()
	q := newBench(t, dir)
	defer q.close(t)
	if got := q.readQueue(t); q.Dir() != dir || len(got) != 1 {
		t.Errorf("%s, %q", q.Dir(), got)
	}
}

// What a bridge left that does not come back is published by another one.
func TestQueueAdopts(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until a spool counts as abandoned")
	}
	dir := t.TempDir()
	q := newBench(t, dir)
	defer q.close(t)
	gone := newBench(t, dir, func(o *Options) { o.Owner.Section = "gone:gone" })
	gone.append(t, "event 1", "event 2")
	slot := gone.Dir()
	gone.close(t)
	o, _ := readOwner(slot)
	o.Life.Boot = "of another start of the machine"
	if err := writeOwner(slot, o); err != nil {
		t.Fatal(err)
	}
	foreign := newBench(t, dir, func(o *Options) { o.Owner = Owner{Host: "web2"} })
	foreign.append(t, "event of web2")
	foreign.close(t)

	q.append(t, "event 3")
	eventually(t, "what was left", func() bool { return q.Stats().Records == 3 })
	if diff := cmp.Diff([]string{"event 1", "event 2", "event 3"}, q.readQueue(t)); diff != "" {
		t.Error(diff)
	}
	if n, _ := q.Doubt(); n != 2 {
		t.Errorf("%d records are in doubt", n)
	}
	q.done(t, 3)
	if _, err := os.Stat(slot); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
}

// TestQueueModel makes the disk fail and recover, and the reader rewind, at random: every
// record comes out once, in order.
func TestQueueModel(t *testing.T) {
	root := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		fs := &fullDisk{}
		q := newBench(rt, filepath.Join(root, fmt.Sprint(runs)), func(o *Options) {
			o.Spool.FS, o.Spool.SegmentBytes = fs, 500
		})
		defer func() { _ = q.Close() }()
		var recs []string
		acked, read := 0, 0
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				for range rapid.IntRange(1, 9).Draw(rt, "n") {
					rec := fmt.Sprintf("event %d", len(recs))
					q.append(rt, rec)
					recs = append(recs, rec)
				}
			},
			"disk": func(rt *rapid.T) {
				fs.set(rapid.SampledFrom([]error{nil, syscall.ENOSPC, syscall.EIO}).Draw(rt, "error"))
				q.mu.Lock()
				q.retry = time.Time{}
				q.mu.Unlock()
			},
			"next": func(rt *rapid.T) {
				for range rapid.IntRange(1, 9).Draw(rt, "n") {
					rec, ok, err := q.Next()
					if err != nil || ok != (read < len(recs)) || ok && string(rec) != recs[read] {
						rt.Fatalf("%q %v %v, %d of %d are read", rec, ok, err, read, len(recs))
					}
					if ok {
						read++
					}
				}
			},
			"ack": func(rt *rapid.T) {
				n := rapid.IntRange(0, read-acked).Draw(rt, "n")
				q.done(rt, n)
				acked += n
			},
			"rewind": func(rt *rapid.T) {
				if err := q.Rewind(); err != nil {
					rt.Fatal(err)
				}
				read = acked
			},
			"": func(rt *rapid.T) {
				if st := q.Stats(); st.Records != uint64(len(recs)-acked) {
					rt.Fatalf("%+v, want %d", st, len(recs)-acked)
				}
			},
		})
		if q.lost > 0 {
			rt.Fatalf("%d are lost", q.lost)
		}
	})
}

// The wait for an event in memory ends when the event is acknowledged, and not before. A disk
// that takes records again gets it, in order, even if nothing is acknowledged. Until then
// the next run does not know of it: supervisord offers it again.
func TestQueueAppendSafe(t *testing.T) {
	dir, fs := t.TempDir(), &fullDisk{}
	b := newBench(t, dir, func(o *Options) { o.Spool.FS = fs })
	defer b.close(t)
	safely := func(rec string) <-chan struct{} {
		t.Helper()
		done, err := b.AppendSafe([]byte(rec))
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	killed := func(want ...spool.Left) {
		t.Helper()
		left := t.TempDir()
		if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		next := newBench(t, left)
		if diff := cmp.Diff(want, next.left); diff != "" {
			t.Errorf("what a kill leaves (-want +got):\n%s", diff)
		}
		next.close(t)
	}
	if safely("event 1") != nil || b.Awaited() {
		t.Fatal("it is on disk")
	}
	fs.set(syscall.ENOSPC)
	b.append(t, "event 2")
	done := safely("event 3")
	if !b.Awaited() || closed(done) {
		t.Fatal("two records are in memory")
	}
	killed(spool.Left{Place: []byte("event 2"), Memory: 1})
	b.readQueue(t)
	if b.done(t, 2); closed(done) {
		t.Fatal("the second one is not acknowledged")
	}
	killed(spool.Left{Place: []byte("event 2")})
	if b.done(t, 1); !closed(done) || b.Awaited() {
		t.Fatal("both are acknowledged")
	}
	killed(spool.Left{Place: []byte("event 3")})

	b.append(t, "event 4", "event 5")
	done = safely("event 6")
	b.readQueue(t)
	b.done(t, 1)
	fs.set(nil)
	eventually(t, "what is in memory to be on disk", func() bool { return closed(done) })
	if err := b.Ack(1, 1); err == nil {
		t.Error("what was handed out of memory is acknowledged, and is on the disk")
	}
	b.append(t, "event 7")
	if got := b.readQueue(t); !slices.Equal(got, []string{"event 5", "event 6", "event 7"}) {
		t.Errorf("it holds %q", got)
	}
	if st := b.Stats(); st.Memory != 0 || st.Disk != nil {
		t.Errorf("%+v", st)
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
