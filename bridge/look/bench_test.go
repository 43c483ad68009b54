package look

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// sleepers starts n children.
func sleepers(tb testing.TB, n int) {
	tb.Helper()
	for range n {
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
}

// A look allocates nothing.
func TestAllocations(t *testing.T) {
	l := newLooker(t, Config{Parent: os.Getpid()})
	sleepers(t, 20)
	l.pass(t.Context(), true)
	i := 0
	l.mu.Lock()
	for _, p := range l.alive {
		l.turn = append(l.turn, p)
	}
	l.mu.Unlock()
	if n := testing.AllocsPerRun(100, func() {
		l.look(l.turn[i%len(l.turn)])
		i++
	}); n != 0 {
		t.Errorf("%v allocations a look", n)
	}
	l.proc.sized = false // as before Linux 6.2
	if n := testing.AllocsPerRun(100, func() { l.look(l.turn[0]) }); n != 0 {
		t.Errorf("%v allocations a look that counts descriptors", n)
	}
}

func processor(tb testing.TB) time.Duration {
	tb.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkLook reports what one look costs, and what share of a processor 500
// processes take when they are looked at every 5 s.
func BenchmarkLook(b *testing.B) {
	const processes = 500
	l := newLooker(b, Config{Parent: os.Getpid()})
	sleepers(b, processes)
	stopped, stop := context.WithCancel(b.Context())
	stop()
	l.pass(stopped, true) // finds them
	for _, p := range l.alive {
		l.turn = append(l.turn, p)
	}
	turn := l.turn
	b.ReportAllocs()
	b.ResetTimer()
	used, n := processor(b), 0
	for b.Loop() {
		l.look(turn[n%len(turn)])
		n++
	}
	look := (processor(b) - used) / time.Duration(max(1, n))
	b.ReportMetric(float64(look.Nanoseconds())/1000, "cpu-µs/look")
	b.ReportMetric(100*float64(look*processes)/float64(every), "%-of-a-cpu-for-500")
}

// BenchmarkPass is a whole pass over 500 processes, found and looked at, with its rests.
func BenchmarkPass(b *testing.B) {
	l := newLooker(b, Config{Parent: os.Getpid()})
	sleepers(b, 500)
	l.pass(b.Context(), true)
	b.ReportAllocs()
	b.ResetTimer()
	used, n := processor(b), 0
	for b.Loop() {
		l.pass(b.Context(), true)
		n++
	}
	b.ReportMetric(float64((processor(b)-used).Microseconds())/float64(max(1, n))/1000, "cpu-ms/pass")
}
