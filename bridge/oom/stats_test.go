package oom

import (
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

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
	for i := range maxVerdicts + 10 {
		w.verdicts.keep(i, verdict{})
	}
	if len(w.verdicts.byPID) != maxVerdicts || len(w.verdicts.order) != maxVerdicts {
		t.Errorf("%d verdicts, %d in order", len(w.verdicts.byPID), len(w.verdicts.order))
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
	clear(w.alive)
	for i := range maxGroups {
		w.cgroups.groups[fmt.Sprint(i)] = &group{}
	}
	f.process(7, "0::/app")
	w.Follow(7)
	if s := w.Stats(); s.Unfollowed != 2 || s.Groups != maxGroups {
		t.Errorf("%+v", s)
	}
}

// A process whose death nobody has reported is not followed for good.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, w := apps(t, 1, 2)
		go w.Run(t.Context())
		f.remove("proc/1")
		time.Sleep(time.Hour)
		if s := w.Stats(); s.Processes != 2 {
			t.Errorf("after an hour %+v", s)
		}
		time.Sleep(2 * time.Hour)
		if s := w.Stats(); s.Processes != 1 {
			t.Errorf("after three hours %+v", s)
		}
	})
}

func TestTrouble(t *testing.T) {
	f := machine(t)
	f.mounts()
	w := f.watch()
	if w.Trouble() == "" {
		t.Error("no trouble without cgroups")
	}
	withLog(w)
	if trouble := w.Trouble(); trouble != "" {
		t.Errorf("with a log: %s", trouble)
	}
	f.mounts("/ /sys/fs/cgroup cgroup2 rw")
	f.process(os.Getpid(), "0::/app")
	f.v2("sys/fs/cgroup/app", 0, 0, "max", "1")
	if trouble := f.watch().Trouble(); trouble != "" {
		t.Errorf("with counters: %s", trouble)
	}
	f.write("sys/fs/cgroup/app/memory.events.local", "oom 0\n")
	if f.watch().Trouble() == "" {
		t.Error("no trouble without oom_kill")
	}
}
