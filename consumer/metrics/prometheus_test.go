package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"supernats/consumer/fleet"
	"supernats/consumer/metrics/prometheustest"
	"supernats/schema"
)

// A pair of Prometheus servers that scrape in different intervals both see the first crash of
// a process that was new, and had crashed before either has scraped it. Neither sees crashes
// that are old.
func TestTheFirstCrashIsSeenByAPair(t *testing.T) {
	var snapshot atomic.Pointer[fleet.Snapshot]
	show := func(processes ...*fleet.Process) {
		for _, p := range processes {
			if p.Appeared.IsZero() {
				p.Appeared = time.Now()
			}
		}
		snapshot.Store(&fleet.Snapshot{
			Hosts: []*fleet.Host{host("web1", processes...)}, Now: time.Now(), Status: fleet.Status{Loaded: true, Live: true},
		})
	}
	m := New(Config{
		// It is made again all the time, as events come.
		Snapshot: func() *fleet.Snapshot {
			s := *snapshot.Load()
			s.Now = time.Now()
			return &s
		},
		Active: func() bool { return true }, Rules: func() []Rule { return nil }, NodeExporter: func() bool { return false },
		Pings: func() map[string]map[string]uint64 { return nil }, Log: zerolog.Nop(),
		IsLocal: func(*http.Request) bool { return true },
	})
	old := crashed("old", 7)
	old.Appeared = time.Now().Add(-time.Hour)
	show(old)

	mux := http.NewServeMux()
	m.Register(mux)
	daemon := httptest.NewServer(mux)
	defer daemon.Close()
	var pair []*prometheustest.Server
	for _, interval := range []string{"1s", "4s"} {
		config := filepath.Join(t.TempDir(), "prometheus.yml")
		text := fmt.Sprintf("global: {scrape_interval: %s, scrape_timeout: 1s}\n"+
			"scrape_configs: [{job_name: x, static_configs: [{targets: [%q]}]}]\n", interval, strings.TrimPrefix(daemon.URL, "http://"))
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		pair = append(pair, prometheustest.Start(t, config))
	}
	for _, p := range pair { // twice: the interval is known then
		p.Wait(`count_over_time(supervisord_process_exits_total{name="old",expected="false"}[1m]) >= 2`)
	}

	show(crashed("new", 1), old)
	for i, p := range pair {
		p.Wait(`increase(supervisord_process_exits_total{name="new",expected="false"}[1m]) > 0`)
		if got := p.Query(`increase(supervisord_process_exits_total{name="old"}[1m]) > 0 or resets(supervisord_process_exits_total[1m]) > 0`); len(got) > 0 {
			t.Errorf("server %d: %v", i, got)
		}
	}
}

// hostileNames are names that a fleet could invent to break an exposition.
func hostileNames() []string {
	return []string{
		``, ` `, `"`, `\`, `\\`, `\"`, `\n`, "\n", "a\nb\n", "\r\n", "\x00", "\x1b[31m", "\u2028", "\u202e", "é😀", "\ufffd",
		`a"} 1` + "\n" + `supervisord_up{host="forged",group="x",name="y"} 0`, "# EOF\n", "# HELP supervisord_up x\n", `{`, `}`, `,`, `=`,
		"API", "Api", "api", strings.Repeat("x", 10_000), strings.Repeat("\"", 10_000), "$labels", "{{ .Value }}", "<script>alert(1)</script>",
	}
}

// Whatever names hosts and processes have, a real Prometheus takes every series, in both
// formats, with the very names; and so does promtool.
func TestHostileNames(t *testing.T) {
	names := hostileNames()
	slices.Sort(names)
	var hosts []*fleet.Host
	for _, name := range names {
		hosts = append(hosts, host(name, process(name, schema.StateRunning, func(p *fleet.Process) { p.Group = name })))
	}
	d := newDaemon(hosts...)

	_, body := d.get(t, "/metrics?host=*", "text/plain")
	checkText(t, body)
	_, open := d.get(t, "/metrics?host=*", openMetrics)
	checkText(t, asText(t, open))
	promtool := exec.Command(prometheustest.Need(t, "promtool", "prometheus"), "check", "metrics")
	promtool.Stdin = strings.NewReader(body)
	if out, err := promtool.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v %s", err, out)
	}

	// Prometheus asks for OpenMetrics first. There is text alone where node_exporter's are.
	withText := newDaemon(hosts...)
	withText.node = true
	config := "global: {scrape_interval: 1s}\nscrape_configs:\n"
	for format, d := range map[string]*daemon{"OpenMetrics": d, "text": withText} {
		mux := http.NewServeMux()
		d.Register(mux)
		server := httptest.NewServer(mux)
		defer server.Close()
		config += fmt.Sprintf("- {job_name: %s, params: {host: ['*']}, static_configs: [{targets: [%q]}]}\n",
			format, strings.TrimPrefix(server.URL, "http://"))
	}
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := prometheustest.Start(t, file)
	for _, format := range []string{"OpenMetrics", "text"} {
		p.Wait(fmt.Sprintf(`count(supervisord_up{job=%q} == 1) == %d`, format, len(names)))
		var got []string
		for _, s := range p.Query(fmt.Sprintf(`supervisord_up{job=%q}`, format)) {
			if s.Metric["host"] != s.Metric["name"] || s.Metric["group"] != s.Metric["name"] {
				t.Errorf("%.200q", s.Metric)
			}
			got = append(got, s.Metric["name"])
		}
		slices.Sort(got)
		if d := cmp.Diff(names, got); d != "" {
			t.Errorf("%s (-names +in Prometheus)\n%s", format, d)
		}
	}
}
