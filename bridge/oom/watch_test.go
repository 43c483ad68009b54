package oom

import (
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/schema"
)

const kill = syscall.SIGKILL

// check dies a process and compares.
func check(t *testing.T, w *Watch, pid int, want *schema.OOM) {
	t.Helper()
	w.Dead(pid)
	if diff := cmp.Diff(want, w.Died(pid, kill)); diff != "" {
		t.Errorf("process %d: (-want +got)\n%s", pid, diff)
	}
}

// Where memory ran out, in all the ways in which cgroups are mounted and named.
func TestWhere(t *testing.T) {
	const v2, v1 = "/ /sys/fs/cgroup cgroup2 rw,nsdelegate", "/ /sys/fs/cgroup/memory cgroup rw,memory"
	for _, tt := range []struct {
		name   string
		before func(f *fake)
		runs   string // in which cgroup
		after  func(f *fake)
		want   *schema.OOM
	}{
		{
			name: "v2, its own limit", runs: "0::/app",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/app", 1, 1, "1000", "990") },
			after:  func(f *fake) { f.v2("sys/fs/cgroup/app", 2, 2, "1000", "1000") },
			want:   &schema.OOM{Cgroup: "/app", Limit: 1000, Peak: 1000},
		},
		{
			name: "v2, not raised", runs: "0::/app",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/app", 1, 1, "1000", "990") },
			after:  func(*fake) {},
		},
		{
			name: "v2, somebody below", runs: "0::/app",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/app", 1, 1, "1000", "990") },
			after: func(f *fake) {
				f.write("sys/fs/cgroup/app/memory.events", "oom 2\noom_kill 2\n")
			},
		},
		{
			name: "v2, the limit of a group above", runs: "0::/slice/app",
			before: func(f *fake) {
				f.mounts(v2)
				f.v2("sys/fs/cgroup/slice", 0, 0, "5000", "1")
				f.v2("sys/fs/cgroup/slice/app", 1, 1, "max", "1")
			},
			after: func(f *fake) {
				f.v2("sys/fs/cgroup/slice", 1, 0, "5000", "4999")
				f.v2("sys/fs/cgroup/slice/app", 1, 2, "max", "2000")
			},
			want: &schema.OOM{Cgroup: "/slice", Limit: 5000, Peak: 4999},
		},
		{
			name: "v2, a group without the controller", runs: "0::/app/inner/most",
			before: func(f *fake) {
				f.mounts(v2)
				f.v2("sys/fs/cgroup/app", 0, 0, "1000", "1")
				f.write("sys/fs/cgroup/app/inner/most/cgroup.procs", "")
			},
			after: func(f *fake) { f.v2("sys/fs/cgroup/app", 1, 1, "1000", "1000") },
			want:  &schema.OOM{Cgroup: "/app", Limit: 1000, Peak: 1000},
		},
		{
			name: "v2 before memory.peak and memory.events.local", runs: "0::/app",
			before: func(f *fake) {
				f.mounts(v2)
				f.v2("sys/fs/cgroup/app", 0, 0, "1000", "")
				f.remove("sys/fs/cgroup/app/memory.events.local")
			},
			after: func(f *fake) { f.write("sys/fs/cgroup/app/memory.events", "oom 1\noom_kill 1\n") },
			want:  &schema.OOM{Cgroup: "/app", Limit: 1000, Peak: 1000},
		},
		{
			name: "v2, the machine", runs: "0::/app",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/app", 3, 0, "max", "1") },
			after:  func(f *fake) { f.v2("sys/fs/cgroup/app", 3, 1, "max", "2000") },
			want:   &schema.OOM{Cgroup: "/", Limit: 16 << 20},
		},
		{
			name: "v2, the root", runs: "0::/",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/other", 0, 0, "max", "1") },
			after:  func(f *fake) { f.kills(1) },
			want:   &schema.OOM{Cgroup: "/", Limit: 16 << 20},
		},
		{
			name: "v2, the root, and another group's", runs: "0::/",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/other", 0, 0, "max", "1") },
			after:  func(f *fake) { f.kills(1); f.v2("sys/fs/cgroup/other", 1, 1, "max", "1") },
		},
		{
			name: "v2, the root, and another group's that is gone", runs: "0::/",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/other", 0, 0, "max", "1") },
			after:  func(f *fake) { f.kills(1); f.remove("sys/fs/cgroup/other") },
		},
		{
			name: "v2, a container's own namespace", runs: "0::/",
			before: func(f *fake) {
				f.link("proc/self/ns/cgroup", "cgroup:[4026532599]")
				f.mounts(v2)
				f.v2("sys/fs/cgroup", 0, 0, "1000", "1")
			},
			after: func(f *fake) { f.v2("sys/fs/cgroup", 1, 1, "1000", "1000") },
			want:  &schema.OOM{Cgroup: "/", Limit: 1000, Peak: 1000},
		},
		{
			name: "v2, a limit outside of the container", runs: "0::/",
			before: func(f *fake) {
				f.link("proc/self/ns/cgroup", "cgroup:[4026532599]")
				f.mounts(v2)
				f.v2("sys/fs/cgroup", 0, 0, "5000", "1")
			},
			after: func(f *fake) { f.v2("sys/fs/cgroup", 0, 1, "5000", "1000") },
			want:  &schema.OOM{Cgroup: "/", Peak: 1000},
		},
		{
			name: "v2, a process outside of the container", runs: "0::/../other",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/other", 0, 0, "5000", "1") },
			after:  func(f *fake) { f.v2("sys/fs/other", 1, 1, "5000", "1") },
		},
		{
			name: "v2, mounted from outside of the namespace", runs: "0::/../app",
			before: func(f *fake) {
				f.mounts("/.. /sys/fs/cgroup cgroup2 rw")
				f.v2("sys/fs/cgroup/app", 0, 0, "5000", "1")
			},
			after: func(f *fake) { f.v2("sys/fs/cgroup/app", 1, 1, "5000", "5000") },
			want:  &schema.OOM{Cgroup: "/../app", Limit: 5000, Peak: 5000},
		},
		{
			name: "v1, its own limit", runs: "4:cpu,cpuacct:/\n3:memory:/app\n0::/",
			before: func(f *fake) {
				f.mounts(v1)
				f.v1("sys/fs/cgroup/memory", 0, unlimited, "1")
				f.v1("sys/fs/cgroup/memory/app", 0, "1000", "1")
			},
			after: func(f *fake) { f.v1("sys/fs/cgroup/memory/app", 1, "1000", "1000") },
			want:  &schema.OOM{Cgroup: "/app", Limit: 1000, Peak: 1000},
		},
		{
			name: "v1, the limit of a group above", runs: "3:memory:/slice/app",
			before: func(f *fake) {
				f.mounts(v1)
				f.v1("sys/fs/cgroup/memory/slice", 0, "5000", "5000")
				f.v1("sys/fs/cgroup/memory/slice/app", 0, "4000", "1")
			},
			after: func(f *fake) { f.v1("sys/fs/cgroup/memory/slice/app", 1, "4000", "3000") },
			want:  &schema.OOM{Cgroup: "/slice", Limit: 5000, Peak: 5000},
		},
		{
			name: "v1, the machine", runs: "3:memory:/app",
			before: func(f *fake) { f.mounts(v1); f.v1("sys/fs/cgroup/memory/app", 0, unlimited, "1") },
			after:  func(f *fake) { f.v1("sys/fs/cgroup/memory/app", 1, unlimited, "3000") },
			want:   &schema.OOM{Cgroup: "/", Limit: 16 << 20},
		},
		{
			name: "v1, a container without a namespace", runs: "3:memory:/docker/a1\n0::/docker/a1",
			before: func(f *fake) {
				f.mounts("/docker/a1 /sys/fs/cgroup/memory cgroup ro,memory")
				f.v1("sys/fs/cgroup/memory", 0, "1000", "1")
			},
			after: func(f *fake) { f.v1("sys/fs/cgroup/memory", 1, "1000", "1000") },
			want:  &schema.OOM{Cgroup: "/docker/a1", Limit: 1000, Peak: 1000},
		},
		{
			name: "v1, a name that begins like the container's", runs: "3:memory:/docker/a12",
			before: func(f *fake) {
				f.mounts("/docker/a1 /sys/fs/cgroup/memory cgroup ro,memory")
				f.v1("sys/fs/cgroup/memory2", 0, "1000", "1")
			},
			after: func(f *fake) { f.v1("sys/fs/cgroup/memory2", 1, "1000", "1000") },
		},
		{
			name: "hybrid: memory in v1", runs: "3:memory:/app\n0::/app",
			before: func(f *fake) {
				f.mounts("/ /sys/fs/cgroup/unified cgroup2 rw", v1)
				f.write("sys/fs/cgroup/unified/app/cgroup.procs", "")
				f.v1("sys/fs/cgroup/memory/app", 0, "1000", "1")
			},
			after: func(f *fake) { f.v1("sys/fs/cgroup/memory/app", 1, "1000", "1000") },
			want:  &schema.OOM{Cgroup: "/app", Limit: 1000, Peak: 1000},
		},
		{
			name: "hybrid: memory in v2", runs: "3:cpu:/\n0::/app",
			before: func(f *fake) {
				f.mounts("/ /sys/fs/cgroup/cpu cgroup rw,cpu", "/ /sys/fs/cgroup/uni\\040fied cgroup2 rw")
				f.v2("sys/fs/cgroup/uni fied/app", 0, 0, "1000", "1")
			},
			after: func(f *fake) { f.v2("sys/fs/cgroup/uni fied/app", 1, 1, "1000", "1000") },
			want:  &schema.OOM{Cgroup: "/app", Limit: 1000, Peak: 1000},
		},
		{
			name: "no cgroups", runs: "0::/app",
			before: func(f *fake) { f.mounts() },
			after:  func(f *fake) { f.kills(1) },
		},
		{
			name: "before oom_kill", runs: "0::/app",
			before: func(f *fake) {
				f.mounts(v2)
				f.v2("sys/fs/cgroup/app", 0, 0, "1000", "1")
				f.write("sys/fs/cgroup/app/memory.events.local", "oom 0\n")
				f.write("proc/vmstat", "nr_free_pages 1\n")
			},
			after: func(f *fake) { f.write("sys/fs/cgroup/app/memory.events.local", "oom 1\n") },
		},
		{
			name: "the group is gone", runs: "0::/app",
			before: func(f *fake) { f.mounts(v2); f.v2("sys/fs/cgroup/app", 0, 0, "1000", "1") },
			after:  func(f *fake) { f.kills(1); f.remove("sys/fs/cgroup/app") },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := machine(t)
			tt.before(f)
			f.process(70, tt.runs)
			w := f.watch()
			w.Follow(70)

			tt.after(f)
			f.kill(70)
			check(t, w, 70, tt.want)
			if s := w.Stats(); s.Processes != 0 || s.Groups != 0 {
				t.Errorf("%+v is left", s)
			}
		})
	}
}

// apps is a machine with a cgroup of v2 and processes in it.
func apps(t *testing.T, pids ...int) (*fake, *Watch) {
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

func (f *fake) raise(n int) {
	f.v2("sys/fs/cgroup/app", n, n, "1000", "1000")
	f.kills(n)
}

var appRanOut = &schema.OOM{Cgroup: "/app", Limit: 1000, Peak: 1000}

// One was killed for want of memory, and another by hand, and nothing says which.
func TestTwoDie(t *testing.T) {
	t.Run("by hand first", func(t *testing.T) {
		f, w := apps(t, 1, 2)
		f.kill(1)
		check(t, w, 1, nil)
		f.raise(1)
		f.kill(2)
		check(t, w, 2, appRanOut)
	})
	t.Run("by hand later", func(t *testing.T) {
		f, w := apps(t, 1, 2)
		f.raise(1)
		f.kill(1)
		check(t, w, 1, appRanOut)
		f.kill(2)
		check(t, w, 2, nil)
	})
	t.Run("at once", func(t *testing.T) {
		f, w := apps(t, 1, 2)
		f.raise(1)
		f.kill(1)
		f.kill(2)
		w.Dead(1, 2)
		check(t, w, 1, nil)
		check(t, w, 2, nil)
	})
	t.Run("the victim takes its time", func(t *testing.T) {
		f, w := apps(t, 1, 2)
		f.raise(1)
		f.kill(1) // its memory is being freed
		f.kill(2)
		check(t, w, 2, nil)
		check(t, w, 1, nil)
	})
	t.Run("both for want of memory", func(t *testing.T) {
		f, w := apps(t, 1, 2, 3)
		f.raise(2)
		f.kill(1)
		f.kill(2)
		check(t, w, 1, appRanOut)
		check(t, w, 2, appRanOut)
		f.kill(3)
		check(t, w, 3, nil)
	})
	t.Run("another signal", func(t *testing.T) {
		f, w := apps(t, 1, 2)
		f.raise(1)
		w.Dead(1)
		if out := w.Died(1, syscall.SIGSEGV); out != nil {
			t.Errorf("SIGSEGV ran out of memory: %+v", out)
		}
		f.kill(2)
		check(t, w, 2, appRanOut)
	})
	t.Run("reaped before it was looked at", func(t *testing.T) {
		f, w := apps(t, 1, 2)
		f.raise(1)
		f.remove("proc/1")
		w.Dead(1)
		if out := w.Died(1, syscall.SIGTERM); out != nil {
			t.Errorf("SIGTERM ran out of memory: %+v", out)
		}
		f.kill(2)
		check(t, w, 2, appRanOut)
	})
	t.Run("nobody was told of the death", func(t *testing.T) {
		f, w := apps(t, 1)
		f.raise(1)
		f.remove("proc/1")
		if diff := cmp.Diff(appRanOut, w.Died(1, kill)); diff != "" {
			t.Error(diff)
		}
		if out := w.Died(1, kill); out != nil {
			t.Error("it is said twice")
		}
	})
	t.Run("stopped", func(t *testing.T) {
		f, w := apps(t, 1)
		f.raise(1)
		f.kill(1)
		w.Dead(1)
		w.Forget(1)
		if out := w.Died(1, kill); out != nil {
			t.Errorf("a stop ran out of memory: %+v", out)
		}
	})
}

// What rose long ago, or for somebody else, is no reason.
func TestOldRise(t *testing.T) {
	t.Run("nobody of ours", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, w := apps(t, 1)
			f.raise(1) // a child of the program
			w.Look()
			time.Sleep(lookEvery)
			w.Look()
			f.kill(1)
			check(t, w, 1, nil)
		})
	})
	t.Run("it takes two seconds to die", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, w := apps(t, 1)
			f.raise(1)
			f.kill(1)
			for range 4 {
				w.Look()
				time.Sleep(lookEvery)
			}
			check(t, w, 1, appRanOut)
		})
	})
	t.Run("three seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, w := apps(t, 1)
			f.raise(1)
			f.kill(1)
			for range 6 {
				w.Look()
				time.Sleep(lookEvery)
			}
			check(t, w, 1, nil)
		})
	})
	t.Run("nobody asked at the time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, w := apps(t, 1)
			f.raise(1)
			f.kill(1)
			w.Dead(1)
			time.Sleep(time.Hour) // the event waits in supervisord
			if diff := cmp.Diff(appRanOut, w.Died(1, kill)); diff != "" {
				t.Error(diff)
			}
		})
	})
}

// Run finds those that move to another cgroup, and rises.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w := apps(t, 1)
		go w.Run(t.Context())
		f.v2("sys/fs/cgroup/cage", 4, 4, "500", "1")
		f.process(1, "0::/cage")
		time.Sleep(100 * time.Millisecond)
		f.v2("sys/fs/cgroup/cage", 5, 5, "500", "500")
		f.kill(1)
		check(t, w, 1, &schema.OOM{Cgroup: "/cage", Limit: 500, Peak: 500})

		f.process(2, "0::/app")
		w.Follow(2)
		time.Sleep(10 * time.Second)
		f.raise(1)
		time.Sleep(lookEvery)
		w.mu.Lock()
		if n := w.alive[2].group.open(time.Now()); n != 1 {
			t.Errorf("%d killed are seen", n)
		}
		w.mu.Unlock()
		time.Sleep(lookEvery)
		f.kill(2)
		check(t, w, 2, nil) // it did not die of it at once
	})
}

// Many processes of one cgroup cost one; what is too much is counted.
func TestBounds(t *testing.T) {
	f, w := apps(t)
	for pid := 1; pid <= 100; pid++ {
		f.process(pid, "0::/app")
		w.Follow(pid)
		w.Follow(pid)
	}
	if s := w.Stats(); s.Processes != 100 || s.Groups != 1 {
		t.Errorf("%+v", s)
	}
	for pid := 1; pid <= 100; pid++ {
		w.Forget(pid)
		w.Forget(pid)
	}
	if s := w.Stats(); s.Processes != 0 || s.Groups != 0 {
		t.Errorf("%+v", s)
	}
	for i := range maxDead + 10 {
		w.keep(i, verdict{})
	}
	if len(w.dead) != maxDead || len(w.order) != maxDead {
		t.Errorf("%d verdicts, %d in order", len(w.dead), len(w.order))
	}
	for i := range maxProcesses + 10 {
		w.alive[1000+i] = &process{}
		if len(w.alive) == maxProcesses {
			break
		}
	}
	w.Follow(7)
	if s := w.Stats(); s.Unfollowed != 1 {
		t.Errorf("%+v", s)
	}
}

func TestClean(t *testing.T) {
	for name, want := range map[string]string{
		"/a":      "/a",
		"/a\xffb": "/a\uFFFDb",
		fmt.Sprintf("/%0600d", 1): "…" + fmt.Sprintf("%0512d", 1),
	} {
		if got := clean(name); got != want {
			t.Errorf("%q is %q", name, got)
		}
	}
}
