package metrics

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"supernats/consumer/fleet"
	"supernats/schema"
)

// States of alerts in supernats_alerts.
const (
	stateFiring       = "firing"
	statePending      = "pending"
	stateMuted        = "muted"
	stateInhibited    = "inhibited"
	stateAcknowledged = "acknowledged"
)

var alertStates = []string{stateFiring, statePending, stateMuted, stateInhibited, stateAcknowledged}

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
	case a.IsAcknowledged():
		return stateAcknowledged
	}
	return stateFiring
}

// lagCollector says how far the records are behind the stream.
type lagCollector struct{ metrics *Metrics }

var (
	lagMessages = prometheus.NewDesc("supernats_consumer_lag_messages",
		"Messages of the stream of events that are not recorded yet; missing while that cannot be found out.", nil, nil)
	lagSeconds = prometheus.NewDesc("supernats_consumer_lag_seconds",
		"How long the oldest of them has waited or, while that cannot be found out, since when it cannot: "+
			"+Inf if that is not known.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c lagCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- lagMessages
	ch <- lagSeconds
}

// Collect implements prometheus.Collector.
func (c lagCollector) Collect(ch chan<- prometheus.Metric) {
	snapshot := c.metrics.cfg.Snapshot()
	s := snapshot.Status
	if !s.Loaded {
		return
	}

	age := s.LagAge.Seconds()
	switch {
	case s.Live:
	case s.Since.IsZero():
		age = math.Inf(1)
	default:
		age = max(age, snapshot.Time().Sub(s.Since).Seconds()) // both are the server's
	}
	ch <- prometheus.MustNewConstMetric(lagSeconds, prometheus.GaugeValue, age)
	if s.Live || s.Lag > 0 {
		ch <- prometheus.MustNewConstMetric(lagMessages, prometheus.GaugeValue, float64(s.Lag))
	}
}

// pingsCollector counts what the watchdogs have sent.
type pingsCollector struct{ metrics *Metrics }

var pingsDesc = prometheus.NewDesc("supernats_watchdog_pings_total",
	"Pings of a watchdog: ping says that people are notified, fail that they are not; error was not taken.",
	[]string{"watchdog", "result"}, nil)

// Describe implements prometheus.Collector.
func (c pingsCollector) Describe(ch chan<- *prometheus.Desc) { ch <- pingsDesc }

// Collect implements prometheus.Collector.
func (c pingsCollector) Collect(ch chan<- prometheus.Metric) {
	for watchdog, counts := range c.metrics.cfg.Pings() {
		for result, n := range counts {
			ch <- prometheus.MustNewConstMetric(pingsDesc, prometheus.CounterValue, float64(n), watchdog, result)
		}
	}
}
