package oom

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
)

// The kernel's log decides, where it may be read.
func TestNamed(t *testing.T) {
	t.Run("of two that die at once", func(t *testing.T) {
		f, w := apps(t, 1, 2)
		log := withLog(w)
		f.raise(1)
		log.add(oomRecords(2, "/app")...)
		f.kill(1)
		f.kill(2)
		w.Dead(1, 2)
		check(t, w, 1, nil)
		check(t, w, 2, appRanOut)
	})
	t.Run("a child of the program", func(t *testing.T) {
		f, w := apps(t, 1)
		log := withLog(w)
		f.raise(1)
		log.add(oomRecords(99, "/app")...)
		f.kill(1)
		check(t, w, 1, nil)
	})
	t.Run("not named yet", func(t *testing.T) {
		f, w := apps(t, 1)
		withLog(w)
		f.raise(1)
		f.kill(1)
		check(t, w, 1, appRanOut)
	})
	t.Run("without the line that says where", func(t *testing.T) {
		f, w := apps(t, 1)
		log := withLog(w)
		f.raise(1)
		log.add(oomRecords(1, "/app")[1])
		f.kill(1)
		check(t, w, 1, appRanOut)
	})
	t.Run("the machine", func(t *testing.T) {
		f, w := apps(t, 1)
		log := withLog(w)
		f.raise(1)
		log.add(oomRecords(1, "")...)
		f.kill(1)
		check(t, w, 1, &schema.OOM{Cgroup: "/", Limit: 16 << 20})
	})
	t.Run("in a group it had just moved to", func(t *testing.T) {
		f := machine(t)
		f.mounts("/ /sys/fs/cgroup/memory cgroup rw,memory")
		f.v1("sys/fs/cgroup/memory", 0, unlimited, "1")
		f.v1("sys/fs/cgroup/memory/cage", 0, "500", "500")
		f.process(1, "3:memory:/")
		w := f.watch()
		log := withLog(w)
		w.Follow(1)
		f.kills(1)
		log.add(oomRecords(1, "/cage")...)
		f.kill(1)
		check(t, w, 1, &schema.OOM{Cgroup: "/cage", Limit: 500, Peak: 500})
	})
	t.Run("in a group that is gone", func(t *testing.T) {
		f, w := apps(t, 1)
		log := withLog(w)
		f.kills(1)
		f.remove("sys/fs/cgroup/app")
		log.add(oomRecords(1, "/app")...)
		f.kill(1)
		check(t, w, 1, appRanOut)
	})
	t.Run("without cgroups", func(t *testing.T) {
		f := machine(t)
		f.mounts()
		f.process(1, "0::/")
		w := f.watch()
		log := withLog(w)
		w.Follow(1)
		f.kills(1)
		log.add(oomRecords(1, "")...)
		f.kill(1)
		check(t, w, 1, &schema.OOM{Cgroup: "/", Limit: 16 << 20})
	})
	t.Run("earlier, before the look", func(t *testing.T) {
		f, w := apps(t, 1)
		log := withLog(w)
		f.raise(1)
		log.add(oomRecords(1, "/app")...)
		f.kill(1)
		w.Look()
		w.Look()
		check(t, w, 1, appRanOut)
	})
	t.Run("another's name is gone with its rise", func(t *testing.T) {
		f, w := apps(t, 1)
		log := withLog(w)
		f.raise(1)
		log.add(oomRecords(99, "/app")...)
		w.Look()
		f.kill(1)
		check(t, w, 1, nil)
	})
}

// While nobody is killed nothing is read, and the log that was skipped had no victim.
func TestQuietLog(t *testing.T) {
	f, w := apps(t, 1)
	log := withLog(w)
	for range 3 {
		log.add("6,1,1,-;noise")
		w.Look()
	}
	if log.reads != 0 {
		t.Errorf("%d reads", log.reads)
	}
	f.raise(1)
	log.add(oomRecords(1, "/app")...)
	w.Look()
	if len(w.log.named) != 1 || log.reads != 3 {
		t.Errorf("%d named after %d reads", len(w.log.named), log.reads)
	}
}

// A log that never says EAGAIN, or whose oldest records are lost, ends nothing.
func TestBoundedLog(t *testing.T) {
	_, w := apps(t)
	withLog(w)
	reads := 0
	w.log.read = func(_ int, p []byte) (int, error) {
		if reads++; reads%3 == 0 {
			return -1, syscall.EPIPE
		}
		return copy(p, oomRecords(reads, "/x")[1]), nil
	}
	w.log.drain(time.Now())
	if reads > maxRecords || len(w.log.named) > maxNamed {
		t.Errorf("%d reads, %d named", reads, len(w.log.named))
	}
	w.log.read = new(messages).read
	w.log.drain(time.Now().Add(2 * namedFor))
	if len(w.log.named) != 0 {
		t.Error("victims are remembered for good")
	}
}

func TestRecords(t *testing.T) {
	const tail = " (x) total-vm:36352kB, anon-rss:1kB"
	for _, tt := range []struct {
		name, rec string
		pid       int
		machine   bool
	}{
		{name: "a cgroup", rec: "3,1,2,-;Memory cgroup out of memory: Killed process 7" + tail, pid: 7},
		{
			name: "a name that ends in digits",
			rec:  "3,1,2,-;Memory cgroup out of memory: Killed process 7 (8 (9) total-vm:1kB",
			pid:  7,
		},
		{
			name:    "the machine",
			rec:     "3,1,2,-;Out of memory: Killed process 7" + tail + "\n SUBSYSTEM=x\n",
			pid:     7,
			machine: true,
		},
		{
			name:    "the machine, who asked",
			rec:     "3,1,2,c;Out of memory (oom_kill_allocating_task): Killed process 7" + tail,
			pid:     7,
			machine: true,
		},
		{name: "before Linux 5.0", rec: "3,1,2,-;Killed process 7" + tail, pid: 7},
		{
			name: "written by a program",
			rec:  "11,1,2,-;Memory cgroup out of memory: Killed process 7" + tail,
		},
		{name: "in a text", rec: "3,1,2,-;x: Killed process 7" + tail},
		{name: "a program of that name", rec: "6,1,2,-;Killed process [7]: segfault at 0 ip 0"},
		{name: "not a number", rec: "3,1,2,-;Killed process x" + tail},
		{name: "zero", rec: "3,1,2,-;Killed process 0" + tail},
		{name: "no head", rec: "Killed process 7" + tail},
		{name: "cut", rec: "3,1,2"},
	} {
		l := &kernelLog{named: map[int]victim{}}
		l.record([]byte(tt.rec), time.Time{})
		want := map[int]victim{}
		if tt.pid != 0 {
			want[tt.pid] = victim{machine: tt.machine}
		}
		if diff := cmp.Diff(want, l.named, cmp.AllowUnexported(victim{})); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}

	for _, tt := range []struct {
		text, cgroup string
		pid          int
	}{
		{"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,task_memcg=/a/b,task=x,pid=7,uid=0", "/a", 7},
		{"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,task_memcg=/a/b,task=,pid=6,,pid=7,uid=0", "/a", 7},
		{"oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=x,pid=7,uid=0", "", 7},
		{"oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/a", "", 0},
		{"oom-kill:constraint=,pid=", "", 0},
	} {
		if pid, cgroup, _ := ranOutIn([]byte(tt.text)); pid != tt.pid || pid != 0 && cgroup != tt.cgroup {
			t.Errorf("%s: %d %s", tt.text, pid, cgroup)
		}
	}
}

// A log in another namespace of processes names others; what is no log is not taken
// for one.
func TestNoLog(t *testing.T) {
	f := machine(t)
	f.mounts()
	f.write("dev/kmsg", "")
	if f.watch().Stats().Log {
		t.Error("an empty file is a log")
	}
	f.write("dev/kmsg", strings.Repeat("3,1,2,-;Killed process 7 (x) total-vm:1kB\n", 3))
	if f.watch().Stats().Log {
		t.Error("a file is a log")
	}
	f.remove("dev/kmsg")
	f.link("dev/kmsg", "/dev/null")
	if f.watch().Stats().Log {
		t.Error("/dev/null is a log")
	}
	f.link("proc/self/ns/pid", "pid:[4026532600]")
	f.link("dev/kmsg", "/dev/kmsg")
	if f.watch().Stats().Log {
		t.Error("another namespace's log")
	}
}
