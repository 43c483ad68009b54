package oom

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fake is a machine whose files the tests write.
type fake struct {
	t    testing.TB
	root string
}

// machine is a fake one, of which all cgroups are seen: in the initial namespaces.
func machine(t testing.TB) *fake {
	f := &fake{t: t, root: t.TempDir()}
	f.write("proc/vmstat", "nr_free_pages 1\noom_kill 0\n")
	f.write("proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\n")
	f.link("proc/self/ns/pid", "pid:[4026531836]")
	f.link("proc/self/ns/cgroup", "cgroup:[4026531835]")
	return f
}

func (f *fake) path(name string) string { return filepath.Join(f.root, name) }

func (f *fake) write(name, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fake) link(name, to string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o700); err != nil {
		f.t.Fatal(err)
	}
	_ = os.Remove(f.path(name))
	if err := os.Symlink(to, f.path(name)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fake) remove(name string) {
	f.t.Helper()
	if err := os.RemoveAll(f.path(name)); err != nil {
		f.t.Fatal(err)
	}
}

// mounts writes mountinfo, of lines such as "/ /sys/fs/cgroup cgroup2 rw".
func (f *fake) mounts(lines ...string) {
	var b strings.Builder
	b.WriteString("22 1 8:1 / / rw,relatime - ext4 /dev/sda rw\n")
	for i, line := range lines {
		w := strings.Fields(line)
		fmt.Fprintf(&b, "%d 22 0:%d %s %s rw,relatime shared:4 - %s none %s\n", 30+i, 30+i, w[0], w[1], w[2], w[3])
	}
	f.write("proc/self/mountinfo", b.String())
}

// process writes a process that runs in a cgroup, as the lines of its cgroup file say.
func (f *fake) process(pid int, cgroup string) {
	dir := fmt.Sprintf("proc/%d/", pid)
	f.write(dir+"cgroup", cgroup+"\n")
	f.write(dir+"stat", fmt.Sprintf("%d (a) b c) S 1 1 1 0 -1 4194560 0 0", pid))
	f.write(dir+"status", "Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\n")
}

// kill makes a process one that SIGKILL was sent to.
func (f *fake) kill(pid int) {
	dir := fmt.Sprintf("proc/%d/", pid)
	f.write(dir+"stat", fmt.Sprintf("%d (a) b c) Z 1 1 1 0 -1 4228172 0 0", pid))
	f.write(dir+"status", "Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000100\n")
}

// kills sets what the machine has killed.
func (f *fake) kills(n int) { f.write("proc/vmstat", fmt.Sprintf("nr_free_pages 1\noom_kill %d\n", n)) }

// v2 writes a cgroup of v2; limit is "max" without one.
func (f *fake) v2(dir string, oom, kills int, limit, peak string) {
	f.write(dir+"/memory.events", fmt.Sprintf("low 0\nhigh 0\nmax 7\noom %d\noom_kill %d\noom_group_kill 0\n", oom,
		kills))
	f.write(dir+"/memory.events.local", fmt.Sprintf("low 0\nhigh 0\nmax 7\noom %d\noom_kill %d\noom_group_kill 0\n",
		oom, kills))
	f.write(dir+"/memory.max", limit+"\n")
	if peak != "" {
		f.write(dir+"/memory.peak", peak+"\n")
	}
}

const unlimited = "9223372036854771712"

// v1 writes a cgroup of v1.
func (f *fake) v1(dir string, kills int, limit, peak string) {
	f.write(dir+"/memory.oom_control", fmt.Sprintf("oom_kill_disable 0\nunder_oom 0\noom_kill %d\n", kills))
	f.write(dir+"/memory.limit_in_bytes", limit+"\n")
	f.write(dir+"/memory.max_usage_in_bytes", peak+"\n")
}

func (f *fake) watch() *Watch {
	w := New(f.root)
	f.t.Cleanup(w.Close)
	return w
}

// messages are a kernel's log, read record by record by two descriptors.
type messages struct {
	records []string
	at      [2]int
	reads   int
}

func (m *messages) add(records ...string) { m.records = append(m.records, records...) }

func (m *messages) read(fd int, p []byte) (int, error) {
	m.reads++
	if m.at[fd] == len(m.records) {
		return -1, syscall.EAGAIN
	}
	m.at[fd]++
	return copy(p, m.records[m.at[fd]-1]), nil
}

// withLog gives a Watch a kernel's log.
func withLog(w *Watch) *messages {
	m := new(messages)
	w.log = &kernelLog{
		fd: 0, spare: 1, read: m.read, seek: func(fd int) error { m.at[fd] = len(m.records); return nil },
		shut: func(int) error { return nil }, buf: make([]byte, 8<<10), named: map[int]victim{}, base: w.kills,
	}
	return m
}

// oomRecords are what the kernel logs of a victim; cgroup is empty for the machine.
func oomRecords(pid int, cgroup string) []string {
	if cgroup == "" {
		return []string{
			fmt.Sprintf("6,12,1000,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/a,task=x,pid=%d,uid=0", pid),
			fmt.Sprintf("3,13,1001,-;Out of memory: Killed process %d (x) total-vm:36352kB, anon-rss:26784kB, file-rss:3656kB, shmem-rss:0kB, UID:0 pgtables:112kB oom_score_adj:0", pid),
		}
	}
	return []string{
		fmt.Sprintf("6,12,1000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=%s,task_memcg=%s/t,task=x,pid=%d,uid=0", cgroup, cgroup, pid),
		fmt.Sprintf("3,13,1001,-;Memory cgroup out of memory: Killed process %d (x) total-vm:36352kB, anon-rss:26784kB, file-rss:3656kB, shmem-rss:0kB, UID:0 pgtables:112kB oom_score_adj:0", pid),
	}
}
