package oom

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// following starts processes that sleep, and follows them.
func following(b *testing.B, n int) (w *Watch, pids []int) {
	w = New("/")
	b.Cleanup(w.Close)
	for range n {
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		w.Follow(cmd.Process.Pid)
		pids = append(pids, cmd.Process.Pid)
	}
	return w, pids
}

// What a start and a death cost, of a process among 500 of one cgroup.
func BenchmarkFollowDied(b *testing.B) {
	w, pids := following(b, 500)
	b.ReportAllocs()
	for b.Loop() {
		w.Dead(pids[0])
		w.Died(pids[0], syscall.SIGKILL)
		w.Follow(pids[0])
	}
}

// What the clock costs: nobody is killed; somebody else is; where processes are.
func BenchmarkLook(b *testing.B) {
	b.Run("quiet", func(b *testing.B) {
		w, _ := following(b, 500)
		b.ReportAllocs()
		for b.Loop() {
			w.Look()
		}
	})
	b.Run("killed elsewhere, 500 groups", func(b *testing.B) {
		w, pids := following(b, 1)
		g := w.alive[pids[0]].group
		for i := range 499 {
			w.cgroups.groups[fmt.Sprint(i)] = &group{h: g.h, name: g.name, dir: g.dir, refs: 1}
		}
		b.ReportAllocs()
		for b.Loop() {
			w.kills++
			w.Look()
		}
	})
	b.Run("where 500 are", func(b *testing.B) {
		w, pids := following(b, 500)
		b.ReportAllocs()
		for b.Loop() {
			for _, pid := range pids {
				w.Follow(pid)
			}
		}
	})
}

// The share of a processor that Run takes with 500 processes.
func BenchmarkRun(b *testing.B) {
	w, _ := following(b, 500)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	i := 0
	for _, p := range w.alive { // they have been running for a while
		p.wait, p.next = lastLook, time.Now().Add(lastLook*time.Duration(i)/500)
		i++
	}
	runtime.GC()
	used := func(d time.Duration) float64 {
		before, begun := usage(b), time.Now()
		time.Sleep(d)
		return 100 * float64(usage(b)-before) / float64(time.Since(begun))
	}
	idle := used(3 * time.Second)
	go func() { _ = w.Run(ctx) }()
	for b.Loop() {
		b.ReportMetric(used(5*time.Second), "%cpu")
	}
	b.ReportMetric(idle, "%cpu-without")
}

func usage(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The worst that may come: one of 500 processes of a cgroup runs out of memory, and all
// others are killed by hand, one by one; each asks who else may be the victim.
func BenchmarkStorm(b *testing.B) {
	const n = 500
	for b.Loop() {
		b.StopTimer()
		f, w := apps(b)
		for pid := 1; pid <= n; pid++ {
			f.process(pid, "0::/app")
			w.Follow(pid)
		}
		f.raise(1)
		for pid := 1; pid <= n; pid++ {
			f.kill(pid)
		}
		b.StartTimer()
		for pid := 1; pid <= n; pid++ {
			w.Dead(pid)
			if w.Died(pid, syscall.SIGKILL) != nil {
				b.Fatal("the victim is guessed")
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/death")
}
