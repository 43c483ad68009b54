package oom

import (
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
)

const kill = syscall.SIGKILL

var appRanOut = &schema.OOM{Cgroup: "/app", Limit: 1000, Peak: 1000}

// apps is a machine with a cgroup of v2 and processes in it.
func apps(t testing.TB, pids ...int) (*fake, *Watch) {
	f := machine(t)
	f.mounts("/ /sys/fs/cgroup cgroup2 rw")
	f.v2("sys/fs/cgroup/app", 0, 0, "1000", "1000")
	w := f.watch()
	for _, pid := range pids {
		f.process(pid, "0::/app")
		w.Follow(pid)
	}
	return f, w
}

// raise has the kernel count n processes of the cgroup that it killed for want of memory.
func (f *fake) raise(n int) {
	f.v2("sys/fs/cgroup/app", n, n, "1000", "1000")
	f.kills(n)
}

// check reports a death, and compares what is said of it.
func check(t *testing.T, w *Watch, pid int, want *schema.OOM) {
	t.Helper()
	w.Dead(pid)
	if diff := cmp.Diff(want, w.Died(pid, kill)); diff != "" {
		t.Errorf("process %d: (-want +got)\n%s", pid, diff)
	}
}

// scene is the machine of apps with some processes, whose ids are 1, 2, ….
type scene struct {
	*testing.T
	*fake
	w *Watch
	// log is the kernel's, nil if it may not be read.
	log *messages
}

// A step happens in a scene, or asks for something.
type step func(s *scene)

// play plays steps with some processes, and with the kernel's log if it may be read.
func play(t *testing.T, processes int, readable bool, steps ...step) {
	t.Helper()
	s := &scene{T: t}
	s.fake, s.w = apps(t, []int{1, 2, 3}[:processes]...)
	if readable {
		s.log = withLog(s.w)
	}
	for _, do := range steps {
		s.Helper()
		do(s)
	}
}

// What happens.

func rise(n int) step            { return func(s *scene) { s.raise(n) } }
func die(pid int) step           { return func(s *scene) { s.fake.kill(pid) } }
func reaped(pid int) step        { return func(s *scene) { s.remove("proc/" + string(rune('0'+pid))) } }
func loses(cgroup string) step   { return func(s *scene) { s.remove(cgroup) } }
func kills(n int) step           { return func(s *scene) { s.fake.kills(n) } }
func pause(d time.Duration) step { return func(*scene) { time.Sleep(d) } }

// logged has the kernel log that a process of a cgroup was killed, and which cgroup had no
// memory.
func logged(pid int, cgroup string) step {
	return func(s *scene) { s.log.add(oomRecords(pid, cgroup)...) }
}

// What is done.

func report(pids ...int) step { return func(s *scene) { s.w.Dead(pids...) } }
func forget(pid int) step     { return func(s *scene) { s.w.Forget(pid) } }
func look() step              { return func(s *scene) { s.w.Look() } }

// lookFor looks as often as Run does, for a while.
func lookFor(times int) step {
	return func(s *scene) {
		for range times {
			s.w.Look()
			time.Sleep(lookEvery)
		}
	}
}

// What is said.

// ask reports a death by SIGKILL, and wants to hear of it.
func ask(pid int, want *schema.OOM) step {
	return func(s *scene) { s.Helper(); check(s.T, s.w, pid, want) }
}

// died wants to hear of a death by a signal that was, or was not, reported before.
func died(pid int, signal syscall.Signal, want *schema.OOM) step {
	return func(s *scene) {
		s.Helper()
		if diff := cmp.Diff(want, s.w.Died(pid, signal)); diff != "" {
			s.Errorf("process %d by %v: (-want +got)\n%s", pid, signal, diff)
		}
	}
}

// counted wants counters.
func counted(outOfMemory, unclear uint64) step {
	return func(s *scene) {
		s.Helper()
		if got := s.w.Stats(); got.OutOfMemory != outOfMemory || got.Unclear != unclear {
			s.Errorf("counted are %+v, want %d out of memory and %d unclear", got, outOfMemory, unclear)
		}
	}
}
