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
		if s := w.Stats(); s.OutOfMemory != 0 || s.Unclear != 2 {
			t.Errorf("%+v", s)
		}
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
		if s := w.Stats(); s.OutOfMemory != 2 || s.Unclear != 0 {
			t.Errorf("%+v", s)
		}
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
	t.Run("the death was not reported before", func(t *testing.T) {
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
		f.kills(1)
		f.kill(1)
		check(t, w, 1, &schema.OOM{Cgroup: "/cage", Limit: 500, Peak: 500})

		f.process(2, "0::/app")
		w.Follow(2)
		time.Sleep(10 * time.Second)
		f.raise(1)
		f.kills(2)
		time.Sleep(lookEvery)
		w.mu.Lock()
		if n := w.alive[2].group.unassigned(time.Now()); n != 1 {
			t.Errorf("%d killed are seen", n)
		}
		w.mu.Unlock()
		time.Sleep(lookEvery)
		f.kill(2)
		check(t, w, 2, nil) // it did not die of it at once
	})
}

func TestClean(t *testing.T) {
	for name, want := range map[string]string{
		"/a":                      "/a",
		"/a\xffb":                 "/a\uFFFDb",
		fmt.Sprintf("/%0600d", 1): "…" + fmt.Sprintf("%0512d", 1),
	} {
		if got := cleanName(name); got != want {
			t.Errorf("%q is %q", name, got)
		}
	}
}
