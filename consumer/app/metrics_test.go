package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"supernats/consumer/config"
	"supernats/consumer/fleettest"
	"supernats/schema"
)

// scrape returns what a daemon exports.
func scrape(t *testing.T, a *daemon) string {
	t.Helper()
	w := httptest.NewRecorder()
	a.webServer().Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// The fleet is exported by the active one of two daemons. The other one exports itself, and
// continues with the same counters when the first one stops.
func TestOneOfTwoDaemonsExportsTheFleet(t *testing.T) {
	f := fleettest.New(t)
	const crashes = `supervisord_process_exits_total{host="web1",group="api",name="api_00",expected="false"} `
	exports := func(a *daemon, lines ...string) func() bool {
		return func() bool {
			body := scrape(t, a)
			for _, line := range lines {
				if !strings.Contains(body, "\n"+line+"\n") {
					return false
				}
			}
			return true
		}
	}

	cfg := config.Default()
	cfg.NATS.URL, cfg.Listen = f.Server.URL, "127.0.0.1:0"
	first := readyDaemon(t, cfg)
	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateStarting), f.Event(schema.ProcessStateRunning)))
	f.Until("a process that has never crashed is exported", exports(first, crashes+"0"))
	f.WaitHandled(f.Publish(f.Crash()))
	f.Until("the first daemon exports the crash", exports(first, crashes+"1", "supernats_leader 1",
		`supervisord_events_total{event="PROCESS_STATE_EXITED"} 1`, `supernats_consumer_lag_messages 0`,
		`supernats_alerts{rule="unexpected-exit",severity="critical",state="firing"} 1`))

	second := readyDaemon(t, cfg)
	f.Until("the second daemon exports itself", exports(second, "supernats_leader 0",
		`supernats_alerts{rule="unexpected-exit",severity="critical",state="firing"} 1`))
	if body := scrape(t, second); strings.Contains(body, "supervisord_") {
		t.Errorf("both export the fleet:\n%s", body)
	}

	first.Stop()
	if body := scrape(t, first); strings.Contains(body, "supervisord_") || !strings.Contains(body, "\nsupernats_leader 0\n") {
		t.Errorf("the one that has stopped still exports the fleet:\n%s", body)
	}
	f.Until("the second daemon exports the crash", exports(second, crashes+"1", "supernats_leader 1"))
	f.WaitHandled(f.Publish(f.Crash()))
	f.Until("the second daemon counts on", exports(second, crashes+"2"))
}
