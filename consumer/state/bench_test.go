package state_test

import (
	"fmt"
	"runtime"
	"testing"

	"supernats/consumer/state"
	"supernats/schema"
)

const fleetHosts, perHost = 1000, 100

// big is a Fleet of 1,000 hosts with 100 processes each, as their snapshots and a
// crash of each process make it.
func big(crashed bool) *state.Fleet {
	f, seq := state.NewFleet(), 0
	for h := range fleetHosts {
		host := fmt.Sprintf("web%04d", h)
		s := &schema.Snapshot{Host: host, Server: "supervisor", Boot: "4f0c6d1e2a90b7c3"}
		for i := range perHost {
			s.Processes = append(s.Processes, schema.SnapshotProcess{Group: "worker", Process: fmt.Sprintf("worker_%02d", i), State: "RUNNING", PID: i + 2, Start: 1})
		}
		seq++
		f.Snapshot(meta(seq), s.Envelope(zero))
		for i := 0; crashed && i < perHost; i++ {
			seq++
			f.Event(meta(seq), (&schema.Event{
				Event: schema.ProcessStateExited, Host: host, Boot: s.Boot, Serial: uint64(i + 1), Group: "worker", Process: fmt.Sprintf("worker_%02d", i),
				FromState: "RUNNING", Expected: p(false), PID: i + 2, Exit: &schema.Exit{Code: p(3)},
			}).Envelope(zero))
		}
	}
	return f
}

// What a process costs in memory.
func BenchmarkFleetMemory(b *testing.B) {
	for _, crashed := range []bool{false, true} {
		b.Run(fmt.Sprintf("crashed=%t", crashed), func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				f := big(crashed)
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/fleetHosts/perHost, "B/process")
				runtime.KeepAlive(f)
			}
		})
	}
}

// Events of 100,000 processes in turn, decoded already.
func BenchmarkFleetEvent(b *testing.B) {
	f := big(false)
	var events []*schema.CloudEvent[*schema.Event]
	for h := range fleetHosts {
		for i := range perHost {
			events = append(events, (&schema.Event{
				Host: fmt.Sprintf("web%04d", h), Boot: "4f0c6d1e2a90b7c3", Group: "worker", Process: fmt.Sprintf("worker_%02d", i),
			}).Envelope(zero))
		}
	}
	life := []string{schema.ProcessStateStopping, schema.ProcessStateStopped, schema.ProcessStateStarting, schema.ProcessStateRunning}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		ce := events[n%len(events)]
		ce.Data.Event, ce.Data.Serial = life[n/len(events)%len(life)], uint64(n)
		if c := f.Event(meta(1e6+n), ce); len(c.States) != 1 {
			b.Fatal(c)
		}
	}
}

func BenchmarkFleetSnapshot(b *testing.B) {
	s := &schema.Snapshot{Host: "web1", Boot: "4f0c6d1e2a90b7c3"}
	for i := range perHost {
		s.Processes = append(s.Processes, schema.SnapshotProcess{Group: "worker", Process: fmt.Sprintf("worker_%02d", i), State: "RUNNING", PID: i + 2, Start: 1})
	}
	ce := s.Envelope(zero)
	f, n := state.NewFleet(), 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		f.Snapshot(meta(n), ce)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/perHost, "ns/process")
}

func BenchmarkFleetSeen(b *testing.B) {
	f, n := big(false), 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		f.Seen(meta(1e6+n), "web0500")
	}
}

// A message that nobody decodes costs no memory.
func TestSeenAllocatesNothing(t *testing.T) {
	f, n := state.NewFleet(), 1
	f.Seen(meta(1), "web1=2Eexample=2Ecom")
	if got := testing.AllocsPerRun(100, func() {
		n++
		if c := f.Seen(meta(n), "web1=2Eexample=2Ecom"); c.Host == nil || c.Host.Seq != uint64(n) {
			t.Error("not applied")
		}
	}); got != 0 {
		t.Errorf("%g allocations", got)
	}
}
