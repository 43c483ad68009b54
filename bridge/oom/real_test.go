package oom

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"supernats/bridge/oom/oomtest"
	"supernats/schema"
)

// caged starts a program in a cgroup, which waits for a line before it continues.
func caged(t *testing.T, c *oomtest.Cage, program string) (pid int, goOn, reap func()) {
	t.Helper()
	cmd := exec.Command("sh", "-c", c.Enter()+" && echo ready && read x && "+program)
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

const hungry = "exec " + oomtest.Hungry

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

func checkReal(t *testing.T, out *schema.OOM, c *oomtest.Cage) {
	t.Helper()
	if out == nil {
		t.Fatal("it is not said that memory ran out")
	}
	if out.Cgroup != c.Name || out.Limit != c.Limit || out.Peak < c.Limit*9/10 || out.Peak > c.Limit {
		t.Errorf("memory ran out in %+v, want %+v", out, c)
	}
}

// watchReal watches this machine, with the kernel's log or without it.
func watchReal(t *testing.T, log bool) *Watch {
	t.Helper()
	w := New("/")
	t.Cleanup(w.Close)
	if log && w.log == nil {
		t.Skip("/dev/kmsg cannot be read here, or it is another namespace's of processes")
	}
	if !log && w.log != nil {
		w.log.close()
		w.log = nil
	}
	return w
}

// The real thing, with and without the kernel's log: what eats its memory up is
// reported, and who is killed by hand is not.
func TestReal(t *testing.T) {
	c := oomtest.New(t)
	for _, log := range []bool{true, false} {
		t.Run(fmt.Sprintf("log %v", log), func(t *testing.T) {
			w := watchReal(t, log)

			byHand := func(reported bool) {
				t.Helper()
				plain, _, reap := caged(t, c, "read x")
				w.Follow(plain)
				_ = syscall.Kill(plain, syscall.SIGKILL)
				if reported {
					zombie(t, plain)
					w.Dead(plain)
				}
				reap()
				if out := w.Died(plain, kill); out != nil {
					t.Errorf("kill -9 ran out of memory: %+v", out)
				}
			}
			byHand(true)

			pid, goOn, reap := caged(t, c, hungry)
			w.Follow(pid)
			goOn()
			zombie(t, pid)
			w.Dead(pid)
			reap()
			checkReal(t, w.Died(pid, kill), c)

			byHand(false)
		})
	}
}

// A program that is reaped before anybody has looked, and one that moves itself while
// it is followed.
func TestRealMoves(t *testing.T) {
	c := oomtest.New(t)
	w := watchReal(t, false)
	go func() { _ = w.Run(t.Context()) }()

	cmd := exec.Command("sh", "-c", "read x; "+c.Enter()+" && read x && "+hungry)
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
		if g != nil && g.name == c.Name {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the program is seen in %+v", g)
		}
	}
	fmt.Fprintln(in)
	_ = cmd.Wait()
	checkReal(t, w.Died(pid, kill), c)
}

// Two die at once, one of them by hand: the kernel's log says which, and without it
// neither is said.
func TestRealTwo(t *testing.T) {
	c := oomtest.New(t)
	for _, log := range []bool{true, false} {
		t.Run(fmt.Sprintf("log %v", log), func(t *testing.T) {
			w := watchReal(t, log)
			victim, goOn, _ := caged(t, c, hungry)
			other, _, _ := caged(t, c, "read x")
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
				checkReal(t, out, c)
			} else if out != nil {
				t.Errorf("the victim is guessed: %+v", out)
			}
		})
	}
}
