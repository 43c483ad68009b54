package alerts_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"supernats/consumer/alerts"
	"supernats/consumer/rules"
	"supernats/schema"
)

func benchEvent(name string) *schema.CloudEvent[*schema.Event] {
	e := &schema.Event{
		Event: name, Host: "web1", Boot: "4f0c6d1e2a90b7c3", Serial: 1, Group: "api", Process: "api_00", FromState: "RUNNING",
		Expected: p(name != schema.ProcessStateExited), Exit: &schema.Exit{Code: p(3)},
	}
	return e.Envelope(t0)
}

// BenchmarkEvent is what one event costs.
func BenchmarkEvent(b *testing.B) {
	exits := rules.List{schema.ProcessStateExited}
	for _, c := range []struct {
		name, event string
		set         []rules.Config
	}{
		{name: "no rule", event: schema.ProcessStateRunning, set: rules.Defaults()},
		{name: "name only", event: schema.ProcessStateExited, set: []rules.Config{{Name: "x", Event: exits, Expected: p(true)}}},
		{name: "other group", event: schema.ProcessStateExited, set: []rules.Config{{Name: "x", Event: exits, Groups: rules.List{"web", "worker"}}}},
		{name: "glob", event: schema.ProcessStateExited, set: []rules.Config{{Name: "x", Event: exits, Groups: rules.List{"web*"}}}},
		{name: "expression", event: schema.ProcessStateExited, set: []rules.Config{{Name: "x", Event: exits, If: `exit.signal == "SIGKILL"`}}},
		{name: "open incident", event: schema.ProcessStateExited, set: rules.Defaults()},
	} {
		b.Run(c.name, func(b *testing.B) {
			o := options()
			g := alerts.New(compile(b, c.set, o))
			ce := benchEvent(c.event)
			m := alerts.Meta{Stored: t0}
			b.ReportAllocs()
			for b.Loop() {
				m.Seq++
				m.Stored = m.Stored.Add(10 * time.Microsecond)
				g.Apply(alerts.Message{Meta: m, Host: ce.Data.Host, Event: ce})
				g.Take()
			}
		})
	}
}

func BenchmarkProcess(b *testing.B) {
	g := alerts.New(compile(b, rules.Defaults(), options()))
	m := alerts.Meta{Stored: t0}
	states := []*schema.ProcessRecord{
		{Host: "web1", Group: "api", Process: "api_00", State: "STARTING"},
		{Host: "web1", Group: "api", Process: "api_00", State: "RUNNING"},
	}
	b.ReportAllocs()
	for b.Loop() {
		m.Seq++
		m.Stored = m.Stored.Add(10 * time.Microsecond)
		g.Apply(alerts.Message{Meta: m, Host: "web1", Processes: states[m.Seq%2 : m.Seq%2+1]})
	}
}

// BenchmarkStorm opens 100,000 incidents, each of another process, and reports
// what one takes.
func BenchmarkStorm(b *testing.B) {
	const incidents = 100_000
	set := compile(b, rules.Defaults(), options())
	for b.Loop() {
		g := alerts.New(set)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range incidents {
			ce := benchEvent(schema.ProcessStateExited)
			ce.Data.Process, ce.Data.Serial = fmt.Sprint("api_", i), uint64(i)
			ce.ID = ce.Data.ID()
			m := alerts.Meta{Seq: uint64(i + 1), Stored: t0}
			g.Apply(alerts.Message{Meta: m, Host: ce.Data.Host, Event: ce})
			exited := &schema.ProcessRecord{Host: "web1", Group: "api", Process: ce.Data.Process, State: "EXITED"}
			g.Apply(alerts.Message{Meta: m, Host: "web1", Processes: []*schema.ProcessRecord{exited}})
			g.Take()
		}
		g.Changed()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/incidents, "B/incident")
		runtime.KeepAlive(g)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/incidents, "ns/incident")
}
