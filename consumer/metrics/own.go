package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"supernats/consumer/fleet"
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

// States of alerts in supernats_alerts.
const (
	stateFiring    = "firing"
	statePending   = "pending"
	stateMuted     = "muted"
	stateInhibited = "inhibited"
)

var alertStates = []string{stateFiring, statePending, stateMuted, stateInhibited}

// alertsCollector counts the open alerts.
type alertsCollector struct{ metrics *Metrics }

var alertsDesc = prometheus.NewDesc("supernats_alerts",
	"Alerts that are open, by rule; pending are those of which not enough has happened yet.",
	[]string{"rule", "severity", "state"}, nil)

// Describe implements prometheus.Collector.
func (c alertsCollector) Describe(ch chan<- *prometheus.Desc) { ch <- alertsDesc }

// Collect implements prometheus.Collector. Every rule has all its series, at 0. What the
// records say is not known before they were read.
func (c alertsCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.metrics.cfg.Snapshot()
	if !s.Status.Loaded {
		return
	}

	counts := map[Rule]map[string]int{}
	for _, rule := range c.metrics.cfg.Rules() {
		counts[rule] = map[string]int{}
	}
	for _, a := range s.Alerts {
		rule := Rule{a.Rule, a.Severity}
		if counts[rule] == nil { // of a configuration before this one
			counts[rule] = map[string]int{}
		}
		counts[rule][stateOfAlert(a)]++
	}

	for rule, count := range counts {
		for _, state := range alertStates {
			ch <- prometheus.MustNewConstMetric(alertsDesc, prometheus.GaugeValue, float64(count[state]),
				rule.Name, rule.Severity, state)
		}
	}
}

// stateOfAlert returns the state of an alert, "" of one that is over.
func stateOfAlert(a *fleet.Alert) string {
	switch {
	case a.Phase == schema.PhasePending:
		return statePending
	case !a.IsOpen():
		return ""
	case a.Mute != "":
		return stateMuted
	case a.InhibitedBy != "":
		return stateInhibited
	}
	return stateFiring
}

// lagCollector says how far the records are behind the stream.
type lagCollector struct{ metrics *Metrics }

var (
	lagMessages = prometheus.NewDesc("supernats_consumer_lag_messages",
		"Messages of the stream of events that are not recorded yet; missing while that cannot be found out.", nil, nil)
	lagSeconds = prometheus.NewDesc("supernats_consumer_lag_seconds",
		"How long the oldest of them has waited or, while that cannot be found out, since when it cannot.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c lagCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- lagMessages
	ch <- lagSeconds
}

// Collect implements prometheus.Collector.
func (c lagCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.metrics.cfg.Snapshot().Status
	if !s.Loaded {
		return
	}

	age := s.LagAge
	if !s.Live {
		age = max(age, time.Since(s.Since))
	}
	ch <- prometheus.MustNewConstMetric(lagSeconds, prometheus.GaugeValue, age.Seconds())
	if s.Live || s.Lag > 0 {
		ch <- prometheus.MustNewConstMetric(lagMessages, prometheus.GaugeValue, float64(s.Lag))
	}
}
