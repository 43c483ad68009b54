package bridge

import (
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"supernats/bridge/ledger"
	"supernats/bridge/oom"
	"supernats/schema"
)

const (
	metricsPrefix = "supernats_bridge"
	// otherEvent stands for all names that are not supervisor's: anybody can make
	// up any number of them.
	otherEvent = "other"
	// causeUnpublishable is a record that cannot become a message. Unlike the other
	// causes it is only counted and logged.
	causeUnpublishable = "unpublishable"
)

// metrics are the bridge's own. They count whether anybody looks or not: an event
// costs a tenth of a microsecond on supervisord's path, and no memory
// (BenchmarkMeasure).
type metrics struct {
	events     map[string]prometheus.Counter // by name, every one that is known and otherEvent
	answer     prometheus.Histogram
	publish    prometheus.Histogram
	lost       *prometheus.CounterVec
	reconnects prometheus.Counter
	duplicates prometheus.Counter
	// disagreements are between the kernel and supervisord's log.
	disagreements prometheus.Counter

	nats      atomic.Pointer[nats.Conn] // nil while there is no connection
	connected atomic.Bool               // there was one
}

func newMetrics(reg prometheus.Registerer, b *Bridge) *metrics {
	reg.MustRegister(
		version.NewCollector(metricsPrefix),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	reg = prometheus.WrapRegistererWithPrefix(metricsPrefix+"_", reg)
	with := promauto.With(reg)
	m := &metrics{
		events: map[string]prometheus.Counter{},
		answer: with.NewHistogram(prometheus.HistogramOpts{
			Name:    "answer_duration_seconds",
			Help:    "How long supervisord has waited for the answer to an event, from its header being read.",
			Buckets: []float64{25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 10e-3, 100e-3, 1, 10},
		}),
		publish: with.NewHistogram(prometheus.HistogramOpts{
			Name:    "publish_duration_seconds",
			Help:    "Time from an event being read to its acknowledgement by the stream, of an earlier run's events too.",
			Buckets: []float64{5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10, 60, 600, 3600},
		}),
		lost: with.NewCounterVec(prometheus.CounterOpts{
			Name: "lost_events_total",
			Help: "Events lost, by cause; damage of the spool that hides how many is one.",
		}, []string{"cause"}),
		reconnects: with.NewCounter(prometheus.CounterOpts{
			Name: "nats_reconnects_total",
			Help: "Connections to NATS after the first one.",
		}),
		duplicates: with.NewCounter(prometheus.CounterOpts{
			Name: "duplicate_events_total",
			Help: "Events sent for the first time that the stream already had: of another listener of this supervisord, or of another one with our host and boot.",
		}),
	}
	m.disagreements = with.NewCounter(prometheus.CounterOpts{
		Name: "exit_disagreements_total",
		Help: "Deaths of which supervisord's log says otherwise than the kernel how the process ended; the kernel is believed.",
	})
	events := with.NewCounterVec(prometheus.CounterOpts{
		Name: "events_total",
		Help: "Events that supervisord was answered OK to, by name; " + otherEvent + " are those that supervisor's manual does not know.",
	}, []string{"event"})
	for _, name := range append(schema.Names(), otherEvent) {
		m.events[name] = events.WithLabelValues(name)
	}
	for _, cause := range []string{ledger.CauseBuffer, ledger.CauseFull, ledger.CauseCorrupt, causeUnpublishable} {
		m.lost.WithLabelValues(cause)
	}
	for _, g := range []struct {
		name, help string
		value      func() float64
	}{
		{"nats_connected", "1 while there is a connection to NATS.", func() float64 { return number(m.nats.Load() != nil) }},
		{"ready", "1 while events are accepted, as /readyz tells.", func() float64 { return number(b.notReady() == nil) }},
		{"spool_bytes", "Size of the spool on disk.", func() float64 { return float64(b.spoolStats().Bytes) }},
		{"spool_limit_bytes", "What --spool-max allows.", func() float64 { return float64(b.cfg.SpoolMax) }},
		{"spool_records", "Records that wait for JetStream.", func() float64 { return float64(b.spoolStats().Records) }},
		{"spool_memory_records", "How many of them are in memory, since the disk takes none.", func() float64 { return float64(b.spoolStats().Memory) }},
		{"watched_processes", "Processes of supervisord whose death the kernel reports at once.", func() float64 { return float64(b.deaths.Stats().Watched) }},
		{"looked_at_processes", "Processes of supervisord whose memory, CPU time and descriptors are looked at while they run.", func() float64 { return float64(b.deaths.Stats().LookedAt) }},
		{"not_looked_at_processes", "Processes that are too many to be looked at.", func() float64 { return float64(b.deaths.Stats().NotLookedAt) }},
		{"unwatched_processes", "Processes that there is no descriptor for, so that their death is reported by supervisord alone.", func() float64 { return float64(b.deaths.Stats().Unwatched) }},
		{"spool_oldest_record_age_seconds", "Since when the oldest of them was read from supervisord; 0 without one.", b.oldestAge},
	} {
		with.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, g.value)
	}
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "wakeups_total",
		Help: "How often supervisord was woken since one of its programs had died.",
	}, func() float64 { return float64(b.deaths.Stats().Wakeups) })
	b.memoryMetrics(with)
	return m
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// accepted counts an event. supervisord is waiting.
func (m *metrics) accepted(event string) {
	c := m.events[event]
	if c == nil {
		c = m.events[otherEvent]
	}
	c.Inc()
}

// answered is behind each answer; the next event waits for it.
func (m *metrics) answered(took time.Duration) { m.answer.Observe(took.Seconds()) }

// published is told when an event of that time is in the stream. Clocks may have been
// set meanwhile.
func (m *metrics) published(read, now time.Time) {
	m.publish.Observe(max(0, now.Sub(read).Seconds()))
}

// lossOf counts what was lost, if anything was.
func (m *metrics) lossOf(cause string, n uint64) {
	if n > 0 {
		m.loss(cause, n)
	}
}

// loss counts what was lost; n may be 0 for an unknown number.
func (m *metrics) loss(cause string, n uint64) {
	m.lost.WithLabelValues(cause).Add(float64(max(1, n)))
}

// connection makes a connection tell of itself. Asking it would not do: while it
// tries to connect it lets nobody ask.
//
// again is called with each connection after the first one.
func (m *metrics) connection(again func()) []nats.Option {
	up := func(nc *nats.Conn) {
		m.nats.Store(nc)
		if m.connected.Swap(true) {
			m.reconnects.Inc()
			again()
		}
	}
	// The end of an old one may be told when there is a new one.
	down := func(nc *nats.Conn) { m.nats.CompareAndSwap(nc, nil) }
	return []nats.Option{
		nats.ConnectHandler(up),
		nats.ReconnectHandler(up),
		nats.DisconnectErrHandler(func(nc *nats.Conn, _ error) { down(nc) }),
		nats.ClosedHandler(down),
	}
}

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
		with.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help}, func() float64 { return float64(c.value(b.deaths.Stats().Memory)) })
	}
}
