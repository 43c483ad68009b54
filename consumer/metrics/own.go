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

// registerEvents registers what is counted of the stream, with all its series.
func (m *Metrics) registerEvents() {
	events := promauto.With(m.events).NewCounterVec(prometheus.CounterOpts{
		Name: "supervisord_events_total",
		Help: "Events of all hosts that this instance has recorded since it started, by name; " +
			otherEvent + " are those that supervisor's manual does not know.",
	}, []string{"event"})

	m.byName = map[string]prometheus.Counter{}
	for _, name := range append(schema.Names(), otherEvent) {
		m.byName[name] = events.WithLabelValues(name)
	}
}

// CountMessage counts a message of the stream of events, by its subject. Every event waits
// for it: it takes some 50 ns and makes no garbage.
func (m *Metrics) CountMessage(subject string) {
	_, _, _, name, isEvent := schema.SubjectEvent(subject)
	if !isEvent {
		return
	}
	c := m.byName[name]
	if c == nil {
		c = m.byName[otherEvent]
	}
	c.Inc()
}
