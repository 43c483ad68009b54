package supervisordtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Dir returns a new directory whose path is short enough for a unix socket.
func Dir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "supernats")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Start runs a supervisord with the sections for the length of a test. The test
// fails if supervisord is not installed; with -short it is skipped.
func Start(tb testing.TB, sections string) *Supervisord {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short: needs a supervisord")
	}
	dir := Dir(tb)
	if err := WriteConf(dir, "supervisor", sections); err != nil {
		tb.Fatal(err)
	}
	return StartIn(tb, dir)
}

// StartIn is Start on a configuration that is already in dir.
func StartIn(tb testing.TB, dir string) *Supervisord {
	tb.Helper()
	s, err := Run(dir)
	if err != nil {
		tb.Fatal(err)
	}

	tb.Cleanup(func() {
		select {
		case <-s.exited: // the test stopped it
		default:
			if err := s.Stop(); err != nil {
				tb.Error(err)
			}
		}
		if tb.Failed() {
			tb.Logf("supervisord's log:\n%s", s.Log())
			logs, _ := filepath.Glob(dir + "/*stderr*")
			for _, l := range logs {
				b, _ := os.ReadFile(l)
				tb.Logf("%s:\n%s", filepath.Base(l), b)
			}
		}
	})
	return s
}

// MustCtl is Ctl whose failure fails the test.
func (s *Supervisord) MustCtl(tb testing.TB, args ...string) string {
	tb.Helper()
	out, err := s.Ctl(args...)
	if err != nil {
		tb.Fatalf("supervisorctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// WaitLog waits until supervisord's log holds text n times.
func (s *Supervisord) WaitLog(tb testing.TB, text string, n int) {
	tb.Helper()
	logged := func() bool { return strings.Count(s.Log(), text) >= n }
	Wait(tb, 30*time.Second, logged, "supervisord to log %q %d times", text, n)
}

// Wait polls until done or fails the test.
func Wait(tb testing.TB, limit time.Duration, done func() bool, format string, args ...any) {
	tb.Helper()
	for end := time.Now().Add(limit); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("waited %v in vain for "+format, append([]any{limit}, args...)...)
		}
	}
}
