package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"supernats/schema"
)

const (
	// askEvery is the least time from one call's end to the next one: supervisord
	// is a single thread, and hands out no events while it answers.
	askEvery = time.Second
	// askTimeout ends before Prometheus' own time-out of 10 s does.
	askTimeout = 3 * time.Second
)

// Processes is the process table for Prometheus, asked for when it scrapes, under the names
// that an exporter before it used: dashboards continue to work.
//
// However many scrape at once, supervisord is asked by one of them, and the others wait for
// that answer, at most askTimeout. When it does not answer, the table is the last one that
// it gave: a crash must not be hidden by series that vanish.
type Processes struct {
	// ask asks supervisord; failed is called when it does not answer.
	ask    func(context.Context) ([]schema.SnapshotProcess, error)
	failed func(error)

	// turn holds a value while one of them asks; it guards what is below.
	turn     chan struct{}
	asked    time.Time // when the last call ended
	ok       bool      // it was answered
	table    []schema.SnapshotProcess
	answered time.Time // when the table came
}

// NewProcesses returns a collector of the process table that ask returns, at most once a
// second; failed is called with its errors.
func NewProcesses(ask func(context.Context) ([]schema.SnapshotProcess, error), failed func(error)) *Processes {
	return &Processes{ask: ask, failed: failed, turn: make(chan struct{}, 1)}
}

var processLabels = []string{"name", "group"}

var (
	processUp = prometheus.NewDesc("supervisord_up",
		"1 if the process is STARTING or RUNNING.", processLabels, nil)
	processState = prometheus.NewDesc("supervisord_state",
		"State of the process: 0 STOPPED, 10 STARTING, 20 RUNNING, 30 BACKOFF, 40 STOPPING, "+
			"100 EXITED, 200 FATAL, 1000 UNKNOWN.", processLabels, nil)
	processExitStatus = prometheus.NewDesc("supervisord_exit_status",
		"Exit status as supervisord reports it: -1 after a signal, "+
			"0 from the next start on and of a process that has not come up.", processLabels, nil)
	processStart = prometheus.NewDesc("supervisord_start_time_seconds",
		"When the process was started, Unix time; only while it is STARTING or RUNNING.", processLabels, nil)
	// A counter by its name only. In the format OpenMetrics the two were one, which is why
	// that is not offered.
	processStartTotal = prometheus.NewDesc("supervisord_start_time_seconds_total",
		"The same as supervisord_start_time_seconds, for old dashboards.", processLabels, nil)
)

var (
	scrapeSuccess = prometheus.NewDesc("supervisord_scrape_success",
		"1 if supervisord has answered this time; else the other values are those of its last answer.", nil, nil)
	scrapeAnswered = prometheus.NewDesc("supervisord_last_scrape_success_timestamp_seconds",
		"When supervisord gave its last answer, Unix time; 0 without any.", nil, nil)
)

// Describe implements prometheus.Collector.
func (p *Processes) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		processUp, processState, processExitStatus, processStart, processStartTotal, scrapeSuccess, scrapeAnswered,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (p *Processes) Collect(ch chan<- prometheus.Metric) {
	table, answered, ok := p.lookUp()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		m, err := prometheus.NewConstMetric(d, kind, value, labels...)
		if err != nil {
			m = prometheus.NewInvalidMetric(d, err)
		}
		ch <- m
	}

	send(scrapeSuccess, prometheus.GaugeValue, oneIf(ok))
	since := 0.0
	if !answered.IsZero() {
		since = float64(answered.UnixMilli()) / 1e3
	}
	send(scrapeAnswered, prometheus.GaugeValue, since)

	for _, s := range table {
		up := schema.IsUp(s.State) // a program with a long startsecs has a process while it is STARTING
		send(processUp, prometheus.GaugeValue, oneIf(up), s.Process, s.Group)
		send(processState, prometheus.GaugeValue, float64(schema.StateCode(s.State)), s.Process, s.Group)
		send(processExitStatus, prometheus.GaugeValue, float64(s.ExitStatus), s.Process, s.Group)
		if up {
			send(processStart, prometheus.GaugeValue, float64(s.Start), s.Process, s.Group)
			send(processStartTotal, prometheus.CounterValue, float64(s.Start), s.Process, s.Group)
		}
	}
}

// lookUp returns the table, when supervisord gave it, and whether it has answered this
// time. The table must not be changed.
func (p *Processes) lookUp() (table []schema.SnapshotProcess, answered time.Time, ok bool) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if !p.asked.IsZero() && time.Since(p.asked) < askEvery {
		return p.table, p.answered, p.ok
	}

	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	table, err := p.ask(ctx)

	p.asked, p.ok = time.Now(), err == nil
	if err != nil {
		p.failed(err)
	} else {
		p.table, p.answered = table, p.asked
	}
	return p.table, p.answered, p.ok
}
