package prometheus

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/consumer/metrics/prometheustest"
	"supernats/schema/schematest"
)

// openMetrics is what Prometheus asks for first.
const openMetrics = "application/openmetrics-text;version=1.0.0"

// The whole way: what supervisord runs is scraped by a real Prometheus, from the daemon and
// from the bridge that it discovers.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	p := startPrometheus(t, f)

	t.Run("what runs is up", func(t *testing.T) {
		p.Wait(`supervisord_up{job="supernats",instance="fleet",host="localhost",group="steady",name="steady"} == 1`)
		p.Wait(`supervisord_process_exits_total{name="victim",expected="false"} == 0`)
		p.Wait(`host:supervisord_up:sum{host="localhost"} >= 4`)
	})
	t.Run("the rule for a Python exporter fires for a process that is stopped", func(t *testing.T) {
		f.MustCtl(t, "stop", "stopped")
		for _, alert := range []string{"ProcessIsDown", "SupervisorProcessDown"} {
			p.Wait(`ALERTS{alertname="` + alert + `",alertstate="firing",host="localhost",group="stopped",name="stopped"}`)
		}
		if got := p.Query(`ALERTS{alertname=~".*Down",name="steady"}`); len(got) > 0 {
			t.Errorf("of a process that runs: %v", got)
		}
	})
	// Counters of new processes are at 0 for two scrapes.
	f.MustCtl(t, "signal", "SEGV", "victim")
	addBrief(t, f)
	t.Run("a receiver that cannot be reached", func(t *testing.T) {
		p.Wait(`increase(supernats_notifications_failed_total{receiver="hook",reason="outage"}[1m]) > 0`)
		p.Wait(`supernats_alerts{rule="unexpected-exit",state="firing"} == 2`)
	})
	t.Run("the bridge is discovered", func(t *testing.T) {
		// A host that is called localhost is one at its address, if that is known.
		_, port, _ := net.SplitHostPort(f.bridge)
		p.Wait(`up{job="supernats-bridge",instance=~".+:` + port + `",host="localhost"} == 1`)
		p.Wait(`supernats_bridge_events_total{job="supernats-bridge",event="PROCESS_STATE_RUNNING"} > 0`)
		if got := p.Query(`supervisord_up{job="supernats-bridge"}`); len(got) > 0 {
			t.Errorf("processes are there twice: %v", got)
		}
	})
	t.Run("so are one with TLS, and one on loopback of this machine", func(t *testing.T) {
		p.Wait(`up{job="supernats-bridge",instance=~".+:` + f.secure + `",host="127.0.0.2"} == 1`)
		p.Wait(`up{job="supernats-bridge",host="web 3"} == 1`)
		if got := p.Query(`up{job="supernats-bridge"} == 0`); len(got) > 0 {
			t.Errorf("%v", got)
		}
	})
	t.Run("the bridge says the same of the processes", func(t *testing.T) { sameAsTheBridge(t, f) })
	t.Run("every metric of the dashboard is there", func(t *testing.T) { checkDashboard(t, p) })
	t.Run("the first crash has an increase", func(t *testing.T) {
		p.Wait(`increase(supervisord_process_exits_total{name="victim",expected="false"}[1m]) > 0`)
		p.Wait(`supervisord_exit_status{name="victim"} == -1`)
		p.Wait(`increase(supervisord_events_total{event="PROCESS_STATE_EXITED"}[1m]) > 0`)
	})
	t.Run("so has that of a process that is new, and ends at once", func(t *testing.T) {
		p.Wait(`increase(supervisord_process_exits_total{name="brief",expected="false"}[1m]) > 0`)
	})
	t.Run("promtool finds nothing", func(t *testing.T) { checkMetrics(t, f) })
	t.Run("the manual has every metric, and no other", func(t *testing.T) { checkManual(t, f) })
}

// addBrief adds a program that ends at once.
func addBrief(t *testing.T, f *fleet) {
	t.Helper()
	conf, err := os.ReadFile(f.Dir + "/supervisord.conf")
	if err != nil {
		t.Fatal(err)
	}
	const brief = "[program:brief]\ncommand=sh -c \"exit 3\"\nstartsecs=0\nautorestart=false\n"
	if err := os.WriteFile(f.Dir+"/supervisord.conf", append(conf, brief...), 0o600); err != nil {
		t.Fatal(err)
	}
	f.MustCtl(t, "update")
}

// sameAsTheBridge compares what the bridge asks supervisord with what the daemon knows from
// events.
func sameAsTheBridge(t *testing.T, f *fleet) {
	_, fromFleet := get(t, "http://"+f.metrics+"/metrics", "")
	_, fromBridge := get(t, "http://"+f.bridge+"/metrics", "")
	types := described(fromBridge)
	slices.Sort(types)
	if got := slices.Sorted(slices.Values(described(fromFleet))); len(types) != 10 || !slices.Equal(types, got) {
		t.Errorf("types and help differ (-bridge +fleet)\n%s", cmp.Diff(types, got))
	}

	var fleet, bridge []string
	values := func(body string, isWanted *regexp.Regexp) (lines []string) {
		for line := range strings.Lines(body) {
			if isWanted.MatchString(line) {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		slices.Sort(lines)
		return lines
	}
	wanted := regexp.MustCompile(`^supervisord_(up|state|exit_status)\{`)
	labels := regexp.MustCompile(`\{group="([^"]*)",name="([^"]*)"\}`)
	supervisordtest.Wait(t, 90*time.Second, func() bool { // until the next table, which has the exit status of what was stopped
		_, body := get(t, "http://"+f.metrics+"/metrics?host=localhost", "")
		fleet = values(body, wanted)
		_, body = get(t, "http://"+f.bridge+"/metrics", "")
		bridge = values(labels.ReplaceAllString(body, `{host="localhost",group="$1",name="$2"}`), wanted)
		return slices.Equal(fleet, bridge)
	}, "both to agree; now they differ in (-bridge +fleet)\n%s", lazily(func() string { return cmp.Diff(bridge, fleet) }))
}

// described returns what an exposition says of the metrics of processes.
func described(body string) (lines []string) {
	return regexp.MustCompile(`(?m)^# (?:HELP|TYPE) supervisord_(?:up|state|exit_status|start_time_seconds|start_time_seconds_total) .*$`).FindAllString(body, -1)
}

// lazily is a text that is made when it is printed.
type lazily func() string

func (l lazily) String() string { return l() }

// checkDashboard evaluates every expression of the dashboard, and looks up each metric in it.
func checkDashboard(t *testing.T, p *prometheustest.Server) {
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard any
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$host", ".*", "$group", ".*")
	names := map[string]bool{}
	expressions := 0
	for _, e := range texts(dashboard, "expr", "query") {
		expression := e
		if inner, isLabels := strings.CutPrefix(e, "label_values("); isLabels {
			expression = inner[:strings.LastIndex(inner, ",")]
		} else if e == "prometheus" {
			continue
		}
		expressions++
		p.Query(variables.Replace(expression)) // is it one
		for _, name := range metricName.FindAllString(expression, -1) {
			names[name] = true
		}
	}
	if expressions < 20 || len(names) < 20 {
		t.Errorf("only %d expressions with %d metrics were found", expressions, len(names))
	}
	for name := range names {
		p.Wait(name)
	}
}

// metricName is one of ours, or of the libraries.
var metricName = regexp.MustCompile(`\b(?:supervisord|supernats|go|process)_[a-z0-9_]+\b`)

// texts returns the texts under some keys, at any depth.
func texts(value any, keys ...string) (list []string) {
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			list = append(list, texts(v, keys...)...)
		}
	case map[string]any:
		for key, v := range value {
			if text, isText := v.(string); isText && slices.Contains(keys, key) {
				list = append(list, text)
			}
			list = append(list, texts(v, keys...)...)
		}
	}
	return list
}

// checkMetrics has promtool look at both formats. It reads text alone, so that OpenMetrics
// gets the names that counters have there.
func checkMetrics(t *testing.T, f *fleet) {
	promtool := prometheustest.Need(t, "promtool", "prometheus")
	for _, accept := range []string{"", openMetrics} {
		answer, body := get(t, "http://"+f.metrics+"/metrics", accept)
		if isOpen := strings.HasPrefix(answer.Header.Get("Content-Type"), "application/openmetrics-text"); isOpen != (accept != "") {
			t.Errorf("asked for %q, got %s", accept, answer.Header.Get("Content-Type"))
		}
		if accept != "" {
			body = asText(t, body)
		}
		c := exec.Command(promtool, "check", "metrics")
		c.Stdin = strings.NewReader(body)
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool check metrics (Accept: %s): %v\n%s", accept, err, out)
		}
	}
}

var (
	openCounter = regexp.MustCompile(`(?m)^# TYPE (\S+) counter$`)
	openUnknown = regexp.MustCompile(`(?m)^(# TYPE \S+_total) unknown$`)
)

// asText makes the text format of OpenMetrics.
func asText(t *testing.T, open string) string {
	t.Helper()
	open, isEnded := strings.CutSuffix(open, "# EOF\n")
	if !isEnded {
		t.Error("the last line is not # EOF")
	}
	for _, m := range openCounter.FindAllStringSubmatch(open, -1) {
		for _, line := range []string{"# HELP " + m[1] + " ", "# TYPE " + m[1] + " counter"} {
			open = strings.Replace(open, line, strings.Replace(line, m[1], m[1]+"_total", 1), 1)
		}
	}
	return openUnknown.ReplaceAllString(open, "$1 counter")
}

// checkManual compares the table of the manual with a scrape, in both directions.
func checkManual(t *testing.T, f *fleet) {
	var manual string
	for _, m := range schematest.Manuals(t) {
		if m.File == "consumer/README.md" {
			_, manual, _ = strings.Cut(m.Text, "\n## Metrics of the fleet\n")
			manual, _, _ = strings.Cut(manual, "\n## ")
		}
	}
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`su[^|]+) \\|").FindAllStringSubmatch(manual, -1) {
		for _, name := range regexp.MustCompile("`(su[a-z_]+)").FindAllStringSubmatch(row[1], -1) {
			listed = append(listed, name[1])
		}
	}
	slices.Sort(listed)

	var scraped []string
	_, body := get(t, "http://"+f.metrics+"/metrics", "")
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (su\S+) `).FindAllStringSubmatch(body, -1) {
		scraped = append(scraped, m[1])
	}
	slices.Sort(scraped)
	if d := cmp.Diff(scraped, listed); d != "" {
		t.Errorf("(-scrape +manual)\n%s", d)
	}
}

// The files are as their programs want them.
func TestFiles(t *testing.T) {
	promtool, amtool := prometheustest.Need(t, "promtool", "prometheus"), prometheustest.Need(t, "amtool", "prometheus-alertmanager")
	for _, c := range [][]string{
		{promtool, "check", "config", "prometheus.yml"},
		{promtool, "check", "rules", "supernats.rules.yml"},
		{promtool, "test", "rules", "supernats.rules.test.yml"},
		{amtool, "check-config", "alertmanager.yml"},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(c, " "), err, out)
		}
	}
}

// Every alert says what it is about, how bad it is, and where to read what to do; and each is
// in the test of the rules.
func TestAlerts(t *testing.T) {
	text, err := os.ReadFile("supernats.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("supernats.rules.test.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert               string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	runbooks, err := os.ReadFile("runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	var headings []string
	for _, m := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllSubmatch(runbooks, -1) {
		headings = append(headings, string(m[1]))
	}

	var names []string
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			names = append(names, r.Alert)
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s: %v %v", r.Alert, r.Labels, r.Annotations)
			}
			// The anchor of a heading of one word is that word in lower case.
			if got, want := r.Annotations["runbook_url"], "https://supernats.example.com/runbooks.md#"+strings.ToLower(r.Alert); got != want {
				t.Errorf("%s: runbook_url %s, want %s", r.Alert, got, want)
			}
			if !bytes.Contains(tests, []byte("alertname: "+r.Alert)) {
				t.Errorf("%s is not tested", r.Alert)
			}
		}
	}
	want := []string{
		"SupervisorProcessDown", "SupervisorProcessCrashLooping", "SupervisorHostSilent", "SupervisorEventsLost",
		"SupernatsLagging", "SupernatsNotificationsFailing", "SupernatsNoLeader",
	}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(names, headings); d != "" {
		t.Errorf("runbooks.md (-alerts +headings)\n%s", d)
	}
}
