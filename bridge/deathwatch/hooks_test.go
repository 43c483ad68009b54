package deathwatch

import (
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Each process is reported once when it is watched, and once when it has died, before
// it is reaped.
func TestAddedAndDead(t *testing.T) {
	each(t, func(t *testing.T, change func(*Config)) {
		var mu sync.Mutex
		var added, dead []int
		w, _ := start(t, change, func(c *Config) {
			c.Added = func(pids []int) { mu.Lock(); defer mu.Unlock(); added = append(added, pids...) }
			c.Dead = func(pids []int) { mu.Lock(); defer mu.Unlock(); dead = append(dead, pids...) }
		})
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pid := cmd.Process.Pid
		w.Add(pid, Name{Group: "p", Process: "p"})
		w.Add(pid, Name{Group: "p", Process: "p"})

		_ = syscall.Kill(pid, syscall.SIGKILL)
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			mu.Lock()
			n := len(dead)
			mu.Unlock()
			if n > 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatal("the death is not reported")
			}
		}
		_ = cmd.Wait()
		w.Exit(pid, Name{Group: "p", Process: "p"})
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff([][]int{{pid}, {pid}}, [][]int{added, dead}); diff != "" {
			t.Error(diff)
		}
	})
}
