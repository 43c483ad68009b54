package supervisordtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
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

// Program is a section of a program with settings, as lines, beside its command.
func Program(name, command string, settings ...string) string {
	return "\n[program:" + name + "]\ncommand=" + command + "\n" + strings.Join(append(settings, ""), "\n")
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

// ProcessID is the process id of a program that runs.
func (s *Supervisord) ProcessID(tb testing.TB, program string) int {
	tb.Helper()
	pid := s.processID(program)
	if pid <= 0 {
		tb.Fatalf("%s does not run", program)
	}
	return pid
}

// processID is the process id of a program, 0 while it does not run.
func (s *Supervisord) processID(program string) int {
	pid, _ := strconv.Atoi(s.infoOf(program, pidValue))
	return pid
}

// State is the state of a program, as "RUNNING"; "" if supervisord cannot say it.
func (s *Supervisord) State(program string) string { return s.infoOf(program, stateName) }

// What supervisord says of a process.
var (
	pidValue  = regexp.MustCompile(`<name>pid</name>\s*<value><int>(\d+)<`)
	stateName = regexp.MustCompile(`<name>statename</name>\s*<value><string>(\w+)<`)
)

// infoOf asks supervisord itself: supervisorctl would start Python with every poll.
func (s *Supervisord) infoOf(program string, what *regexp.Regexp) string {
	out, _ := s.Call("supervisor.getProcessInfo", program)
	if m := what.FindStringSubmatch(out); m != nil {
		return m[1]
	}
	return ""
}

// KillProgram ends the process of a program with SIGKILL, and returns its process id.
func (s *Supervisord) KillProgram(tb testing.TB, program string) int {
	tb.Helper()
	pid := s.ProcessID(tb, program)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		tb.Fatal(err)
	}
	return pid
}

// ReplaceProgram is KillProgram, and waits until supervisord has started the program again.
func (s *Supervisord) ReplaceProgram(tb testing.TB, program string) {
	tb.Helper()
	old := s.KillProgram(tb, program)
	Wait(tb, 20*time.Second, func() bool {
		pid := s.processID(program)
		return pid > 0 && pid != old
	}, "another process of %s after %d", program, old)
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
