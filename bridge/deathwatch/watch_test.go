package deathwatch

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The tests of this package are not parallel: they watch the children of one process,
// their own.

// each runs a test with the process connector, where it is to be had, and without.
func each(t *testing.T, test func(*testing.T, func(*Config))) {
	t.Run("looking", func(t *testing.T) {
		test(t, func(c *Config) { c.NoConnector = true })
	})
	t.Run("connected", func(t *testing.T) {
		needConnector(t)
		test(t, func(*Config) {})
	})
}

// needConnector fails the test if there is no process connector where the kernel has one
// for us, and skips it elsewhere: a connector that never answers must not go unseen.
func needConnector(t *testing.T) {
	t.Helper()
	c, err := openConnector(os.Getpid())
	if err == nil {
		c.close()
		return
	}
	pid, _ := os.Readlink("/proc/self/ns/pid")
	user, _ := os.Readlink("/proc/self/ns/user")
	// The numbers of the initial namespaces (linux/nsfs.h), which alone have it.
	if release(6, 6) && pid == "pid:[4026531836]" && user == "user:[4026531837]" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// start runs a Watch over the children of this process.
func start(t *testing.T, changes ...func(*Config)) (w *Watch, calls *atomic.Int64) {
	t.Helper()
	calls = new(atomic.Int64)
	cfg := Config{Parent: os.Getpid(), Died: func(Death) bool { calls.Add(1); return true }, Files: 1000}
	for _, change := range changes {
		change(&cfg)
	}
	w, err := New(cfg)
	if err != nil {
		t.Fatal(err)
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
		if _, ok := w.Exit(os.Getpid(), Name{}); ok {
			t.Error("an exit after Close")
		}
	})
	return w, calls
}

// needExits skips a test for which the kernel has to say how processes end.
func needExits(t *testing.T, w *Watch) {
	t.Helper()
	if !w.ReportsExits() && !w.Connected() {
		t.Skip("this kernel does not say how processes end: Linux 6.15 is needed")
	}
}

// child runs a shell command, with variables, that is reaped when reap is called.
func child(t *testing.T, script string, env ...string) (pid int, reap func()) {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = append(os.Environ(), env...)
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

var app = Name{Group: "g", Process: "app"}

func TestExit(t *testing.T) {
	each(t, func(t *testing.T, mode func(*Config)) {
		for _, tt := range []struct {
			name, script string
			want         func(unix.WaitStatus) bool
		}{
			{
				name: "code", script: "read x; exit 42",
				want: func(s unix.WaitStatus) bool { return s.Exited() && s.ExitStatus() == 42 },
			},
			{
				name: "success", script: "read x; exit 0",
				want: func(s unix.WaitStatus) bool { return s.Exited() && s.ExitStatus() == 0 },
			},
			{
				name: "killed", script: "read x; kill -9 $$",
				want: func(s unix.WaitStatus) bool { return s.Signaled() && s.Signal() == unix.SIGKILL },
			},
			{
				name: "aborted", script: "read x; ulimit -c 0; kill -ABRT $$",
				want: func(s unix.WaitStatus) bool { return s.Signaled() && s.Signal() == unix.SIGABRT },
			},
		} {
			t.Run(tt.name, func(t *testing.T) {
				w, calls := start(t, mode)
				needExits(t, w)
				cmd := exec.Command("sh", "-c", tt.script)
				in, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				pid := cmd.Process.Pid
				w.Add(pid, app)
				w.Add(pid, app) // twice is once
				in.Close()
				wait(t, "the death", func() bool { return calls.Load() > 0 })

				if _, ok := w.Exit(pid, app); ok {
					t.Error("an end before the reap")
				}
				if !w.Pending() {
					t.Error("the death is not pending")
				}
				_ = cmd.Wait()
				exit, ok := w.Exit(pid, app)
				if !ok || !exit.Known || !tt.want(exit.Status) {
					t.Errorf("end %+v, known: %v", exit, ok)
				}
				// The start is known to a hundredth of a second by procfs.
				if exit.Died.Before(exit.Started) || exit.Started.Before(begun.Add(-20*time.Millisecond)) {
					t.Errorf("begun %v, started %v, died %v", begun, exit.Started, exit.Died)
				}
				if _, ok := w.Exit(pid, app); ok || w.Pending() {
					t.Error("an end is taken twice")
				}
				if n, _, _ := w.Stats(); n != 0 {
					t.Errorf("%d are watched still", n)
				}
			})
		}
	})
}

// Deaths of one moment are few calls, and each end is there.
func TestManyDie(t *testing.T) {
	each(t, func(t *testing.T, mode func(*Config)) {
		w, calls := start(t, mode)
		needExits(t, w)
		const n = 100
		pids, reaps := make([]int, n), make([]func(), n)
		for i := range n {
			pids[i], reaps[i] = child(t, "exec sleep 100")
			w.Add(pids[i], Name{})
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		wait(t, "a death", func() bool { return calls.Load() > 0 })
		for i, pid := range pids {
			reaps[i]()
			if exit, ok := w.Exit(pid, app); !ok || exit.Status.Signal() != unix.SIGKILL {
				t.Errorf("process %d: %v %v", i, exit, ok)
			}
		}
	})
}

// Each of many that are over at once has its end, with the connector.
func TestDieAtOnce(t *testing.T) {
	needConnector(t)
	w, _ := start(t)
	for i := range 300 {
		cmd := exec.Command("/bin/sh", "-c", "exit "+strconv.Itoa(i%100))
		_ = cmd.Run()
		exit, ok := w.Exit(cmd.Process.Pid, app)
		if !ok || !exit.Known || exit.Status.ExitStatus() != i%100 {
			t.Fatalf("process %d: %+v %v", i, exit, ok)
		}
	}
}

// A process whose first thread has ended runs on: that one's status is not its own.
func TestFirstThreadEnds(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip(err)
	}
	each(t, func(t *testing.T, mode func(*Config)) {
		for _, old := range []bool{false, true} {
			w, calls := start(t, mode, func(c *Config) {
				if old {
					c.Info = func(int, *unix.PidfdInfo) error { return unix.ENOTTY }
				}
			})
			cmd := exec.Command(python, "-c", `
import ctypes, os, threading, time
def work():
    time.sleep(1.5)
    os._exit(7)
threading.Thread(target=work).start()
ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 5)`)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Add(cmd.Process.Pid, app)
			time.Sleep(time.Second)
			if calls.Load() != 0 {
				t.Error("a thread that ends is a death")
			}
			_ = cmd.Wait()
			exit, ok := w.Exit(cmd.Process.Pid, app)
			if !ok || exit.Known && exit.Status.ExitStatus() != 7 || !exit.Known && !old && w.ReportsExits() {
				t.Errorf("old kernel %v: %+v %v", old, exit, ok)
			}
		}
	})
}

// Children of supervisord are found, and nobody else.
func TestLook(t *testing.T) {
	w, _ := start(t, func(c *Config) { c.NoConnector = true })
	w.Look()
	pid, reap := child(t, "sleep 100 & wait") // its own child is not ours
	defer reap()
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	wait(t, "the child", func() bool {
		w.Look()
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.table.alive[pid] != nil
	})
	if n, _, _ := w.Stats(); n != 1 {
		t.Errorf("%d processes are watched", n)
	}

	other, _ := start(t, func(c *Config) { c.NoConnector, c.Parent = true, 1<<30 })
	other.Add(pid, app)
	other.Look()
	if n, _, _ := other.Stats(); n != 0 {
		t.Error("a process is watched that is not a child of supervisord")
	}
}

// A process that supervisord has inherited from a program has its variables too, and
// is none of its children.
func TestInherited(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Skip(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	each(t, func(t *testing.T, mode func(*Config)) {
		w, calls := start(t, mode)
		// Nothing depends on when each comes to it: the program ends when what it has started
		// is in its own session, and that ends when the test says so.
		left, end := t.TempDir()+"/left", t.TempDir()+"/end"
		pid, reap := child(t, "setsid sh -c 'echo $$ >"+left+"; until [ -e "+end+" ]; do sleep 0.01; done; exit 9' &\n"+
			"until [ -s "+left+" ]; do sleep 0.01; done", "SUPERVISOR_PROCESS_NAME=app", "SUPERVISOR_GROUP_NAME=g")
		w.Add(pid, app)
		reap()
		if _, ok := w.Exit(pid, app); !ok {
			t.Error("the program's own end is missing")
		}
		text, err := os.ReadFile(left)
		inherited, wrong := strconv.Atoi(strings.TrimSpace(string(text)))
		if err := errors.Join(err, wrong); err != nil {
			t.Fatal(err)
		}

		calls.Store(0)
		for range 50 {
			w.Look()
			w.FindNames()
			time.Sleep(4 * time.Millisecond)
		}
		if err := os.WriteFile(end, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		wait(t, "the end of what was inherited", func() bool {
			w.Look()
			w.FindNames()
			n, err := unix.Wait4(inherited, nil, unix.WNOHANG, nil) // it has been left to us
			if err != nil {
				t.Fatal(err)
			}
			return n == inherited
		})
		if exit, ok := w.ExitNamed(app, true, nil); ok {
			t.Errorf("an inherited process is taken for the program: %+v", exit)
		}
		if calls.Load() != 0 {
			t.Error("its death is reported")
		}
	})
}
