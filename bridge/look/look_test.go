package look

import (
	"bufio"
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

// start starts a child that has written a line.
func start(tb testing.TB, name string, arg ...string) *exec.Cmd {
	tb.Helper()
	cmd := exec.Command(name, arg...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as supervisord does
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		tb.Fatal(err)
	}
	return cmd
}

func newLooker(tb testing.TB, cfg Config) *Looker {
	tb.Helper()
	l, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(l.Close)
	return l
}

func sleeper(tb testing.TB) *exec.Cmd { return start(tb, "sh", "-c", "echo; exec sleep 1000") }

// A program with 60 MB, of which it has given back 40, two threads and 20 files more.
const hungry = `
import os, threading, time
t = threading.Thread(target=time.sleep, args=(1000,), daemon=True); t.start()
files = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
keep, drop = bytearray(os.urandom(1) * (20 << 20)), bytearray(os.urandom(1) * (40 << 20))
del drop
until = time.process_time() + 0.2
while time.process_time() < until: pass
print(len(os.listdir("/proc/self/fd")) - 1, flush=True)
time.sleep(1000)
`

// What is seen of a real program is what it has; after its death it can be taken, once.
func TestLook(t *testing.T) {
	t.Parallel()
	l := newLooker(t, Config{Parent: os.Getpid()})
	begun := Now()
	cmd := start(t, "python3", "-c", hungry)
	l.pass(t.Context(), true)
	began, looked := begun, Now()
	files, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "fd"))
	if err != nil {
		t.Fatal(err)
	}

	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	life, ok := l.Take(Death{PID: cmd.Process.Pid, Died: Now()})
	if !ok {
		t.Fatal("nothing is known")
	}
	const mb = 1 << 20
	last := life.Last
	if last.RSS < 20*mb || last.RSS > 55*mb || last.Peak < 60*mb || last.Peak > 120*mb {
		t.Errorf("%d of memory, %d at most; want 20 MB and more, 60 MB and more", last.RSS, last.Peak)
	}
	if last.Threads != 2 || last.CPU < 200*time.Millisecond || last.CPU > 20*time.Second || last.Descriptors != len(files) {
		t.Errorf("%d threads, %v of a processor, %d files; want 2, 0.2 s and more, %d", last.Threads, last.CPU, last.Descriptors, len(files))
	}
	if life.Started < began-tick || life.Started > looked {
		t.Errorf("started at %v, want between %v and %v", life.Started, began, looked)
	}
	if d := life.Started + last.Age; d < began || d > looked+tick || time.Since(last.Time) > time.Minute {
		t.Errorf("was %v old at %v", last.Age, last.Time)
	}
	if _, again := l.Take(Death{PID: cmd.Process.Pid, Died: Now()}); again {
		t.Error("the same life twice")
	}
}

// A process that nobody has reaped has no memory any more: the look before stays.
func TestZombie(t *testing.T) {
	t.Parallel()
	l := newLooker(t, Config{Parent: os.Getpid()})
	cmd := sleeper(t)
	pid := cmd.Process.Pid
	l.pass(t.Context(), true)
	_ = cmd.Process.Kill()
	for s, err := l.proc.stat(pid); err == nil && !s.dead(); s, err = l.proc.stat(pid) {
		time.Sleep(time.Millisecond)
	}
	l.pass(t.Context(), true)
	_ = cmd.Wait()
	l.pass(t.Context(), true)

	if looking, _ := l.Stats(); l.alive[pid] != nil {
		t.Errorf("%d processes are looked at, and one of them is gone", looking)
	}
	life, ok := l.Take(Death{PID: pid, Died: Now()})
	if !ok || life.Last.RSS == 0 || life.Last.Threads != 1 {
		t.Errorf("%v, %+v", ok, life)
	}
}

// Processes of others are nobody's business.
func TestOthers(t *testing.T) {
	t.Parallel()
	cmd := sleeper(t)
	l := newLooker(t, Config{Parent: 1})
	l.Add(cmd.Process.Pid)
	l.begin(cmd.Process.Pid)
	if looking, _ := l.Stats(); looking != 0 {
		t.Error("a process is taken for a child of process 1")
	}

	// Where supervisord is not known, an event's word is taken.
	l = newLooker(t, Config{})
	l.Add(cmd.Process.Pid)
	l.pass(t.Context(), false)
	if life, ok := l.Take(Death{PID: cmd.Process.Pid, Died: Now()}); !ok || life.Last.RSS == 0 {
		t.Errorf("%v, %+v", ok, life)
	}
}

// More processes than there are places for are counted, and get theirs when one is free.
func TestTooMany(t *testing.T) {
	t.Parallel()
	parent := start(t, "python3", "-c", `
import os, subprocess, sys
children = [subprocess.Popen(["sleep", "1000"]) for _ in range(5)]
print(flush=True)
sys.stdin.read()
`)
	var said []error
	l := newLooker(t, Config{Parent: parent.Process.Pid, Max: 3, Say: func(err error) { said = append(said, err) }})
	pids, ok := l.proc.children(nil, parent.Process.Pid)
	if !ok || len(pids) != 5 {
		t.Skip("this kernel does not list children")
	}
	defer func() {
		for _, pid := range pids {
			p, _ := os.FindProcess(pid)
			_ = p.Kill()
		}
	}()
	l.pass(t.Context(), true)
	l.pass(t.Context(), true)
	if looking, beyond := l.Stats(); looking != 3 || beyond != 2 || len(said) != 1 || !errors.Is(said[0], ErrTooMany) {
		t.Fatalf("%d are looked at, %d are not; reported: %v", looking, beyond, said)
	}
	for pid := range l.alive {
		if _, ok := l.Take(Death{PID: pid, Died: Now()}); !ok {
			t.Fatal("nothing is known")
		}
	}
	l.pass(t.Context(), true)
	if looking, beyond := l.Stats(); looking != 3 || beyond != 2 {
		t.Fatalf("%d are looked at, %d are not", looking, beyond)
	}
}

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
	if life, ok := l.Take(Death{PID: pid, Died: ticks(1000), Started: ticks(101)}); !ok || life.Started != ticks(100)+tick/2 {
		t.Errorf("%v, %+v; want the one that was started then", ok, life)
	}
	for i := 2; i <= 3; i++ {
		life, ok := l.Take(Death{PID: pid, Died: ticks(1000)})
		want := Life{Started: ticks(uint64(i)*100) + tick/2, Gone: life.Gone, Last: life.Last}
		page := uint64(os.Getpagesize())
		if !ok || life != want || (life.Gone != 0) != (i == 2) || life.Last.RSS != uint64(i)*page || life.Last.Peak != 1<<30 || life.Last.Threads != 3 || life.Last.CPU != 2*time.Second {
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
