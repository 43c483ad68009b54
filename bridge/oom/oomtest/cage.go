// Package oomtest makes real cgroups with little memory, for tests of what happens when
// that runs out.
package oomtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Hungry is a command line that takes memory until there is no more: it waits for the
// end of a line.
const Hungry = "tail /dev/zero"

// Cage is a cgroup with a limit.
type Cage struct {
	// Name is that of /proc/PID/cgroup, Dir where it is found.
	Name, Dir string
	// Limit is in bytes.
	Limit uint64
}

var cages atomic.Uint64

// New makes a cgroup that the test removes. It skips the test, and says why, where none
// can be made: without root, in most containers.
func New(t testing.TB) *Cage {
	t.Helper()
	c, err := open()
	if err != nil {
		t.Skipf("no cgroup with a limit can be made here, so nothing real runs out of memory: %v", err)
	}
	t.Cleanup(func() {
		for range 250 { // it is busy until its last process has gone
			if err = os.Remove(c.Dir); err == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("remove the cgroup: %v", err)
	})
	return c
}

// Enter is a command line for sh that moves it into the cgroup.
func (c *Cage) Enter() string { return "echo $$ >" + filepath.Join(c.Dir, "cgroup.procs") }

func open() (*Cage, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}

	own, v2 := "", false
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		if slices.Contains(strings.Split(parts[1], ","), "memory") {
			own, v2 = parts[2], false
			break
		}
		if parts[0] == "0" {
			own, v2 = parts[2], true
		}
	}

	if v2 {
		return openV2(own)
	}
	return make1("/sys/fs/cgroup/memory", own, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
}

// openV2 makes a cgroup beside ours: one with processes cannot limit those below it.
func openV2(own string) (c *Cage, err error) {
	const mount = "/sys/fs/cgroup"
	for dir := own; ; dir = filepath.Dir(dir) {
		text, readErr := os.ReadFile(filepath.Join(mount, dir, "cgroup.subtree_control"))
		if readErr != nil {
			return nil, readErr
		}
		if slices.Contains(strings.Fields(string(text)), "memory") {
			return make1(mount, dir, "memory.max", "memory.swap.max")
		}
		if dir == "/" {
			return nil, fmt.Errorf("%s has no memory controller for the cgroups below it", mount)
		}
	}
}

func make1(mount, parent, limit, swap string) (*Cage, error) {
	name := filepath.Join(parent, fmt.Sprintf("supernats-test-%d-%d", os.Getpid(), cages.Add(1)))
	c := &Cage{Name: name, Dir: filepath.Join(mount, name), Limit: 24 << 20}
	if err := os.Mkdir(c.Dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(c.Dir, limit), fmt.Append(nil, c.Limit), 0); err != nil {
		_ = os.Remove(c.Dir)
		return nil, err
	}
	// Or it would be swapped out first. In v1 this is memory and swap, in v2 swap.
	most := c.Limit
	if swap == "memory.swap.max" {
		most = 0
	}
	_ = os.WriteFile(filepath.Join(c.Dir, swap), fmt.Append(nil, most), 0)
	return c, nil
}
