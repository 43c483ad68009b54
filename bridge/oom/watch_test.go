package oom

import (
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"supernats/schema"
)

// One was killed for want of memory, and another by hand, and nothing says which.
func TestTwoDie(t *testing.T) {
	for _, tc := range []struct {
		name      string
		processes int
		steps     []step
	}{
		{name: "at once", processes: 2, steps: []step{
			rise(1), die(1), die(2), report(1, 2), ask(1, nil), ask(2, nil), counted(0, 2),
		}},
		{name: "the victim takes its time", processes: 2, steps: []step{
			rise(1), die(1), die(2), ask(2, nil), ask(1, nil), // 1 waits until its memory is freed
		}},
		{name: "by hand first", processes: 2, steps: []step{die(1), ask(1, nil), rise(1), die(2), ask(2, appRanOut)}},
		{name: "by hand later", processes: 2, steps: []step{rise(1), die(1), ask(1, appRanOut), die(2), ask(2, nil)}},
		{name: "both for want of memory", processes: 3, steps: []step{
			rise(2), die(1), die(2), ask(1, appRanOut), ask(2, appRanOut), die(3), ask(3, nil), counted(2, 0),
		}},
		{name: "another signal", processes: 2, steps: []step{
			rise(1), report(1), died(1, syscall.SIGSEGV, nil), die(2), ask(2, appRanOut),
		}},
		{name: "reaped before it was looked at", processes: 2, steps: []step{
			rise(1), reaped(1), report(1), died(1, syscall.SIGTERM, nil), die(2), ask(2, appRanOut),
		}},
		{name: "the death was not reported before", processes: 1, steps: []step{
			rise(1), reaped(1), died(1, kill, appRanOut), died(1, kill, nil),
		}},
		{name: "stopped", processes: 1, steps: []step{rise(1), die(1), report(1), forget(1), died(1, kill, nil)}},
	} {
		t.Run(tc.name, func(t *testing.T) { play(t, tc.processes, false, tc.steps...) })
	}
}

// What rose long ago, or for somebody else, is no reason.
func TestOldRise(t *testing.T) {
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{name: "for a child of the program", steps: []step{rise(1), lookFor(1), look(), die(1), ask(1, nil)}},
		{name: "it takes three seconds to die", steps: []step{rise(1), die(1), lookFor(6), ask(1, nil)}},
		{name: "it takes two seconds to die", steps: []step{rise(1), die(1), lookFor(4), ask(1, appRanOut)}},
		{name: "the event waits in supervisord", steps: []step{
			rise(1), die(1), report(1), pause(time.Hour), died(1, kill, appRanOut),
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, 1, false, tc.steps...) })
		})
	}
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
