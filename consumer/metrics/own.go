package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"supernats/schema"
)

// otherEvent stands for all names that are not supervisor's: anybody can make up any number
// of them.
const otherEvent = "other"

// registerOwn registers what is about the daemon.
func (m *Metrics) registerOwn() {
	m.own.MustRegister(
		version.NewCollector("supernats"),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		alertsCollector{m},
		lagCollector{m},
		pingsCollector{m},
	)
	with := promauto.With(m.own)
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "supernats_leader",
		Help: "1 if this instance records and notifies, 0 while it stands by.",
	}, func() float64 { return oneIf(m.cfg.Active()) })
	m.notifications = newNotifications(with)
}

// BeginEvents starts to count events, all at 0. It is for an instance that becomes active,
// and nothing is counted meanwhile.
//
// No record holds these counts: one would be written for each event. So that they add up
// over several instances, each begins at 0 whenever it takes over. Prometheus takes a fall to
// 0 for what it is; if one continued with what it counted last time, another one having
// exported more meanwhile, all of that would count again.
func (m *Metrics) BeginEvents() {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "supervisord_events_total",
		Help: "Events of all hosts that were recorded since this instance became active, by name; " +
			otherEvent + " are those that supervisor's manual does not know.",
	}, []string{"event"})
	byName := map[string]prometheus.Counter{}
	for _, name := range append(schema.Names(), otherEvent) {
		byName[name] = events.WithLabelValues(name)
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(events)
	m.events.Store(&eventCounts{registry, byName})
}

// eventCounts are counters of events.
type eventCounts struct {
	registry *prometheus.Registry
	byName   map[string]prometheus.Counter
}

// CountMessage counts a message of the stream of events, by its subject. Every event waits
// for it: it takes some 50 ns and makes no garbage.
func (m *Metrics) CountMessage(subject string) {
	_, _, _, name, isEvent := schema.SubjectEvent(subject)
	if !isEvent {
		return
	}
	byName := m.events.Load().byName
	c := byName[name]
	if c == nil {
		c = byName[otherEvent]
	}
	c.Inc()
}
