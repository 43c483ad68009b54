package oom

import (
	"path"
	"strings"
	"testing"
	"time"
)

// Whatever the files hold: no panic, and no path outside of what is mounted.
func FuzzParse(f *testing.F) {
	f.Add("4:memory:/a\n0::/b", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 none rw", "oom 1\noom_kill 2\n",
		oomRecords(7, "/a")[0])
	f.Add("0::/../x (deleted)", `31 23 0:28 /.. /m\040nt\9 rw - cgroup none rw,memory`, "max\n", oomRecords(7, "")[1])
	f.Add("1:name=systemd:/:\n", "- -", "oom_kill -1", "3,;oom-kill:constraint=,oom_memcg=,pid=,")
	f.Fuzz(func(t *testing.T, cgroup, mountinfo, counters, rec string) {
		name, v2, ok := memoryOf([]byte(cgroup))
		for _, h := range hierarchies([]byte(mountinfo), true) {
			dir, inside := h.dir(name)
			if ok && inside && h.v2 == v2 && dir != path.Clean(h.point) &&
				!strings.HasPrefix(dir, strings.TrimSuffix(path.Clean(h.point), "/")+"/") {
				t.Errorf("%q of %q is in %q", name, h.point, dir)
			}
		}
		counter([]byte(counters), "oom_kill")
		number([]byte(counters))
		cleanName(cgroup)
		l := &kernelLog{named: map[int]victim{}}
		l.record([]byte(rec), time.Time{})
		for pid := range l.named {
			if pid <= 0 {
				t.Errorf("process %d", pid)
			}
		}
	})
}
