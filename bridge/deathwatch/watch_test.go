package deathwatch

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// start runs a Watch over the children of this process.
func start(t *testing.T, change func(*Config)) (w *Watch, deaths *atomic.Int64) {
	t.Helper()
	deaths = new(atomic.Int64)
	cfg := Config{Parent: os.Getpid, Died: func(n int) { deaths.Add(int64(n)) }, Files: 1000}
	if change != nil {
		change(&cfg)
	}
	w, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !w.Tells() {
		t.Fatal("this kernel does not say how processes end: Linux 6.15 is needed for this test")
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		w.Close()
	})
	return w, deaths
}

// child runs a shell command that is reaped when reap is called.
func child(t *testing.T, script string) (pid int, reap func()) {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid, func() { _ = cmd.Wait() }
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestExit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script string
		want         func(unix.WaitStatus) bool
	}{
		{"code", "read x; exit 42", func(s unix.WaitStatus) bool { return s.Exited() && s.ExitStatus() == 42 }},
		{"success", "read x; exit 0", func(s unix.WaitStatus) bool { return s.Exited() && s.ExitStatus() == 0 }},
		{"killed", "read x; kill -9 $$", func(s unix.WaitStatus) bool { return s.Signaled() && s.Signal() == unix.SIGKILL }},
		{"aborted", "read x; ulimit -c 0; kill -ABRT $$", func(s unix.WaitStatus) bool { return s.Signaled() && s.Signal() == unix.SIGABRT }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, deaths := start(t, nil)
			cmd := exec.Command("sh", "-c", tt.script)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Add(cmd.Process.Pid)
			w.Add(cmd.Process.Pid) // twice is once
			in.Close()
			wait(t, "the death", func() bool { return deaths.Load() == 1 })

			if _, ok := w.Exit(cmd.Process.Pid); ok {
				t.Error("a status before the reap")
			}
			_ = cmd.Wait()
			exit, ok := w.Exit(cmd.Process.Pid)
			if !ok || !tt.want(exit.Status) {
				t.Errorf("status %#x, known: %v", exit.Status, ok)
			}
			if exit.Died.Before(exit.Started) {
				t.Errorf("died %v, started %v", exit.Died, exit.Started)
			}
			if _, ok := w.Exit(cmd.Process.Pid); ok {
				t.Error("a status is taken twice")
			}
			if n, _, _ := w.Stats(); n != 0 {
				t.Errorf("%d are watched still", n)
			}
		})
	}
}

// Deaths of one moment are one call, and each status is there.
func TestManyDie(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	deaths := new(atomic.Int64)
	w, _ := start(t, func(c *Config) {
		c.Died = func(n int) { calls.Add(1); deaths.Add(int64(n)) }
	})
	const n = 100
	pids, reaps := make([]int, n), make([]func(), n)
	for i := range n {
		pids[i], reaps[i] = child(t, "sleep 100")
		w.Add(pids[i])
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	wait(t, "all deaths", func() bool { return deaths.Load() == n })
	for i, pid := range pids {
		reaps[i]()
		if exit, ok := w.Exit(pid); !ok || exit.Status.Signal() != unix.SIGKILL {
			t.Errorf("process %d: %v %v", i, exit, ok)
		}
	}
	if c := calls.Load(); c > n/2 {
		t.Errorf("%d calls for %d deaths", c, n)
	}
}

// Look finds what was started since, and nobody else's children.
func TestLook(t *testing.T) {
	t.Parallel()
	w, _ := start(t, nil)
	w.Look()
	before, _, _ := w.Stats()
	pid, reap := child(t, "sleep 100 & wait") // its own child is not ours
	wait(t, "the child", func() bool {
		w.Look()
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.alive[pid] != nil
	})
	_ = before
	_ = syscall.Kill(pid, syscall.SIGKILL)
	reap()
	if exit, ok := w.Exit(pid); !ok || exit.Status.Signal() != unix.SIGKILL {
		t.Errorf("%v %v", exit, ok)
	}

	other, err := New(Config{Parent: func() int { return 1 << 30 }, Died: func(int) {}, Files: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	pid, reap = child(t, "sleep 100")
	other.Add(pid)
	other.Look()
	if n, _, _ := other.Stats(); n != 0 {
		t.Error("a process is watched that is not a child of supervisord")
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	reap()
}

// More processes than descriptors: the rest is counted.
func TestFewFiles(t *testing.T) {
	t.Parallel()
	w, _ := start(t, func(c *Config) { c.Files = 2 })
	var pids []int
	for range 3 {
		pid, reap := child(t, "sleep 100")
		t.Cleanup(reap)
		pids = append(pids, pid)
		w.Add(pid)
	}
	if n, unwatched, _ := w.Stats(); n != 2 || unwatched != 1 {
		t.Errorf("%d are watched, %d are not", n, unwatched)
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// An older kernel reports the death and does not say why.
func TestOldKernel(t *testing.T) {
	t.Parallel()
	w, deaths := start(t, nil)
	w.mu.Lock()
	w.info = func(int, *unix.PidfdInfo) error { return unix.ENOTTY }
	w.mu.Unlock()
	pid, reap := child(t, "sleep 100")
	w.Add(pid)
	_ = syscall.Kill(pid, syscall.SIGKILL)
	wait(t, "the death", func() bool { return deaths.Load() == 1 })
	reap()
	if exit, ok := w.Exit(pid); ok {
		t.Errorf("status %v is made up", exit)
	}
	if n, _, _ := w.Stats(); n != 0 {
		t.Errorf("%d are watched still", n)
	}
}

// What nobody takes is bounded, and counted.
func TestKeptIsBounded(t *testing.T) {
	t.Parallel()
	w := &Watch{kept: map[int][]*process{}}
	for i := range maxKept + 10 {
		w.keep(&process{pid: i % 100})
	}
	if len(w.order) != maxKept {
		t.Errorf("%d are kept", len(w.order))
	}
	held := 0
	for _, list := range w.kept {
		held += len(list)
	}
	if held != maxKept || w.dropped.Load() != 10 {
		t.Errorf("%d are kept, %d dropped", held, w.dropped.Load())
	}
}

func BenchmarkAddExit(b *testing.B) {
	w, err := New(Config{Parent: os.Getpid, Died: func(int) {}, Files: 10})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	cmd := exec.Command("sleep", strconv.Itoa(1000))
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	b.ReportAllocs()
	for b.Loop() {
		w.Add(cmd.Process.Pid)
		w.Exit(cmd.Process.Pid)
	}
}
