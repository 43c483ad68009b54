package queue

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"supernats/bridge/spool/files"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fatal is the part of testing.TB that rapid.T has too.
type fatal interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// ours is the beginning of records that are events.
func ours(rec []byte) []byte {
	if strings.HasPrefix(string(rec), "event") {
		return rec
	}
	return nil
}

// numbered are records that hold their number, of some 20 to 60 bytes.
func numbered(from, to int) (recs []string) {
	for i := from; i <= to; i++ {
		recs = append(recs, fmt.Sprintf("record %04d %*s", i, i*7%40, ""))
	}
	return recs
}

func write(tb testing.TB, name string, b []byte) {
	tb.Helper()
	if err := os.WriteFile(name, b, files.Mode); err != nil {
		tb.Fatal(err)
	}
}

// segmentsOf returns the paths of a directory's segments.
func segmentsOf(tb testing.TB, dir string) []string {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.segment"))
	if err != nil {
		tb.Fatal(err)
	}
	return names
}
