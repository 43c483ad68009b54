package metrics

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"supernats/consumer/fleet"
	"supernats/schema"
)

// The values are those of the bridge's own /metrics: up in STARTING and RUNNING, -1 after a
// signal, a start time only while it is up.
func TestProcesses(t *testing.T) {
	code := func(n int) func(*fleet.Process) {
		return func(p *fleet.Process) { p.Exit, p.Expected = &schema.Exit{Code: &n}, new(false) }
	}
	killed := func(p *fleet.Process) { p.Exit, p.Expected = &schema.Exit{Signal: "SIGKILL"}, new(false) }
	started := func(p *fleet.Process) { p.Started = &schema.Time{Time: noon.Add(-time.Minute - 500*time.Millisecond)} }
	status := func(n int) func(*fleet.Process) { return func(p *fleet.Process) { p.ExitStatus = &n } }
	for _, c := range []struct {
		name           string
		process        *fleet.Process
		up, state      string
		exit, startsAt string // empty: no series
	}{
		{name: "runs", process: process("p", "RUNNING", started), up: "1", state: "20", exit: "0", startsAt: "1772366339.5"},
		{name: "an old record does not say since when", process: process("p", "RUNNING"), up: "1", state: "20", exit: "0", startsAt: "1772366400"},
		{name: "has a long startsecs", process: process("p", "STARTING", started), up: "1", state: "10", exit: "0", startsAt: "1772366339.5"},
		{name: "is being stopped", process: process("p", "STOPPING", started), up: "0", state: "40", exit: "0"},
		{name: "was never started", process: process("p", "STOPPED", status(0)), up: "0", state: "0", exit: "0"},
		{name: "was stopped by a signal", process: process("p", "STOPPED", status(-1), code(3)), up: "0", state: "0", exit: "-1"},
		{name: "was stopped, and no table has come since", process: process("p", "STOPPED", code(3)), up: "0", state: "0"},
		{name: "ended with a code", process: process("p", "EXITED", code(3)), up: "0", state: "100", exit: "3"},
		{name: "ended by a signal", process: process("p", "EXITED", killed), up: "0", state: "100", exit: "-1"},
		{name: "only a table says how it ended", process: process("p", "EXITED", status(-1)), up: "0", state: "100", exit: "-1"},
		{name: "ended, and nobody knows how", process: process("p", "EXITED"), up: "0", state: "100"},
		{name: "did not come up", process: process("p", "FATAL", code(3)), up: "0", state: "200", exit: "0"},
		{name: "tries again", process: process("p", "BACKOFF", code(3)), up: "0", state: "30", exit: "0"},
		{name: "runs, after a crash", process: process("p", "RUNNING", started, code(3)), up: "1", state: "20", exit: "0", startsAt: "1772366339.5"},
		{name: "its host is silent", process: process("p", "RUNNING", started, func(p *fleet.Process) { p.UnknownSince = &noon }), up: "0", state: "1000", exit: "0"},
		{name: "its supervisord has shut down", process: process("p", "RUNNING", started, func(p *fleet.Process) { p.StoppedSince = &noon }), up: "0", state: "0", exit: "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, body := newDaemon(host("web1", c.process)).get(t, "/metrics", "")
			const of = `{host="web1",group="api",name="p"} `
			want := []string{"supervisord_up" + of + c.up, "supervisord_state" + of + c.state}
			if c.exit != "" {
				want = append(want, "supervisord_exit_status"+of+c.exit)
			}
			if c.startsAt != "" {
				want = append(want, "supervisord_start_time_seconds"+of+c.startsAt, "supervisord_start_time_seconds_total"+of+c.startsAt)
			}

			var got []string
			for _, line := range samples(body, "supervisord_") {
				if strings.Contains(line, of) && !strings.HasPrefix(line, "supervisord_process_") {
					got = append(got, line)
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// What has never happened is there at 0: the first crash would have no increase otherwise.
func TestCountersAreBornAtZero(t *testing.T) {
	d := newDaemon(host("web1", process("p", "RUNNING")))
	d.rules = []Rule{{Name: "fatal", Severity: "critical"}}
	d.SetReceivers([]string{"mail"})
	_, body := d.get(t, "/metrics", "")
	for _, want := range []string{
		`supervisord_process_starts_total{host="web1",group="api",name="p"} 0`,
		`supervisord_process_exits_total{host="web1",group="api",name="p",expected="true"} 0`,
		`supervisord_process_exits_total{host="web1",group="api",name="p",expected="false"} 0`,
		`supervisord_process_fatals_total{host="web1",group="api",name="p"} 0`,
		`supervisord_events_total{event="PROCESS_STATE_EXITED"} 0`,
		`supervisord_events_total{event="other"} 0`,
		`supervisord_events_lost_total{host="web1",cause="supervisord-buffer"} 0`,
		`supervisord_events_lost_total{host="web1",cause="not-listening"} 0`,
		`supernats_alerts{rule="fatal",severity="critical",state="firing"} 0`,
		`supernats_alerts{rule="fatal",severity="critical",state="muted"} 0`,
		`supernats_notifications_total{receiver="mail",result="failed"} 0`,
		`supernats_notifications_failed_total{reason="outage",receiver="mail"} 0`,
		`supernats_consumer_lag_messages 0`,
	} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}

	p := process("p", "EXITED")
	p.Starts, p.Exits, p.UnexpectedExits, p.Fatals = 4, 3, 2, 1
	_, body = newDaemon(host("web1", p)).get(t, "/metrics", "")
	want := []string{
		`supervisord_process_starts_total{host="web1",group="api",name="p"} 4`,
		`supervisord_process_exits_total{host="web1",group="api",name="p",expected="true"} 1`,
		`supervisord_process_exits_total{host="web1",group="api",name="p",expected="false"} 2`,
		`supervisord_process_fatals_total{host="web1",group="api",name="p"} 1`,
	}
	if d := cmp.Diff(want, samples(body, "supervisord_process_")); d != "" {
		t.Error(d)
	}
}

// A process that its supervisord does not have any more has no series, nor has a section
// that nobody has needed.
func TestWhatIsNotExported(t *testing.T) {
	spare := process("supernats-logs", "STOPPED", func(p *fleet.Process) { p.Group = "supernats-logs" })
	gone := process("old", "RUNNING", func(p *fleet.Process) { p.Gone = &noon })
	_, body := newDaemon(host("web1", gone, process("p", "RUNNING"), spare)).get(t, "/metrics", "")
	if d := cmp.Diff([]string{`supervisord_up{host="web1",group="api",name="p"} 1`}, samples(body, "supervisord_up")); d != "" {
		t.Error(d)
	}
}

func TestHosts(t *testing.T) {
	silent, stopped, lossy := host("silent"), host("stopped"), host("lossy")
	silent.UnknownSince, stopped.ShutDownSince = &noon, &noon
	lossy.Lost, lossy.LostBy = 9, map[string]uint64{schema.LossFull: 4, schema.LossOther: 2} // and 3 of an older version
	_, body := newDaemon(lossy, silent, stopped).get(t, "/metrics", "")
	got := append(samples(body, "supervisord_host_up"), samples(body, `supervisord_events_lost_total{host="lossy"`)...)
	want := []string{
		`supervisord_host_up{host="lossy"} 1`, `supervisord_host_up{host="silent"} 0`, `supervisord_host_up{host="stopped"} 0`,
		`supervisord_events_lost_total{host="lossy",cause="supervisord-buffer"} 0`,
		`supervisord_events_lost_total{host="lossy",cause="spool-full"} 4`,
		`supervisord_events_lost_total{host="lossy",cause="spool-corrupt"} 0`,
		`supervisord_events_lost_total{host="lossy",cause="not-listening"} 0`,
		`supervisord_events_lost_total{host="lossy",cause="other"} 5`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Each series of the fleet is exported once, by the instance that records.
func TestOnlyTheActiveInstanceExportsTheFleet(t *testing.T) {
	for _, c := range []struct {
		name, path    string
		standby       bool
		notRead       bool
		fleet, leader bool
	}{
		{name: "active", path: "/metrics", fleet: true, leader: true},
		{name: "itself", path: "/metrics/self", leader: true},
		{name: "standby", path: "/metrics", standby: true},
		{name: "standby, a part", path: "/metrics?host=*", standby: true},
		{name: "just started", path: "/metrics", notRead: true, leader: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDaemon(host("web1", process("p", "RUNNING")))
			d.active, d.snapshot.Status.Loaded = !c.standby, !c.notRead
			_, body := d.get(t, c.path, "")
			if got := len(samples(body, "supervisord_")) > 0; got != c.fleet {
				t.Errorf("the fleet is exported: %v", got)
			}
			if got := strings.Contains(body, "\nsupernats_leader 1\n"); got != c.leader {
				t.Errorf("leader: %v", got)
			}
		})
	}
}

// A part has the series of its hosts alone: what several jobs scrape is there once.
func TestAPartOfTheFleet(t *testing.T) {
	d := newDaemon(host("db1", process("p", "RUNNING")), host("web1", process("p", "RUNNING")), host("web2"))
	for _, c := range []struct {
		query string
		want  []string
	}{
		{query: "host=web*", want: []string{"web1", "web2"}},
		{query: "host=db1&host=web2", want: []string{"db1", "web2"}},
		{query: "host=db*,web2", want: []string{"db1", "web2"}},
		{query: "host=web{1,2}", want: []string{"web1", "web2"}},
		{query: "host=nobody"},
	} {
		answer, body := d.get(t, "/metrics?"+c.query, "")
		var got []string
		for _, line := range samples(body, "supervisord_host_up") {
			got = append(got, strings.Split(line, `"`)[1])
		}
		if d := cmp.Diff(c.want, got); d != "" || answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", c.query, answer.StatusCode, d)
		}
		if strings.Contains(body, "supernats_") || strings.Contains(body, "go_") || strings.Contains(body, "supervisord_events_total") {
			t.Errorf("%s: more than the hosts:\n%s", c.query, body)
		}
	}
	for query, want := range map[string]string{
		"host=[": "invalid glob", "host=web*&host={a": "invalid glob", "host=a%5C": "invalid glob", "host=web*,%5B": "invalid glob",
		"host=": "want a glob", "host": "want a glob", "host=,web*": "want a glob",
	} {
		answer, body := d.get(t, "/metrics?"+query, "")
		if answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, want) || strings.Contains(body, "supervisord_") {
			t.Errorf("%s: %d %s", query, answer.StatusCode, body)
		}
	}
}

// Both formats say the same, are well-formed, and please the linter.
func TestFormats(t *testing.T) {
	d := newDaemon(
		host("db1", process("p", "FATAL")),
		host("web1", process(`é"\`+"\n", "RUNNING", func(p *fleet.Process) { p.Group = `a"} 1` })),
	)
	d.rules = []Rule{{Name: "fatal", Severity: "critical"}}
	d.SetReceivers([]string{"mail"})

	answer, text := d.get(t, "/metrics", "text/plain")
	if got := answer.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4; charset=utf-8") {
		t.Errorf("Content-Type %s", got)
	}
	checkText(t, text)
	if want := `supervisord_up{host="web1",group="a\"} 1",name="é\"\\\n"} 1`; !strings.Contains(text, want+"\n") {
		t.Errorf("there is no %s", want)
	}

	answer, open := d.get(t, "/metrics", openMetrics)
	if got := answer.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/openmetrics-text; version=1.0.0; charset=utf-8") {
		t.Errorf("Content-Type %s", got)
	}
	checkText(t, asText(t, open))
	for _, prefix := range []string{"supervisord_", "supernats_alerts", "supernats_leader", "supernats_notifications"} {
		if d := cmp.Diff(whole(samples(text, prefix)), whole(samples(open, prefix))); d != "" {
			t.Error(d)
		}
	}
	if _, body := d.get(t, "/metrics", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"); whole(samples(body, "supervisord_up"))[0] != `supervisord_up{host="db1",group="api",name="p"} 0` {
		t.Error("there is no text for who asks for protobuf alone")
	}
}

// whole drops the .0 that OpenMetrics has of client_golang.
func whole(lines []string) []string {
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, ".0")
	}
	return lines
}

// checkText parses an exposition in the text format, and lints it. A family that is not in
// one piece is an error of the parser.
func checkText(t *testing.T, text string) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(text)); err != nil {
		t.Error(err)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %+v", err, problems)
	}
	seen := map[string]bool{}
	for _, line := range samples(text, "# TYPE ") {
		name := strings.Fields(line)[2]
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		seen[name] = true
	}
}

// asText makes the text format of OpenMetrics: it differs in the names of counters, in a
// type, and in its end.
func asText(t *testing.T, open string) string {
	t.Helper()
	open, isEnded := strings.CutSuffix(open, "# EOF\n")
	if !isEnded || strings.HasPrefix(open, "# EOF") || strings.Contains(open, "\n# EOF") { // a name may be that
		t.Error("# EOF is not the last line")
	}
	counters := map[string]bool{}
	for _, line := range samples(open, "# TYPE ") {
		if f := strings.Fields(line); f[3] == counter {
			counters[f[2]] = true
		}
	}

	var b strings.Builder
	for line := range strings.Lines(open) {
		if f := strings.SplitN(line, " ", 4); f[0] == "#" && counters[f[2]] {
			f[2] += "_total"
			line = strings.Join(f, " ")
		}
		b.WriteString(strings.Replace(line, "_total unknown\n", "_total counter\n", 1))
	}
	return b.String()
}

// What node_exporter exports is there as it has it, and in the text format alone: its
// counter has no _total.
func TestNodeExporter(t *testing.T) {
	started := func(p *fleet.Process) { p.Started = &noon }
	d := newDaemon(host("web1", process("a", "RUNNING", started), process("b", "STOPPING", started), process("c", "EXITED", started, func(p *fleet.Process) { p.ExitStatus = new(0) })))
	if _, body := d.get(t, "/metrics", openMetrics); strings.Contains(body, "node_supervisord") {
		t.Error("they are there although nobody has asked for them")
	}

	d.node = true
	answer, body := d.get(t, "/metrics", openMetrics)
	if got := answer.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
		t.Errorf("Content-Type %s", got)
	}
	want := strings.TrimPrefix(`
# HELP node_supervisord_up Process Up
# TYPE node_supervisord_up gauge
node_supervisord_up{host="web1",group="api",name="a"} 1
node_supervisord_up{host="web1",group="api",name="b"} 1
node_supervisord_up{host="web1",group="api",name="c"} 0
# HELP node_supervisord_state Process State
# TYPE node_supervisord_state gauge
node_supervisord_state{host="web1",group="api",name="a"} 20
node_supervisord_state{host="web1",group="api",name="b"} 40
node_supervisord_state{host="web1",group="api",name="c"} 100
# HELP node_supervisord_exit_status Process Exit Status
# TYPE node_supervisord_exit_status gauge
node_supervisord_exit_status{host="web1",group="api",name="a"} 0
node_supervisord_exit_status{host="web1",group="api",name="b"} 0
node_supervisord_exit_status{host="web1",group="api",name="c"} 0
# HELP node_supervisord_start_time_seconds Process start time
# TYPE node_supervisord_start_time_seconds counter
node_supervisord_start_time_seconds{host="web1",group="api",name="a"} 1772366400
node_supervisord_start_time_seconds{host="web1",group="api",name="b"} 1772366400
`, "\n")
	if got := body[strings.Index(body, "# HELP node_supervisord_up"):]; got != want {
		t.Error(cmp.Diff(want, got))
	}
}

// Whoever asks for the header alone gets that.
func TestHead(t *testing.T) {
	d := newDaemon(host("web1", process("p", "RUNNING")))
	mux := http.NewServeMux()
	d.Register(mux)
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, path := range []string{"/metrics", "/metrics/self", "/metrics?host=web*", "/api/v1/sd"} {
		answer, err := http.Head(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || len(b) > 0 || answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") == "" {
			t.Errorf("%s: %s, %d bytes, %v", path, answer.Status, len(b), err)
		}
	}
}

// Clients that do not read hold up nobody, and are not let in without end.
func TestSlowScrapers(t *testing.T) {
	d := newDaemon(crowd(1000)...) // 17 MB: more than sockets hold
	mux := http.NewServeMux()
	d.Register(mux)
	server := httptest.NewServer(mux)
	defer server.Close()
	scrape := func(path string) (*http.Response, error) {
		return (&http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableCompression: true}}).Get(server.URL + path)
	}

	for range maxScrapes - 1 {
		answer, err := scrape("/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
	}
	answer, err := scrape("/metrics?host=web00007*")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(samples(string(b), "supervisord_up")); n != 20 {
		t.Errorf("%d processes beside scrapers that do not read", n)
	}

	last, err := scrape("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer last.Body.Close()
	refused, err := scrape("/metrics/self")
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Body.Close()
	if refused.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("scrape %d is answered %d", maxScrapes+1, refused.StatusCode)
	}
}

// errGone is the error of a client that has gone.
var errGone = errors.New("gone")

// leaving is a client that goes after its first bytes.
type leaving struct {
	http.ResponseWriter
	writes int
}

func (l *leaving) Write([]byte) (int, error) {
	l.writes++
	return 0, errGone
}

// Nothing is rendered for a client that has gone, and its place is free again.
func TestAClientThatLeaves(t *testing.T) {
	d := newDaemon(crowd(1000)...)
	for range 2 * maxScrapes {
		l := &leaving{ResponseWriter: httptest.NewRecorder()}
		d.serveMetrics(l, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if l.writes != 1 {
			t.Fatalf("%d writes after an error", l.writes)
		}
	}
	if len(d.scrapes) != 0 || len(d.rendering) != 0 {
		t.Errorf("%d scrapes, %d of them rendering", len(d.scrapes), len(d.rendering))
	}
}

func TestCompression(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "deflate, GZIP;q=0.5": true, "gzip;q=0": false, "gzip; q=0.000": false,
		"br": false, "gzip;q=0.001": true, "identity": false, "x-gzip-ish": false,
	} {
		if got := acceptsGzip(header); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}

	d := newDaemon(crowd(100)...)
	mux := http.NewServeMux()
	d.Register(mux)
	server := httptest.NewServer(mux)
	defer server.Close()
	answer, err := http.Get(server.URL + "/metrics") // asks for gzip by itself
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil || !answer.Uncompressed || len(families["supervisord_up"].GetMetric()) != 2000 {
		t.Errorf("%v, compressed %v, %d processes", err, answer.Uncompressed, len(families["supervisord_up"].GetMetric()))
	}
}
