// Package metrics is what Prometheus sees of the bridge: its own counters (Metrics), and
// supervisord's process table under the names that an exporter before it used
// (Processes).
//
// Under pressure: labels are bounded (names of events that supervisor's manual does not
// know count as one), and however many clients scrape, supervisord is asked once a second
// at most.
package metrics

import (
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"supernats/schema"
)

const (
	Prefix = "supernats_bridge"
	// otherEvent stands for all names that are not supervisor's: anybody can make
	// up any number of them.
	otherEvent = "other"
	// CauseUnpublishable is a record that cannot become a message. Unlike the other
	// causes it is only counted and logged.
	CauseUnpublishable = "unpublishable"
)

// Metrics are the bridge's own. They count whether anybody looks or not: an event
// costs a tenth of a microsecond on supervisord's path, and no memory
// (BenchmarkMeasure).
type Metrics struct {
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

// Spool is what metrics show of the spool; zero before it is open.
type Spool struct {
	Bytes   int64  // on disk
	Records uint64 // that wait for JetStream
	Memory  int    // how many of them are in memory
}

// Deaths is what metrics show of the watch over supervisord's programs.
type Deaths struct {
	Watched, Unwatched, LookedAt, NotLookedAt int
	Wakeups                                   uint64
	OutOfMemory, Unclear, Unfollowed          uint64
}

// Config says where the values come from that are looked up at each scrape.
type Config struct {
	// LossCauses are the causes of losses, beside CauseUnpublishable.
	LossCauses []string
	// SpoolLimit is what the spool may take, in bytes.
	SpoolLimit int64
	// Ready reports whether events are accepted.
	Ready func() bool
	Spool func() Spool
	// OldestAge is since when the oldest record of the spool waits, in seconds.
	OldestAge func() float64
	Deaths    func() Deaths
}

// New registers the metrics.
func New(reg prometheus.Registerer, cfg Config) *Metrics {
	reg.MustRegister(
		version.NewCollector(Prefix),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	with := promauto.With(prometheus.WrapRegistererWithPrefix(Prefix+"_", reg))

	m := &Metrics{events: map[string]prometheus.Counter{}}
	m.registerDurations(with)
	m.registerCounters(with)
	m.registerEvents(with, cfg.LossCauses)
	registerSpool(with, cfg)
	m.registerState(with, cfg)
	registerDeaths(with, cfg.Deaths)
	return m
}

func (m *Metrics) registerDurations(with promauto.Factory) {
	m.answer = with.NewHistogram(prometheus.HistogramOpts{
		Name:    "answer_duration_seconds",
		Help:    "How long supervisord has waited for the answer to an event, from its header being read.",
		Buckets: []float64{25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 10e-3, 100e-3, 1, 10},
	})
	m.publish = with.NewHistogram(prometheus.HistogramOpts{
		Name:    "publish_duration_seconds",
		Help:    "Time from an event being read to its acknowledgement by the stream, of an earlier run's events too.",
		Buckets: []float64{5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10, 60, 600, 3600},
	})
}

func (m *Metrics) registerCounters(with promauto.Factory) {
	m.reconnects = with.NewCounter(prometheus.CounterOpts{
		Name: "nats_reconnects_total",
		Help: "Connections to NATS after the first one.",
	})
	m.duplicates = with.NewCounter(prometheus.CounterOpts{
		Name: "duplicate_events_total",
		Help: "Events sent for the first time that the stream already had: " +
			"of another listener of this supervisord, or of another one with our host and boot.",
	})
	m.disagreements = with.NewCounter(prometheus.CounterOpts{
		Name: "exit_disagreements_total",
		Help: "Deaths of which supervisord's log says otherwise than the kernel how the process ended; " +
			"the kernel is believed.",
	})
}

// registerEvents registers what is counted by name or by cause, with all its series: a
// counter that appears with its first value hides that one from rate().
func (m *Metrics) registerEvents(with promauto.Factory, lossCauses []string) {
	events := with.NewCounterVec(prometheus.CounterOpts{
		Name: "events_total",
		Help: "Events that supervisord was answered OK to, by name; " +
			otherEvent + " are those that supervisor's manual does not know.",
	}, []string{"event"})
	for _, name := range append(schema.Names(), otherEvent) {
		m.events[name] = events.WithLabelValues(name)
	}

	m.lost = with.NewCounterVec(prometheus.CounterOpts{
		Name: "lost_events_total",
		Help: "Events lost, by cause; damage of the spool that hides how many is one.",
	}, []string{"cause"})
	for _, cause := range append(lossCauses[:len(lossCauses):len(lossCauses)], CauseUnpublishable) {
		m.lost.WithLabelValues(cause)
	}
}

// newGauge registers a value that is looked up at each scrape.
func newGauge(with promauto.Factory, name, help string, value func() float64) {
	with.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
}

func (m *Metrics) registerState(with promauto.Factory, cfg Config) {
	newGauge(with, "nats_connected", "1 while there is a connection to NATS.",
		func() float64 { return oneIf(m.Connected()) })
	newGauge(with, "ready", "1 while events are accepted, as /readyz reports.",
		func() float64 { return oneIf(cfg.Ready()) })
}

func registerSpool(with promauto.Factory, cfg Config) {
	newGauge(with, "spool_bytes", "Size of the spool on disk.",
		func() float64 { return float64(cfg.Spool().Bytes) })
	newGauge(with, "spool_limit_bytes", "What --spool-max allows.",
		func() float64 { return float64(cfg.SpoolLimit) })
	newGauge(with, "spool_records", "Records that wait for JetStream.",
		func() float64 { return float64(cfg.Spool().Records) })
	newGauge(with, "spool_memory_records", "How many of them are in memory, since the disk takes none.",
		func() float64 { return float64(cfg.Spool().Memory) })
	newGauge(with, "spool_oldest_record_age_seconds",
		"Since when the oldest of them was read from supervisord; 0 without one.", cfg.OldestAge)
}

func registerDeaths(with promauto.Factory, deaths func() Deaths) {
	newGauge(with, "watched_processes", "Processes of supervisord whose death the kernel reports at once.",
		func() float64 { return float64(deaths().Watched) })
	newGauge(with, "unwatched_processes",
		"Processes that there is no descriptor for, so that their death is reported by supervisord alone.",
		func() float64 { return float64(deaths().Unwatched) })
	newGauge(with, "looked_at_processes",
		"Processes of supervisord whose memory, CPU time and descriptors are looked at while they run.",
		func() float64 { return float64(deaths().LookedAt) })
	newGauge(with, "not_looked_at_processes", "Processes that are too many to be looked at.",
		func() float64 { return float64(deaths().NotLookedAt) })

	for _, c := range []struct {
		name, help string
		value      func(Deaths) uint64
	}{
		{
			"wakeups_total", "How often supervisord was woken since one of its programs had died.",
			func(d Deaths) uint64 { return d.Wakeups },
		},
		{
			"out_of_memory_total", "Deaths of programs that the kernel killed because memory ran out.",
			func(d Deaths) uint64 { return d.OutOfMemory },
		},
		{
			"out_of_memory_unclear_total",
			"Deaths by SIGKILL that may be another one's lack of memory, so that nothing is reported; " +
				"with CAP_SYSLOG the kernel's log decides.",
			func(d Deaths) uint64 { return d.Unclear },
		},
		{
			"out_of_memory_unfollowed_total",
			"Processes of which it is not known whether they ran out of memory, " +
				"since there are too many, or too many cgroups.",
			func(d Deaths) uint64 { return d.Unfollowed },
		},
	} {
		with.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help},
			func() float64 { return float64(c.value(deaths())) })
	}
}

// Connected reports whether there is a connection to NATS.
func (m *Metrics) Connected() bool { return m.nats.Load() != nil }

// Duplicate counts an event sent for the first time that the stream already had.
func (m *Metrics) Duplicate() { m.duplicates.Inc() }

// Disagreement counts a death of which supervisord's log says otherwise than the kernel.
func (m *Metrics) Disagreement() { m.disagreements.Inc() }

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// Accepted counts an event. supervisord is waiting.
func (m *Metrics) Accepted(event string) {
	c := m.events[event]
	if c == nil {
		c = m.events[otherEvent]
	}
	c.Inc()
}

// Answered observes how long supervisord waited for an answer. The next event waits for
// it.
func (m *Metrics) Answered(took time.Duration) { m.answer.Observe(took.Seconds()) }

// Published observes an event, read at a time, that is in the stream by now. Clocks may
// have been set meanwhile.
func (m *Metrics) Published(read, now time.Time) {
	m.publish.Observe(max(0, now.Sub(read).Seconds()))
}

// Loss counts what was lost; n may be 0 for an unknown number.
func (m *Metrics) Loss(cause string, n uint64) {
	m.lost.WithLabelValues(cause).Add(float64(max(1, n)))
}

// ConnectionOptions make a connection report its state. Asking it would not do: while it
// tries to connect it lets nobody ask.
//
// again is called with each connection after the first one.
func (m *Metrics) ConnectionOptions(again func()) []nats.Option {
	up := func(nc *nats.Conn) {
		m.nats.Store(nc)
		if m.connected.Swap(true) {
			m.reconnects.Inc()
			again()
		}
	}
	// The end of an old one may be reported when there is a new one.
	down := func(nc *nats.Conn) { m.nats.CompareAndSwap(nc, nil) }
	return []nats.Option{
		nats.ConnectHandler(up),
		nats.ReconnectHandler(up),
		nats.DisconnectErrHandler(func(nc *nats.Conn, _ error) { down(nc) }),
		nats.ClosedHandler(down),
	}
}
