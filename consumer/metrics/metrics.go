// Package metrics is what Prometheus sees of `supernats consume`: every process and host of
// the fleet, from its records, the daemon itself, and the addresses of the bridges for
// Prometheus's service discovery.
//
// /metrics has all of it, /metrics/self the daemon alone, and /metrics?host=GLOB the series
// of some hosts alone, so that several jobs can share a large fleet. Of several daemons only
// the active one exports the fleet: each series is there once.
//
// Under pressure: nobody waits for a scrape. It reads one immutable snapshot, and writes it
// through a buffer of 64 KiB: a client that reads slowly holds a goroutine, that buffer and
// the hosts that have changed since, for at most the 30 s that schema/httplimit allows. Two
// scrapes at a time make text, none of them while it waits for its client; the others wait,
// and beyond 16 they are answered 503. What is kept are the labels of each process, some 60
// bytes. Labels are bounded: names of processes and hosts by the limits of the records,
// names of events and causes of losses by what supervisor's manual and we know.
package metrics

import (
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/rs/zerolog"

	"supernats/consumer/fleet"
	"supernats/schema"
)

const (
	// maxScrapes are served at once, maxRendering of them make text at a time.
	maxScrapes   = 16
	maxRendering = 2
)

// Config says where the values come from that are looked up at each scrape.
type Config struct {
	// Snapshot returns the records.
	Snapshot func() *fleet.Snapshot
	// Active reports whether this is the instance that records and notifies.
	Active func() bool
	// Rules are those in force. NodeExporter reports whether to add what node_exporter's
	// collector of supervisord exports.
	Rules        func() []Rule
	NodeExporter func() bool
	// Pings returns how many pings of each watchdog had each result.
	Pings func() map[string]map[string]uint64
	// IsLocal reports whether a request comes from this machine, and through no proxy.
	IsLocal func(*http.Request) bool
	Log     zerolog.Logger
}

// Rule is what metrics show of a rule.
type Rule struct{ Name, Severity string }

// Metrics are the rooms /metrics and /api/v1/sd, and count what the parts of the daemon
// report. It is safe for concurrent use.
type Metrics struct {
	cfg Config
	// own are those of the daemon; events are counts of what is in no record.
	own    *prometheus.Registry
	events atomic.Pointer[eventCounts]

	notifications notifications
	labels        labelCache
	scrapers      scrapers

	// scrapes has room for maxScrapes values, rendering for maxRendering.
	scrapes   chan struct{}
	rendering chan struct{}
}

// New returns the metrics of a daemon.
func New(cfg Config) *Metrics {
	m := &Metrics{
		cfg: cfg, own: prometheus.NewRegistry(),
		scrapes: make(chan struct{}, maxScrapes), rendering: make(chan struct{}, maxRendering),
	}
	m.registerOwn()
	m.BeginEvents()
	return m
}

// Register implements web.Room.
func (m *Metrics) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /metrics", m.serveMetrics)
	mux.HandleFunc("GET /metrics/self", m.serveSelf)
	mux.HandleFunc("GET /api/v1/sd", m.serveDiscovery)
}

// contents are the parts of an exposition.
type contents struct {
	own, events bool
	// hosts are those to export, of the snapshot; nil: no host.
	hosts []hostLabels
	// newSince is since when a process appeared whose counters are exported at 0.
	newSince time.Time
	// node adds what node_exporter exports.
	node bool
}

func (m *Metrics) serveMetrics(w http.ResponseWriter, r *http.Request) {
	globs := schema.SplitGlobs(r.URL.Query()["host"])
	if slices.Contains(globs, "") { // no host has that name: a job would see nothing, and no error
		http.Error(w, "host: missing value: want a glob such as web*", http.StatusBadRequest)
		return
	}
	for _, text := range globs {
		if _, err := schema.ParseGlob(text); err != nil {
			http.Error(w, fmt.Sprintf("host: %v", err), http.StatusBadRequest)
			return
		}
	}

	now, isKept := time.Now(), keepsSeries(r)
	if isKept { // standing by as well: at a take-over the intervals are known
		m.scrapers.scraped(r.RemoteAddr, now)
	}
	c := contents{own: len(globs) == 0, newSince: never}
	if s := m.cfg.Snapshot(); m.cfg.Active() && s.Status.Loaded {
		c.events = c.own
		c.node = m.cfg.NodeExporter()
		c.hosts = selectHosts(m.labels.of(s), globs)
		if isKept {
			c.newSince = m.scrapers.newSince(now, s.Time())
		}
	} else {
		m.labels.reset()
	}
	m.serve(w, r, c)
}

func (m *Metrics) serveSelf(w http.ResponseWriter, r *http.Request) {
	m.serve(w, r, contents{own: true})
}

// serve writes an exposition, unless too many are being written.
func (m *Metrics) serve(w http.ResponseWriter, r *http.Request, c contents) {
	select {
	case m.scrapes <- struct{}{}:
		defer func() { <-m.scrapes }()
	default:
		w.Header().Set("Retry-After", "30")
		http.Error(w, fmt.Sprintf("%d scrapes are being answered already", maxScrapes), http.StatusServiceUnavailable)
		return
	}

	format := m.negotiate(r.Header)
	w.Header().Set("Content-Type", string(format))
	w.Header().Set("Cache-Control", "no-store")

	m.rendering <- struct{}{}
	defer func() { <-m.rendering }()
	out, finish := m.compress(w, r)
	defer finish()
	p := newPage(out, format)
	defer p.release()
	m.render(p, c)
	if err := p.close(); err != nil {
		m.cfg.Log.Debug().Err(err).Str("client", r.RemoteAddr).Msg("a scrape was not read to its end")
	}
}

// negotiate returns the format of an answer. The metrics of node_exporter are there in the
// text format alone: what it calls a counter without a _total cannot be one in OpenMetrics,
// which Prometheus asks for first.
func (m *Metrics) negotiate(header http.Header) expfmt.Format {
	text := expfmt.NewFormat(expfmt.TypeTextPlain)
	if m.cfg.NodeExporter() {
		return expfmt.NegotiateAccept(header, text)
	}
	return expfmt.NegotiateAccept(header, expfmt.NewFormat(expfmt.TypeOpenMetrics), text)
}

// render writes the parts of an exposition.
func (m *Metrics) render(p *page, c contents) {
	if c.own {
		p.gather(m.own)
	}
	if c.events {
		p.gather(m.events.Load().registry)
	}
	if c.hosts == nil {
		return
	}

	for i := range hostFamilies {
		p.writeHosts(&hostFamilies[i], c.hosts)
	}
	for i := range processFamilies {
		p.writeProcesses(&processFamilies[i], c.hosts, c.newSince)
	}
	if c.node {
		for i := range nodeFamilies {
			p.writeProcesses(&nodeFamilies[i], c.hosts, c.newSince)
		}
	}
}
