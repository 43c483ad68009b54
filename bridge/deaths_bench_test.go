package bridge_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema/codec"
	"supernats/schema/stream/streamtest"
)

// mortal is a listener under a supervisord of its own, with a program to kill.
type mortal struct {
	name   string
	deaths int
	s      *supervisordtest.Supervisord
	// heard returns when the listener got the event of each death, by pid.
	heard  func() map[int]time.Time
	killed map[int]time.Time
	waits  []time.Duration
}

const mortalProgram = "\n[program:p]\ncommand=sleep 1000\nautorestart=true\nstartsecs=0\n"

// BenchmarkDeaths is how long it takes from kill -9 until a listener has the event, on
// a supervisord that does nothing else: with supernats-bridge, with the same one that
// does not wake supervisord, and with a listener in Python. They run at the same time,
// each under a supervisord of its own. The processor time of supervisord is that of a
// death with its restart.
func BenchmarkDeaths(b *testing.B) {
	for b.Loop() {
		woken, asleep := mortalBridge(b, "bridge", 200), mortalBridge(b, "unwoken", 60, "--wake=false")
		python := mortalPython(b, 60)
		all := []*mortal{woken, asleep, python}
		cpu := map[string]float64{}
		var mu sync.Mutex
		var tasks sync.WaitGroup
		for _, m := range all {
			tasks.Go(func() {
				used := m.die(b)
				mu.Lock()
				defer mu.Unlock()
				cpu[m.name] = used
			})
		}
		tasks.Wait()

		for _, m := range all {
			slices.Sort(m.waits)
			for name, part := range map[string]float64{"p50-ms": 0.5, "p99-ms": 0.99} {
				b.ReportMetric(m.waits[int(part*float64(len(m.waits)))].Seconds()*1e3, m.name+"-"+name)
			}
			b.ReportMetric(cpu[m.name]*1e3, m.name+"-supervisord-CPU-ms/death")
		}
		b.ReportMetric(cpu["bridge"]/cpu["unwoken"], "supervisord-CPU-woken/unwoken")
	}
}

// die kills the program again and again, and returns how much processor time supervisord
// took for a death, in seconds.
func (m *mortal) die(b *testing.B) float64 {
	m.killed = map[int]time.Time{}
	program := func(not int) (pid int) {
		supervisordtest.Wait(b, 20*time.Second, func() bool {
			// The listener is the other child.
			children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", m.s.PID()))
			for word := range strings.FieldsSeq(string(children)) {
				comm, _ := os.ReadFile("/proc/" + word + "/comm")
				if n, _ := strconv.Atoi(word); n != not && string(comm) == "sleep\n" {
					pid = n
				}
			}
			return pid != 0
		}, "a new process of %s", m.name)
		return pid
	}
	pid := program(0)
	time.Sleep(2 * time.Second)

	before := ranFor(b, m.s.PID())
	for range m.deaths {
		time.Sleep(time.Duration(200+rand.IntN(400)) * time.Millisecond)
		m.killed[pid] = time.Now()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			b.Error(err)
			return 0
		}
		pid = program(pid)
	}
	used := ranFor(b, m.s.PID()) - before

	var heard map[int]time.Time
	supervisordtest.Wait(b, 20*time.Second, func() bool {
		heard = m.heard()
		return len(heard) >= m.deaths
	}, "all deaths of %s", m.name)
	for pid, at := range m.killed {
		m.waits = append(m.waits, heard[pid].Sub(at))
	}
	return used.Seconds() / float64(m.deaths)
}

// ranFor is the processor time of a process, to the nanosecond.
func ranFor(b *testing.B, pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		b.Fatal(err)
	}
	ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(ns)
}

func mortalBridge(b *testing.B, name string, deaths int, flags ...string) *mortal {
	nats := streamtest.Start(b)
	s := supervisordtest.Start(b, conf(b, append(flags, "--nats-url", nats.URL, "--host", name)...)+mortalProgram)
	return &mortal{name: name, deaths: deaths, s: s, heard: func() map[int]time.Time {
		heard := map[int]time.Time{}
		for _, m := range stored(b, nats.JetStream(), "supervisor.event.*.p.*.process_state.exited") {
			ce, err := codec.UnmarshalEvent(m.Data())
			if err != nil {
				b.Fatal(err)
			}
			heard[ce.Data.PID] = ce.Time.Time
		}
		return heard
	}}
}

func mortalPython(b *testing.B, deaths int) *mortal {
	script, err := filepath.Abs("testdata/deaths.py")
	if err != nil {
		b.Fatal(err)
	}
	out := filepath.Join(b.TempDir(), "deaths")
	s := supervisordtest.Start(b, fmt.Sprintf("[eventlistener:python]\ncommand=/usr/bin/python3 %s %s\nevents=PROCESS_STATE\nstartsecs=0\nstdout_logfile=NONE\n", script, out)+mortalProgram)
	return &mortal{name: "Python", deaths: deaths, s: s, heard: func() map[int]time.Time {
		text, _ := os.ReadFile(out)
		heard := map[int]time.Time{}
		for line := range strings.Lines(string(text)) {
			var pid int
			var at float64
			if _, err := fmt.Sscan(line, &pid, &at); err == nil {
				heard[pid] = time.UnixMicro(int64(at * 1e6))
			}
		}
		return heard
	}}
}
