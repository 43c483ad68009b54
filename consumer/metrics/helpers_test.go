package metrics

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/fleet"
	"supernats/consumer/inspect"
	"supernats/schema"
)

// noon is the time of the snapshots.
var noon = schema.Time{Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}

// openMetrics is what a Prometheus of today asks for first.
const openMetrics = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
	"application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.4"

// daemon is one whose records are made up.
type daemon struct {
	*Metrics
	snapshot *fleet.Snapshot
	active   bool
	node     bool
	rules    []Rule
	pings    map[string]map[string]uint64
	// isLocal says that who asks is on this machine.
	isLocal bool
}

// newDaemon returns an active one with hosts.
func newDaemon(hosts ...*fleet.Host) *daemon {
	d := &daemon{active: true}
	d.snapshot = &fleet.Snapshot{Hosts: hosts, Now: noon.Time, Status: fleet.Status{Loaded: true, Live: true}}
	d.Metrics = New(Config{
		Snapshot:     func() *fleet.Snapshot { return d.snapshot },
		Active:       func() bool { return d.active },
		Rules:        func() []Rule { return d.rules },
		NodeExporter: func() bool { return d.node },
		Pings:        func() map[string]map[string]uint64 { return d.pings },
		IsLocal:      func(*http.Request) bool { return d.isLocal },
		Log:          zerolog.Nop(),
	})
	return d
}

// host returns one with processes, sorted by the caller.
func host(name string, processes ...*fleet.Process) *fleet.Host {
	for _, p := range processes {
		p.Host = name
	}
	return &fleet.Host{
		Host:      inspect.Host{HostRecord: schema.HostRecord{Host: name, LastSeen: noon}},
		Processes: processes,
	}
}

// process returns one of the group api.
func process(name, state string, change ...func(*fleet.Process)) *fleet.Process {
	p := &fleet.Process{Process: inspect.Process{ProcessRecord: schema.ProcessRecord{
		Group: "api", Process: name, State: state, Since: noon,
	}}}
	for _, c := range change {
		c(p)
	}
	return p
}

// get asks for an address as Prometheus does, with a header Accept.
func (d *daemon) get(t *testing.T, path, accept string) (answer *http.Response, body string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept", accept)
	r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "10")
	return d.answer(t, r)
}

// answer returns what comes to a request.
func (d *daemon) answer(t *testing.T, r *http.Request) (answer *http.Response, body string) {
	t.Helper()
	mux := http.NewServeMux()
	d.Register(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)

	answer = w.Result()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(b)
}

// samples returns the lines of an exposition that begin with a prefix and are no comments.
func samples(body, prefix string) (lines []string) {
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// crowd returns hosts with 20 processes each.
func crowd(hosts int) []*fleet.Host {
	list := make([]*fleet.Host, hosts)
	for i := range list {
		processes := make([]*fleet.Process, 20)
		for j := range processes {
			processes[j] = process(fmt.Sprintf("api_%02d", j), schema.StateRunning)
			processes[j].Started = &noon
			processes[j].Starts = uint64(j)
		}
		list[i] = host(fmt.Sprintf("web%05d.example.com", i), processes...)
	}
	return list
}
