package look

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// start starts a child that has written a line.
func start(tb testing.TB, name string, arg ...string) *exec.Cmd {
	tb.Helper()
	cmd := exec.Command(name, arg...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as supervisord does
	_, err := cmd.StdinPipe()                             // stays open
	if err != nil {
		tb.Fatal(err)
	}
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

// sleeper executes nothing else: a process that does has no memory for a moment.
func sleeper(tb testing.TB) *exec.Cmd { return start(tb, "sh", "-c", "echo; read line") }

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
	if last.Threads != 2 || last.CPU < 200*time.Millisecond || last.CPU > 20*time.Second ||
		last.Descriptors != len(files) {
		t.Errorf("%d threads, %v of a processor, %d files; want 2, 0.2 s and more, %d", last.Threads, last.CPU,
			last.Descriptors, len(files))
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
	for s, err := l.proc.stat(pid); err == nil && !s.isDead(); s, err = l.proc.stat(pid) {
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
