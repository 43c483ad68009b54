package spool

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"supernats/bridge/spool/segment"
)

// script uses a spool while operations fail, and keeps what came of it.
type script struct {
	tb   testing.TB
	dir  string
	fs   *memFS
	sync time.Duration

	tried   []string        // records in the order of their Append
	stored  map[string]bool // Append returned nil
	flushed map[string]bool // and they were flushed
	acked   map[string]bool // Ack was called
	done    map[string]bool // and returned nil
	failed  int             // calls that failed
	losses  []Loss
}

// newScript returns a script. It needs a directory only for the lock.
func newScript(tb testing.TB, dir string, sync time.Duration) *script {
	return &script{
		tb: tb, dir: dir, fs: newMemFS(), sync: sync,
		stored: map[string]bool{}, flushed: map[string]bool{}, acked: map[string]bool{}, done: map[string]bool{},
	}
}

func (c *script) failure(err error) bool {
	if err != nil {
		c.failed++
	}
	return err != nil
}

func (c *script) open() *Spool {
	for range 3 {
		s, err := Open(c.tb.Context(), Options{
			Dir: c.dir, Max: 1 << 20, Sync: c.sync, SegmentBytes: 200, FS: c.fs,
			Lost:   func(l Loss) { c.losses = append(c.losses, l) },
			Failed: func(error) { c.failed++ },
		})
		if !c.failure(err) {
			return s
		}
	}
	return nil
}

// append tries to store a record, twice if need be.
func (c *script) append(s *Spool, name string) {
	for try := range 2 {
		rec := fmt.Sprintf("%s try %d %s", name, try, strings.Repeat("x", len(c.tried)*13%50))
		c.tried = append(c.tried, rec)
		err := s.Append([]byte(rec))
		if !c.failure(err) {
			c.stored[rec] = true
			return
		}
	}
}

// next reads up to n records; after an error it starts again, as a publisher does, at the
// first one that is not done.
func (c *script) next(s *Spool, n int) (recs []string) {
	for errs := 0; len(recs) < n && errs < 3; {
		rec, ok, err := s.Next()
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			c.failed++
			errs++
			recs = recs[:0]
			_ = s.Rewind()
		case !ok:
			return recs
		default:
			recs = append(recs, string(rec))
		}
	}
	return recs
}

func (c *script) ack(s *Spool, recs []string) {
	for _, rec := range recs {
		c.acked[rec] = true
	}
	if !c.failure(s.Ack(len(recs), 1)) {
		for _, rec := range recs {
			c.done[rec] = true
		}
	}
}

func (c *script) flushNow(s *Spool) {
	if c.sync > 0 && !c.failure(s.tail.flush()) {
		for _, rec := range c.tried {
			c.flushed[rec] = c.stored[rec]
		}
	}
}

// run uses all that a spool offers.
func (c *script) run() {
	s := c.open()
	if s == nil {
		return
	}
	for i := range 8 {
		c.append(s, fmt.Sprint("a", i))
	}
	c.ack(s, c.next(s, 2))
	c.flushNow(s)
	c.next(s, 3)
	_ = s.Rewind()
	c.ack(s, c.next(s, 4))
	for i := range 3 {
		c.append(s, fmt.Sprint("b", i))
	}
	c.failure(s.Close())
	if s = c.open(); s == nil {
		return
	}
	for i := range 6 {
		c.append(s, fmt.Sprint("c", i))
	}
	c.flushNow(s)
	c.ack(s, c.next(s, 5))
	c.append(s, "d")
	c.failure(s.Close())
}

// verify opens the spool while nothing fails, and compares.
func (c *script) verify(must func(rec string) bool, mayComeAgain func(rec string) bool) {
	c.tb.Helper()
	c.fs.fault = nil
	s := c.open()
	if s == nil {
		c.tb.Fatal("spool cannot be opened")
	}
	defer s.Close()
	c.append(s, "end")
	got := readAll(c.tb, s)
	at := 0
	for _, rec := range got {
		i := slices.Index(c.tried[at:], rec)
		if i < 0 {
			c.tb.Fatalf("%q came twice, out of order, or was never appended:\n%q\nwrong: %q", rec, got, c.fs.log)
		}
		for _, left := range c.tried[at : at+i] {
			if must(left) {
				c.tb.Fatalf("%q is lost:\n%q\nwrong: %q", left, got, c.fs.log)
			}
		}
		if c.acked[rec] && !mayComeAgain(rec) {
			c.tb.Fatalf("%q was done, and came again:\n%q\nwrong: %q", rec, got, c.fs.log)
		}
		at += i + 1
	}
	if at < len(c.tried) {
		c.tb.Fatalf("%q is lost:\n%q\nwrong: %q", c.tried[at:], got, c.fs.log)
	}
}

var syncs = map[string]time.Duration{"always": 0, "sometimes": time.Hour, "never": -1}

// TestFaults makes each operation fail once, in each way.
func TestFaults(t *testing.T) {
	for name, sync := range syncs {
		for how, kind := range map[string]fault{"fails": fails, "half": half, "late": late} {
			t.Run(name+"/"+how, func(t *testing.T) {
				dir := t.TempDir()
				for i := 0; ; i++ {
					c := newScript(t, dir, sync)
					fired := false
					c.fs.fault = func(op int, _ string) fault {
						if op == i {
							fired = true
							return kind
						}
						return none
					}
					c.run()
					if !fired {
						t.Logf("%d operations", i)
						return
					}
					if len(c.tried) < 18 {
						t.Fatalf("only %d records were tried: %q", len(c.tried), c.fs.log)
					}
					c.verify(
						func(rec string) bool { return c.stored[rec] && !c.acked[rec] },
						func(rec string) bool { return !c.done[rec] })
					if len(c.losses) > 0 {
						t.Fatalf("reported as lost: %+v; wrong: %q", c.losses, c.fs.log)
					}
				}
			})
		}
	}
}

// TestFaultsTogether makes many operations fail, at random.
func TestFaultsTogether(t *testing.T) {
	dir := t.TempDir()
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(1, seed))
		for _, sync := range syncs {
			c := newScript(t, dir, sync)
			often := 3 + r.IntN(20)
			c.fs.fault = func(int, string) fault {
				if r.IntN(often) == 0 {
					return fault(1 + r.IntN(3))
				}
				return none
			}
			c.run()
			c.verify(
				func(rec string) bool { return c.stored[rec] && !c.acked[rec] },
				func(rec string) bool { return !c.done[rec] })
		}
	}
}

// TestFaultThenPowerCut has an operation fail, and some time later a power cut. What Append
// stored with a flush of its own is there.
func TestFaultThenPowerCut(t *testing.T) {
	dir := t.TempDir()
	for i := 0; ; i++ {
		fired := false
		for seed := range uint64(6) {
			r := rand.New(rand.NewPCG(uint64(i), seed))
			c := newScript(t, dir, 0)
			end := i + 1 + r.IntN(40)
			var cut *memFS
			c.fs.fault = func(op int, _ string) fault {
				switch {
				case op == i:
					fired = true
					return fault(1 + seed%3)
				case op < end:
					return none
				case cut == nil:
					cut = c.fs.powerCut(r)
				}
				return fails
			}
			c.run()
			if cut == nil {
				cut = c.fs.powerCut(r)
			}
			cut.log = c.fs.log[:min(2, len(c.fs.log))]
			c.fs = cut
			c.verify(func(rec string) bool { return c.stored[rec] && !c.acked[rec] }, func(string) bool { return true })
		}
		if !fired {
			return
		}
	}
}

// TestBadFile has a file that can no longer be written to, or flushed: the next record goes
// to another file, and nothing is left of the one that failed.
func TestBadFile(t *testing.T) {
	for _, what := range []string{"write", "sync"} {
		fs := newMemFS()
		opt := Options{Dir: t.TempDir(), Sync: 0, FS: fs, Lost: func(l Loss) { t.Errorf("lost: %+v", l) }}
		s := open(t, opt)
		appendAll(t, s, "a")
		fs.fault = func(_ int, op string) fault {
			switch op {
			case "write " + segment.Name(1), "sync " + segment.Name(1):
				if strings.HasPrefix(op, what) {
					return half
				}
			}
			return none
		}
		if err := s.Append([]byte("a long record that is refused")); !errors.Is(err, ErrFull) && !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", what, err)
		}
		if f := fs.names[s.newest.Name]; int64(len(f.data)) != s.newest.End {
			t.Errorf("%s: %d bytes, want %d", what, len(f.data), s.newest.End)
		}
		appendAll(t, s, "b")
		closeSpool(t, s)
		fs.fault = nil
		s = open(t, opt)
		if got := readAll(t, s); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("%s: %q", what, got)
		}
		closeSpool(t, s)
	}
}

// TestPowerCut stops the machine before each operation. What was flushed is there
// afterwards; what was not may be lost, and no loss is reported that is none.
func TestPowerCut(t *testing.T) {
	for name, sync := range syncs {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for i := 0; ; i++ {
				fired := false
				for seed := range uint64(6) {
					c := newScript(t, dir, sync)
					var cut *memFS
					r := rand.New(rand.NewPCG(uint64(i), seed))
					c.fs.fault = func(op int, _ string) fault {
						if op < i {
							return none
						}
						if cut == nil {
							fired = true
							cut = c.fs.powerCut(r)
						}
						return fails
					}
					c.run()
					if cut == nil {
						break
					}
					lost := 0 // as far as Append shows
					for _, rec := range c.tried {
						if !c.flushed[rec] {
							lost++
						}
					}
					wrong := c.fs.log
					c.fs = cut
					c.fs.log = wrong[:1]
					c.losses = nil
					c.verify(func(rec string) bool {
						return !c.acked[rec] && (c.flushed[rec] || c.stored[rec] && sync == 0)
					}, func(string) bool { return true })
					for _, l := range c.losses {
						if lost -= int(l.Records); lost < 0 && sync >= 0 {
							t.Fatalf("more is reported than can be lost: %+v; at %q", c.losses, wrong[0])
						}
					}
				}
				if !fired {
					return
				}
			}
		})
	}
}
