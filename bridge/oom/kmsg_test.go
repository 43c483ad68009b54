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
	machineRanOut := &schema.OOM{Cgroup: "/", Limit: 16 << 20}
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{name: "a child of the program", steps: []step{rise(1), logged(99, "/app"), die(1), ask(1, nil)}},
		{name: "another's name is gone with its rise", steps: []step{
			rise(1), logged(99, "/app"), look(), die(1), ask(1, nil),
		}},
		{name: "earlier, before the look", steps: []step{
			rise(1), logged(1, "/app"), die(1), look(), look(), ask(1, appRanOut),
		}},
		{name: "not named yet", steps: []step{rise(1), die(1), ask(1, appRanOut)}},
		{name: "without the line that says where", steps: []step{
			rise(1), func(s *scene) { s.log.add(oomRecords(1, "/app")[1]) }, die(1), ask(1, appRanOut),
		}},
		{name: "the machine", steps: []step{rise(1), logged(1, ""), die(1), ask(1, machineRanOut)}},
		{name: "in a group that is gone", steps: []step{
			kills(1), loses("sys/fs/cgroup/app"), logged(1, "/app"), die(1), ask(1, appRanOut),
		}},
	} {
		t.Run(tc.name, func(t *testing.T) { play(t, 1, true, tc.steps...) })
	}
	t.Run("of two that die at once", func(t *testing.T) {
		play(t, 2, true, rise(1), logged(2, "/app"), die(1), die(2), report(1, 2), ask(1, nil), ask(2, appRanOut))
	})

	for _, tc := range []struct {
		name   string
		runs   string // the process's line of /proc/PID/cgroup
		before func(f *fake)
		cgroup string // named by the log; empty: the machine
		want   *schema.OOM
	}{
		{name: "in a group it had just moved to", runs: "3:memory:/", before: func(f *fake) {
			f.mounts("/ /sys/fs/cgroup/memory cgroup rw,memory")
			f.v1("sys/fs/cgroup/memory", 0, unlimited, "1")
			f.v1("sys/fs/cgroup/memory/cage", 0, "500", "500")
		}, cgroup: "/cage", want: &schema.OOM{Cgroup: "/cage", Limit: 500, Peak: 500}},
		{name: "without cgroups", runs: "0::/", before: func(f *fake) { f.mounts() }, want: machineRanOut},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := machine(t)
			tc.before(f)
			f.process(1, tc.runs)
			w := f.watch()
			log := withLog(w)
			w.Follow(1)
			f.kills(1)
			log.add(oomRecords(1, tc.cgroup)...)
			f.kill(1)
			check(t, w, 1, tc.want)
		})
	}
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
		{
			text:   "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,task_memcg=/a/b,task=x,pid=7,uid=0",
			cgroup: "/a", pid: 7,
		},
		{
			text:   "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,task_memcg=/a/b,task=,pid=6,,pid=7,uid=0",
			cgroup: "/a", pid: 7,
		},
		{
			text: "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=x,pid=7,uid=0",
			pid:  7,
		},
		{text: "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/a"},
		{text: "oom-kill:constraint=,pid="},
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
