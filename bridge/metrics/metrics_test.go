package metrics

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"supernats/schema"
)

// registered are metrics that were registered with a registry.
type registered struct {
	*Metrics
	registry *prometheus.Registry
}

func newMetrics() registered {
	reg := prometheus.NewRegistry()
	m := New(reg, Config{
		LossCauses: []string{"supervisord-buffer"},
		Ready:      func() bool { return true },
		Spool:      func() Spool { return Spool{} },
		OldestAge:  func() float64 { return 0 },
		Deaths:     func() Deaths { return Deaths{} },
	})
	return registered{m, reg}
}

// Names and help are as Prometheus wants them, without an exemption.
func TestMetricsLint(t *testing.T) {
	rows := prometheus.NewPedanticRegistry()
	rows.MustRegister(NewProcesses(func(context.Context) ([]schema.SnapshotProcess, error) {
		return []schema.SnapshotProcess{{Group: "a", Process: "b", State: "RUNNING", Start: 1}}, nil
	}, nil))
	for _, reg := range []*prometheus.Registry{rows, newMetrics().registry} {
		problems, err := testutil.GatherAndLint(reg)
		if err != nil || len(problems) > 0 {
			t.Errorf("%v, %+v", err, problems)
		}
	}
}

// Anybody can send any number of names; the stream has them all, the metrics one.
func TestEventsAreBounded(t *testing.T) {
	m := newMetrics()
	for _, name := range []string{"MY_OWN", "", "EVENT", "PROCESS_STATE", "tick_5", "TICK_5"} {
		m.Accepted(name)
	}
	if got := testutil.ToFloat64(m.events["TICK_5"]); got != 1 {
		t.Errorf("TICK_5 %v", got)
	}
	if got := testutil.ToFloat64(m.events[otherEvent]); got != 5 {
		t.Errorf("other %v", got)
	}
	if n, err := testutil.GatherAndCount(m.registry, "supernats_bridge_events_total"); err != nil ||
		n != len(schema.Names())+1 {
		t.Errorf("%d series, %v", n, err)
	}
}

// What supervisord waits for makes no work for the collector of garbage.
func TestEventCostsNoMemory(t *testing.T) {
	m := newMetrics()
	if n := testing.AllocsPerRun(1000, func() { measure(m.Metrics, schema.ProcessStateRunning) }); n > 0 {
		t.Errorf("%v allocations for each event", n)
	}
}

var made = time.Now()

// measure is all that an event costs on supervisord's path, with the clock that
// eventlistener reads.
func measure(m *Metrics, name string) {
	begun := time.Since(made)
	m.Accepted(name)
	m.Answered(time.Since(made) - begun)
}

func BenchmarkMeasure(b *testing.B) {
	m := newMetrics()
	b.ReportAllocs()
	for b.Loop() {
		measure(m.Metrics, schema.ProcessStateRunning)
	}
}

// A connection that ended long ago reports that when there is another one.
func TestConnectionState(t *testing.T) {
	m := newMetrics()
	first, second := connOptions(m.Metrics), connOptions(m.Metrics)
	for _, step := range []struct {
		what              string
		do                func()
		connected, before float64
	}{
		{what: "nothing yet", do: func() {}, connected: 0, before: 0},
		{what: "could not connect", do: first.closed, connected: 0, before: 0},
		{what: "connected", do: first.connected, connected: 1, before: 0},
		{what: "lost", do: first.lost, connected: 0, before: 0},
		{what: "connected again", do: first.reconnected, connected: 1, before: 1},
		{what: "another connection", do: second.connected, connected: 1, before: 2},
		{what: "the end of the first", do: func() { first.lost(); first.closed() }, connected: 1, before: 2},
		{what: "the end of the second", do: second.closed, connected: 0, before: 2},
	} {
		step.do()
		got := gather(t, m, "supernats_bridge_nats_connected")
		again := testutil.ToFloat64(m.reconnects)
		if got != step.connected || again != step.before {
			t.Errorf("%s: connected %v, reconnects %v; want %v, %v", step.what, got, again, step.connected, step.before)
		}
	}
}

// table is a supervisord of which each call is counted and takes a second.
type table struct {
	calls atomic.Int32
	err   error
}

func (f *table) ask(ctx context.Context) ([]schema.SnapshotProcess, error) {
	f.calls.Add(1)
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	return []schema.SnapshotProcess{{Group: "g", Process: "p", State: "RUNNING"}}, f.err
}

// Those who look at once share one call, and those a little later its answer.
func TestScrapesShareOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &table{}
		p := NewProcesses(f.ask, nil)
		all := func(n int) {
			var clients sync.WaitGroup
			for range n {
				clients.Go(func() {
					if rows, _, ok := p.lookUp(); len(rows) != 1 || !ok {
						t.Errorf("%v %v", rows, ok)
					}
				})
			}
			clients.Wait()
		}
		start := time.Now()
		all(50)
		if n, took := f.calls.Load(), time.Since(start); n != 1 || took != time.Second {
			t.Errorf("%d calls in %v", n, took)
		}
		time.Sleep(askEvery - 1)
		if all(50); f.calls.Load() != 1 {
			t.Errorf("%d calls within %v", f.calls.Load(), askEvery)
		}
		time.Sleep(time.Nanosecond)
		if all(50); f.calls.Load() != 2 {
			t.Errorf("%d calls", f.calls.Load())
		}
	})
}

// One that does not answer holds nobody up for long, however many ask, and takes
// nothing away of what it said before.
func TestScrapeOfTheSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &table{}
		silent := errors.New("silent")
		var said []error
		p := NewProcesses(f.ask, func(err error) { said = append(said, err) })
		rows, answered, ok := p.lookUp()
		if !ok || !answered.Equal(time.Now()) {
			t.Fatal(answered, ok)
		}
		time.Sleep(time.Minute)
		p.ask = func(ctx context.Context) ([]schema.SnapshotProcess, error) {
			f.calls.Add(1)
			<-ctx.Done()
			return nil, silent
		}
		start := time.Now()
		var clients sync.WaitGroup
		for range 20 {
			clients.Go(func() {
				again, at, ok := p.lookUp()
				if diff := cmp.Diff(rows, again); diff != "" || ok || !at.Equal(answered) {
					t.Errorf("%v %v %s", at, ok, diff)
				}
			})
		}
		clients.Wait()
		if took := time.Since(start); took != askTimeout || f.calls.Load() != 2 || len(said) != 1 ||
			!errors.Is(said[0], silent) {
			t.Errorf("took %v, %d calls, said %v", took, f.calls.Load(), said)
		}
	})
}

// An event's age is no less than nothing, whatever happens to the clock.
func TestPublishedInTheFuture(t *testing.T) {
	m := newMetrics()
	now := time.Now()
	m.Published(now.Add(time.Hour), now)
	m.Published(now.Add(-time.Second), now)
	if got := gather(t, m, "supernats_bridge_publish_duration_seconds"); got != 1 {
		t.Errorf("sum %v, want 1", got)
	}
}

// gather returns the value of a metric without labels; of a histogram, the sum.
func gather(t *testing.T, m registered, name string) float64 {
	t.Helper()
	all, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetHistogram().GetSampleSum()
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

// callbacks are what a connection calls.
type callbacks struct{ connected, lost, reconnected, closed func() }

func connOptions(m *Metrics) callbacks {
	nc := &nats.Conn{}
	for _, o := range m.ConnectionOptions(func() {}) {
		_ = o(&nc.Opts)
	}
	return callbacks{
		connected:   func() { nc.Opts.ConnectedCB(nc) },
		lost:        func() { nc.Opts.DisconnectedErrCB(nc, nil) },
		reconnected: func() { nc.Opts.ReconnectedCB(nc) },
		closed:      func() { nc.Opts.ClosedCB(nc) },
	}
}
