package spool

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"supernats/bridge/spool/files"
	"supernats/bridge/spool/segment"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("SPOOL_TEST_CHILD"); dir != "" {
		child(dir)
	}
	goleak.VerifyTestMain(m)
}

func open(tb testing.TB, opt Options) *Spool {
	tb.Helper()
	if opt.Dir == "" {
		opt.Dir = tb.TempDir()
	}
	if opt.Max == 0 {
		opt.Max = 1 << 30
	}
	s, err := Open(tb.Context(), opt)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func closeSpool(tb testing.TB, s *Spool) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
}

// fatal is the part of testing.TB that rapid.T has too.
type fatal interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// readAll returns copies of all records that are left to read.
func readAll(tb fatal, s *Spool) (recs []string) {
	tb.Helper()
	for {
		rec, ok, err := s.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			tb.Fatal(err)
		}
		if !ok {
			return recs
		}
		recs = append(recs, string(rec))
	}
}

func appendAll(tb testing.TB, s *Spool, recs ...string) {
	tb.Helper()
	for _, rec := range recs {
		if err := s.Append([]byte(rec)); err != nil {
			tb.Fatal(err)
		}
	}
}

// numbered are records that hold their number, of some 20 to 60 bytes.
func numbered(from, to int) (recs []string) {
	for i := from; i <= to; i++ {
		recs = append(recs, fmt.Sprintf("record %04d %*s", i, i*7%40, ""))
	}
	return recs
}

func noise(n int) []byte {
	b := make([]byte, n)
	chacha := rand.NewChaCha8([32]byte{1})
	_, _ = chacha.Read(b)
	return b
}

func write(tb testing.TB, name string, b []byte) {
	tb.Helper()
	if err := os.WriteFile(name, b, files.Mode); err != nil {
		tb.Fatal(err)
	}
}

func read(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// segmentsOf returns the paths of a directory's segments.
func segmentsOf(tb testing.TB, dir string) (names []string) {
	tb.Helper()
	all, err := segment.List(files.Disk{}, dir)
	if err != nil {
		tb.Fatal(err)
	}
	for _, seg := range all {
		names = append(names, seg.Name)
	}
	return names
}

// losses collects what a spool reports.
type losses struct {
	mu  sync.Mutex
	all []Loss
}

func (l *losses) add(loss Loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	loss.File = filepath.Base(loss.File)
	if loss.File == "." {
		loss.File = ""
	}
	l.all = append(l.all, loss)
}
