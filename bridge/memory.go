package bridge

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"supernats/bridge/oom"
)

// added takes note of processes that supervisord has started: it is known from now on
// whether memory runs out where they run.
func (d *deaths) added(pids []int) {
	for _, pid := range pids {
		d.memory.Follow(pid)
	}
}

// dead takes note of processes that have died: whether memory ran out has to be found
// out at once, while they can still be looked at.
func (d *deaths) dead(pids []int) { d.memory.Dead(pids...) }

// memoryMetrics show how many programs ran out of memory, and of how many that is not
// known.
func (b *Bridge) memoryMetrics(with promauto.Factory) {
	for _, c := range []struct {
		name, help string
		value      func(oom.Stats) uint64
	}{
		{"out_of_memory_total", "Deaths of programs that the kernel killed because memory ran out.", func(s oom.Stats) uint64 { return s.OutOfMemory }},
		{"out_of_memory_unclear_total", "Deaths by SIGKILL that may be another one's lack of memory, so that nothing is said of it; with CAP_SYSLOG the kernel's log decides.", func(s oom.Stats) uint64 { return s.Unclear }},
		{"out_of_memory_unfollowed_total", "Processes of which it is not known whether they ran out of memory, since there are too many, or too many cgroups.", func(s oom.Stats) uint64 { return s.Unfollowed }},
	} {
		with.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help}, func() float64 {
			d := b.deaths.Load()
			if d == nil {
				return 0
			}
			return float64(c.value(d.memory.Stats()))
		})
	}
}
