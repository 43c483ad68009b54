package rules_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"supernats/consumer/rules"
	"supernats/schema"
)

// Logs in all that is not told yet are bounded; the events are listed without.
func TestLogsOfAllAlertsAreBounded(t *testing.T) {
	w := newWorld(t, options(), crashRule(func(c *rules.Config) { c.GroupWait = dur(time.Minute) }))
	log := &schema.Log{Stderr: strings.Repeat("x", 100_000)}
	crash := func(n int) {
		for i := range n {
			w.event(0, "EXITED", process(fmt.Sprint(i)), func(e *schema.Event) { e.Log = log })
		}
		w.pass(time.Minute)
	}
	with := func() (n int) {
		for _, n0 := range w.notes {
			if n0.Alert.Events[0].Log != nil {
				n++
			}
		}
		return n
	}
	crash(800)
	if n := with(); len(w.notes) != 800 || n != 671 {
		t.Errorf("%d notifications, %d with logs", len(w.notes), n)
	}
	w.pass(10 * time.Minute)
	w.notes = nil
	crash(600) // what was told takes nothing any more
	if n := with(); len(w.notes) != 600 || n != 600 {
		t.Errorf("%d notifications, %d with logs", len(w.notes), n)
	}
}

// A message holds the record of an alert, however many processes it is about.
func TestMembersAreBounded(t *testing.T) {
	w := newWorld(t, options(), crashRule(func(c *rules.Config) { c.GroupBy = rules.List{"group"} }))
	for i := range 10_500 {
		w.event(time.Millisecond, "EXITED", onHost(fmt.Sprint("web", i)))
	}
	w.flush()
	r := w.records["exit.-.api.-"]
	b, err := schema.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Members) != 10_000 || r.Count != 10_500 || len(b) > 800_000 {
		t.Errorf("%d members of %d, %d bytes", len(r.Members), r.Count, len(b))
	}
	for i := range 10_500 {
		w.event(0, "RUNNING", onHost(fmt.Sprint("web", i)))
	}
	w.pass(time.Minute)
	if n := w.notes[len(w.notes)-1]; n.Type != schema.TypeAlertResolved || n.Alert.Count != 10_500 {
		t.Errorf("last is %s", describe(n))
	}
}

// A fleet takes what the package comment says.
func TestMemoryOfProcesses(t *testing.T) {
	const processes = 50_000
	g := rules.New(compile(t, rules.Defaults(), options()))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range processes {
		m := rules.Meta{Seq: uint64(i + 1), Stored: t0}
		g.Process(m, &schema.State{Host: "web1", Group: "api", Process: fmt.Sprint("api_", i), State: "RUNNING", Boot: "4f0c6d1e2a90b7c3"})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / processes; each > 600 {
		t.Errorf("%d bytes for each process", each)
	} else {
		t.Logf("%d bytes for each process", each)
	}
	runtime.KeepAlive(g)
}

// A fleet in which everything flaps takes no more than there is room for: what waits is
// reported sooner then, and nothing of it is lost.
func TestUntoldEventsAreBounded(t *testing.T) {
	w := newWorld(t, options(), crashRule())
	const processes, rounds = 4000, 45
	listed, seen, most := 0, 0, 0
	count := func() {
		for ; seen < len(w.notes); seen++ {
			listed += len(w.notes[seen].Alert.Events)
		}
	}
	for round := range rounds {
		for i := range processes {
			m := w.meta(time.Millisecond)
			e := &schema.Event{Event: schema.ProcessStateExited, Expected: p(false), Host: "web1", Boot: "b", Serial: m.Seq, Group: "api", Process: fmt.Sprint(i)}
			w.Event(m, e.Envelope(w.at), w.horizon)
		}
		w.pass(20 * time.Second)
		count()
		most = max(most, (round+1)*processes-listed)
	}
	if most > 105_000 || most < 95_000 {
		t.Errorf("up to %d events wait", most)
	}
	w.pass(4 * time.Hour)
	if count(); listed != processes*rounds || len(w.notes) > 6*processes {
		t.Errorf("%d of %d events are listed in %d notifications", listed, processes*rounds, len(w.notes))
	}
}
