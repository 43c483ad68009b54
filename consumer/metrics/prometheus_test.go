package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/fleet"
	"supernats/consumer/metrics/prometheustest"
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
	})
	m.zeroFor = 6 * time.Second
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
	for _, p := range pair {
		p.Wait(`supervisord_process_exits_total{name="old",expected="false"} == 7`)
	}

	show(crashed("new", 1), old)
	for i, p := range pair {
		p.Wait(`increase(supervisord_process_exits_total{name="new",expected="false"}[1m]) > 0`)
		if got := p.Query(`increase(supervisord_process_exits_total{name="old"}[1m]) > 0 or resets(supervisord_process_exits_total[1m]) > 0`); len(got) > 0 {
			t.Errorf("server %d: %v", i, got)
		}
	}
}
