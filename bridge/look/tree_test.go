package look

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// tree is a procfs of our own making.
type tree string

func newTree(t *testing.T) tree {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(strconv.Itoa(os.Getpid()), filepath.Join(dir, "self")); err != nil {
		t.Fatal(err)
	}
	return tree(dir)
}

func (d tree) process(t *testing.T, pid int, start uint64, name string, rssPages int) {
	t.Helper()
	dir := filepath.Join(string(d), strconv.Itoa(pid))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	stat := fmt.Sprintf("%d (%s) S 7 1 1 0 -1 4194304 1 2 3 4 150 50 9 9 20 0 3 0 %d 1000000 %d 18446744073709551615 1\n", pid, name, start, rssPages)
	status := fmt.Sprintf("Name:\t%s\nVmPeak:\t  999 kB\nVmHWM:\t    %d kB\nThreads:\t3\n", "VmHWM: 77 kB", 1<<20)
	for file, text := range map[string]string{"stat": stat, "status": status} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A pid that was used again is another process; each death takes its own.
func TestUsedAgain(t *testing.T) {
	t.Parallel()
	const pid = 4_100_000 // above what a kernel gives
	dir := newTree(t)
	l := newLooker(t, Config{Proc: string(dir)})
	for i, start := range []uint64{50, 70, 100, 200, 300} {
		dir.process(t, pid, start, "a) S 1 (b\n) R", i-1)
		l.Add(pid)
		l.pass(t.Context(), true) // notices that the one before is gone
		l.Add(pid)
		l.pass(t.Context(), true)
	}
	if life, ok := l.Take(Death{PID: pid, Died: ticks(100)}); !ok || life.Started != ticks(50)+tick/2 {
		t.Errorf("%v, %+v; want the oldest", ok, life)
	}
	// That of the second one was lost.
	if life, ok := l.Take(Death{PID: pid, Died: ticks(1000), Started: ticks(101)}); !ok ||
		life.Started != ticks(100)+tick/2 {
		t.Errorf("%v, %+v; want the one that was started then", ok, life)
	}
	for i := 2; i <= 3; i++ {
		life, ok := l.Take(Death{PID: pid, Died: ticks(1000)})
		want := Life{Started: ticks(uint64(i)*100) + tick/2, Gone: life.Gone, Last: life.Last}
		page := uint64(os.Getpagesize())
		if !ok || life != want || (life.Gone != 0) != (i == 2) || life.Last.RSS != uint64(i)*page ||
			life.Last.Peak != 1<<30 || life.Last.Threads != 3 || life.Last.CPU != 2*time.Second {
			t.Errorf("%d: %v, %+v", i, ok, life)
		}
	}
	if len(l.gone)+len(l.order)+len(l.alive) != 0 {
		t.Error("something is left over")
	}

	// One that was started after the death is not the one that has died.
	dir.process(t, pid, 400, "later", 1)
	l.Add(pid)
	l.pass(t.Context(), true)
	if _, ok := l.Take(Death{PID: pid, Died: ticks(399)}); ok {
		t.Error("a process that was started later is taken for it")
	}
}

// What has died and is asked for by nobody is dropped, the oldest first.
func TestBound(t *testing.T) {
	t.Parallel()
	dir := newTree(t)
	l := newLooker(t, Config{Proc: string(dir), Max: 10})
	const first = 4_100_000
	for i := range 25 {
		dir.process(t, first+i, 100, "x", 1)
		l.Add(first + i)
		l.pass(t.Context(), true)
		if err := os.RemoveAll(filepath.Join(string(dir), strconv.Itoa(first+i))); err != nil {
			t.Fatal(err)
		}
		l.pass(t.Context(), true)
	}
	if len(l.gone) != 10 || len(l.order) != 10 || len(l.alive) != 0 {
		t.Fatalf("%d, %d and %d are remembered", len(l.gone), len(l.order), len(l.alive))
	}
	if _, ok := l.Take(Death{PID: first + 14, Died: Now()}); ok {
		t.Error("the oldest is remembered")
	}
	if _, ok := l.Take(Death{PID: first + 15, Died: Now()}); !ok {
		t.Error("a younger one is forgotten")
	}
}

// What cannot be looked at is said once.
func TestHidden(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{Proc: t.TempDir()}); err == nil {
		t.Error("a directory is taken for a procfs")
	}
	other := t.TempDir()
	if err := os.Symlink("1", filepath.Join(other, "self")); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Proc: other}); err == nil {
		t.Error("a procfs of another pid namespace is taken for ours")
	}

	var said []error
	l := newLooker(t, Config{Proc: string(newTree(t)), Parent: 1, Say: func(err error) { said = append(said, err) }})
	for range 3 {
		l.Add(os.Getpid()) // it lives, and this procfs does not show it
		l.pass(t.Context(), true)
	}
	if len(said) != 1 || !errors.Is(said[0], ErrHidden) {
		t.Error(said)
	}
}

// Without ticks all processes are looked at by our own clock, and with them no more
// often than with them; a start is looked at soon.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := newTree(t)
		const pid = 4_100_000
		dir.process(t, pid, 100, "x", 1) // an old one: hurries do not look at it
		l := newLooker(t, Config{Proc: string(dir)})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = l.Run(ctx) }()
		seen := func() time.Time {
			synctest.Wait()
			l.mu.Lock()
			defer l.mu.Unlock()
			if p := l.alive[pid]; p != nil {
				return p.last.Time
			}
			return time.Time{}
		}
		time.Sleep(4 * time.Second)
		l.Add(pid)
		time.Sleep(100 * time.Millisecond)
		if d := time.Since(seen()); d > 100*time.Millisecond {
			t.Errorf("a new process was looked at %v ago", d)
		}
		begun := time.Now()
		time.Sleep(26 * time.Second) // 5, 10, 15, 20, 25 and 30 s after the start
		if d := begun.Add(26 * time.Second).Sub(seen()); d < 0 || d > every {
			t.Errorf("without a tick it was looked at %v ago", d)
		}
		time.Sleep(time.Second)
		for range 5 {
			l.Tick()
			ticked := time.Now()
			time.Sleep(5 * time.Second)
			if d := seen().Sub(ticked); d != 0 {
				t.Errorf("looked at %v after the tick", d)
			}
		}
		stop()
		<-done
	})
}

// A child that has executed nothing yet has the memory and the files of supervisord.
func TestForkedOnly(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("python3", "-c", "import os, time\nchild = os.fork()\nif child: print(child, flush=True)\ntime.sleep(60)")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}()
	var child int
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Fatal(err)
	}

	l := newLooker(t, Config{Parent: cmd.Process.Pid})
	l.pass(t.Context(), true)
	if life, ok := l.Take(Death{PID: child, Died: Now()}); !ok || life.Last != (Look{}) || life.Started == 0 {
		t.Errorf("%v, %+v; want a start and no look", ok, life)
	}
}
