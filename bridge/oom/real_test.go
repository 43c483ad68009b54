package oom

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"supernats/schema"
)

const cageLimit = 24 << 20

// cage makes a real cgroup with a limit, below ours. It skips the test where that is
// not allowed, as in most containers and without root.
func cage(t *testing.T) (name, dir string) {
	t.Helper()
	w := New("/")
	defer w.Close()
	w.Follow(os.Getpid())
	g := w.alive[os.Getpid()].group
	if g == nil {
		t.Skip("no cgroup of this process with memory counters is seen here (no controller, or not mounted)")
	}
	name = filepath.Join(g.name, fmt.Sprintf("supernats-test-%d", os.Getpid()))
	dir = filepath.Join(g.dir, filepath.Base(name))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("no cgroup can be made here (it takes root, and a hierarchy that is not read-only): %v", err)
	}
	t.Cleanup(func() {
		for range 100 { // it is busy until its last process has gone
			if os.Remove(dir) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("cannot remove %s", dir)
	})
	if err := os.WriteFile(filepath.Join(dir, g.h.limitFile()), []byte(fmt.Sprint(cageLimit)), 0); err != nil {
		t.Skipf("the memory controller is not delegated here: %v", err)
	}
	// Without this, v2 and v1 with swap would use that up first.
	_ = os.WriteFile(filepath.Join(dir, "memory.swap.max"), []byte("0"), 0)
	_ = os.WriteFile(filepath.Join(dir, "memory.memsw.limit_in_bytes"), []byte(fmt.Sprint(cageLimit)), 0)
	return name, dir
}

// caged starts a program in a cgroup, which waits for a line before it goes on.
func caged(t *testing.T, dir, program string) (pid int, goOn, reap func()) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `echo $$ >"$0/cgroup.procs" && echo ready && read x && `+program, dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reap = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(reap)
	if n, err := out.Read(make([]byte, 16)); n == 0 {
		t.Fatalf("the program is not in its cgroup: %v", err)
	}
	return cmd.Process.Pid, func() { fmt.Fprintln(in) }, reap
}

// hungry takes memory until there is no more: it waits for the end of a line.
const hungry = "exec tail /dev/zero"

// zombie waits until a process has died.
func zombie(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if strings.Contains(string(text), ") Z ") {
			return
		}
	}
	t.Fatalf("process %d does not die", pid)
}

func checkReal(t *testing.T, out *schema.OOM, name string) {
	t.Helper()
	if out == nil {
		t.Fatal("it is not said that memory ran out")
	}
	if out.Cgroup != name || out.Limit != cageLimit || out.Peak < cageLimit*9/10 || out.Peak > cageLimit {
		t.Errorf("memory ran out in %+v, want %s", out, name)
	}
}

// The real thing, with and without the kernel's log: what eats its memory up is
// reported, and who is killed by hand is not.
func TestReal(t *testing.T) {
	name, dir := cage(t)
	for _, log := range []bool{true, false} {
		t.Run(fmt.Sprintf("log %v", log), func(t *testing.T) {
			w := New("/")
			defer w.Close()
			if log && w.log == nil {
				t.Skip("/dev/kmsg cannot be read here, or it is another namespace's of processes")
			}
			if !log && w.log != nil {
				w.log.close()
				w.log = nil
			}

			plain, _, reapPlain := caged(t, dir, "read x")
			w.Follow(plain)
			_ = syscall.Kill(plain, syscall.SIGKILL)
			zombie(t, plain)
			w.Dead(plain)
			reapPlain()
			if out := w.Died(plain, kill); out != nil {
				t.Errorf("kill -9 ran out of memory: %+v", out)
			}

			pid, goOn, reap := caged(t, dir, hungry)
			w.Follow(pid)
			goOn()
			zombie(t, pid)
			w.Dead(pid)
			reap()
			checkReal(t, w.Died(pid, kill), name)

			plain, _, reapPlain = caged(t, dir, "read x")
			w.Follow(plain)
			_ = syscall.Kill(plain, syscall.SIGKILL)
			reapPlain()
			if out := w.Died(plain, kill); out != nil {
				t.Errorf("kill -9 ran out of memory: %+v", out)
			}
		})
	}
}

// A program that is reaped before anybody has looked, and one that moves itself while
// it is followed.
func TestRealMoves(t *testing.T) {
	name, dir := cage(t)
	w := New("/")
	defer w.Close()
	go func() { _ = w.Run(t.Context()) }()
	if w.log != nil {
		w.log.close()
		w.log = nil
	}

	cmd := exec.Command("sh", "-c", `read x; echo $$ >"$0/cgroup.procs" && read x && `+hungry, dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	pid := cmd.Process.Pid
	w.Follow(pid)
	fmt.Fprintln(in)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		g := w.alive[pid].group
		w.mu.Unlock()
		if g.name == name {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the program is seen in %s", g.name)
		}
	}
	fmt.Fprintln(in)
	_ = cmd.Wait()
	checkReal(t, w.Died(pid, kill), name)
}

// Two die at once, one of them by hand: the kernel's log says which, and without it
// neither is said.
func TestRealTwo(t *testing.T) {
	name, dir := cage(t)
	for _, log := range []bool{true, false} {
		t.Run(fmt.Sprintf("log %v", log), func(t *testing.T) {
			w := New("/")
			defer w.Close()
			if log && w.log == nil {
				t.Skip("/dev/kmsg cannot be read here, or it is another namespace's of processes")
			}
			if !log && w.log != nil {
				w.log.close()
				w.log = nil
			}
			victim, goOn, _ := caged(t, dir, hungry)
			other, _, _ := caged(t, dir, "read x")
			w.Follow(victim)
			w.Follow(other)
			goOn()
			zombie(t, victim)
			_ = syscall.Kill(other, syscall.SIGKILL)
			zombie(t, other)
			w.Dead(other, victim)
			if out := w.Died(other, kill); out != nil {
				t.Errorf("kill -9 ran out of memory: %+v", out)
			}
			out := w.Died(victim, kill)
			if log {
				checkReal(t, out, name)
			} else if out != nil {
				t.Errorf("the victim is guessed: %+v", out)
			}
		})
	}
}
