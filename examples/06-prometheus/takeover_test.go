package prometheus

import (
	"fmt"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/consumer/metrics/prometheustest"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/stream/streamtest"
)

// crashes is how often the victim crashes before the instances change.
const crashes = 3

// The active one of two instances is killed, the other one takes over, and the first one
// comes back and takes over from that, rebuilding the records. For Prometheus nothing has
// happened to the processes meanwhile: no counter of theirs falls, none grows.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	server := streamtest.Start(t)
	first := startDaemon(t, server.URL)
	supervisordtest.Wait(t, 60*time.Second, func() bool { return first.isLeader(t) }, "the first instance to be active")
	second := startDaemon(t, server.URL)
	s := supervisordtest.Start(t, section(t, server.URL, "web1")+"[program:victim]\ncommand=cat\nautorestart=true\n")
	p := prometheustest.Start(t, pairConfig(t, first.address, second.address))

	victim := `supervisord_process_exits_total{name="victim",expected="false"}`
	p.Wait(victim + ` == 0`)
	for i := range crashes {
		s.WaitLog(t, "success: victim entered RUNNING", i+1)
		s.MustCtl(t, "signal", "KILL", "victim")
	}
	counted := fmt.Sprintf("%s == %d", victim, crashes)
	p.Wait(counted)

	first.kill(t)
	p.Wait(`supernats_leader{instance="` + second.address + `"} == 1`)
	p.Wait(counted)
	first.start(t, "--rebuild")
	p.Wait(`supernats_leader{instance="` + first.address + `"} == 0`)
	second.kill(t)
	p.Wait(`supernats_leader{instance="` + first.address + `"} == 1`)
	p.Wait(counted)
	time.Sleep(3 * time.Second) // some scrapes more

	for _, counter := range []string{"process_starts", "process_exits", "process_fatals", "events_lost"} {
		if got := p.Query(`resets(supervisord_` + counter + `_total[10m]) > 0`); len(got) > 0 {
			t.Errorf("counters fell: %v", got)
		}
		if got := p.Query(`count_over_time(supervisord_` + counter + `_total[10m]) > 5`); len(got) == 0 {
			t.Errorf("there is no supervisord_%s_total", counter)
		}
	}
	if got := p.Query(fmt.Sprintf(`max_over_time(%s[10m]) > %d`, victim, crashes)); len(got) > 0 {
		t.Errorf("there were %d crashes: %v", crashes, got)
	}
	if got := p.Query(`resets(supervisord_events_total{event="PROCESS_STATE_EXITED"}[10m]) > 1`); len(got) > 0 {
		t.Errorf("events begin at 0 with another instance, and only then: %v", got)
	}
	if got := p.Query(`increase(supervisord_events_total{event="PROCESS_STATE_EXITED"}[10m]) > ` + fmt.Sprint(crashes+1)); len(got) > 0 {
		t.Errorf("events that nobody sent: %v", got)
	}
}

// pairConfig scrapes two instances as prometheus.yml does.
func pairConfig(t *testing.T, targets ...string) string {
	t.Helper()
	return natsconntest.File(t, "prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 1s}
scrape_configs:
- job_name: supernats
  static_configs: [{targets: [%q, %q]}]
  metric_relabel_configs:
  - {source_labels: [__name__], regex: "(node_)?supervisord_.*", target_label: instance, replacement: fleet}
`, targets[0], targets[1]))
}
