// Package prometheus holds configurations of Prometheus, Grafana and Alertmanager for a
// fleet, and their test: with Debian's Prometheus, a real supervisord and the real programs.
package prometheus

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/schema/stream/streamtest"
)

// bin is where the programs are, built once.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if bin, err = os.MkdirTemp("", "supernats"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(bin)
		if out, err := exec.Command("go", "build", "-o", bin+"/", "../../bridge/cmd/...", "../../consumer/cmd/...").CombinedOutput(); err != nil {
			panic(string(out))
		}
		return m.Run()
	}())
}

// need returns a program of one of Debian's packages.
func need(t *testing.T, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v: `task test` installs it; on Debian: sudo apt-get install %s", err, debian)
	}
	return path
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run starts a program that the test ends.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), filepath.Base(name)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := exec.Command(name, args...)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("%s:\n%s", name, b)
		}
	})
}

// get asks for an address until somebody answers 200.
func get(t *testing.T, url, accept string) (answer *http.Response, body string) {
	t.Helper()
	supervisordtest.Wait(t, 60*time.Second, func() bool {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		if answer, err = http.DefaultClient.Do(r); err != nil {
			return false
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		body = string(b)
		return err == nil && answer.StatusCode == http.StatusOK
	}, "%s to answer", url)
	return answer, body
}

// fleet is one host, with the daemon that records it.
type fleet struct {
	*supervisordtest.Supervisord
	// metrics is the address of the daemon, bridge that of the bridge.
	metrics, bridge string
}

const programs = `
[program:steady]
command=cat
[program:stopped]
command=cat
[program:victim]
command=cat
autorestart=false
`

// startFleet runs nats-server, `supernats consume` with a receiver that cannot be reached,
// and a supervisord with the bridge, whose host is called localhost.
func startFleet(t *testing.T) *fleet {
	t.Helper()
	server := streamtest.Start(t)
	f := &fleet{metrics: freeAddress(t)}
	config := filepath.Join(t.TempDir(), "supernats.yaml")
	text := fmt.Sprintf("nats: {url: %q}\nlisten: %q\nwatchdog: [{name: dead, url: 'http://%[3]s/'}]\nreceivers:\n- {name: hook, webhook: {url: 'http://%[3]s/'}}\n",
		server.URL, f.metrics, freeAddress(t))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, bin+"/supernats", "-c", config, "consume")

	_, port, _ := net.SplitHostPort(freeAddress(t))
	f.bridge = "localhost:" + port
	section, err := exec.Command(bin+"/supernats-bridge", "conf", "--one-section", "--stderr-logfile", "%(here)s/bridge.log",
		"--nats-url", server.URL, "--host", "localhost", "--spool-dir", t.TempDir(), "--listen", ":"+port, "--snapshot-every", "2s").Output()
	if err != nil {
		t.Fatal(err)
	}
	f.Supervisord = supervisordtest.Start(t, string(section)+programs)
	supervisordtest.Wait(t, 60*time.Second, func() bool {
		_, body := get(t, "http://"+f.metrics+"/metrics", "")
		return strings.Contains(body, `supervisord_up{host="localhost",group="victim",name="victim"} 1`)
	}, "the fleet to be recorded")
	return f
}

// prometheus is a running one.
type prometheus struct{ address string }

// startPrometheus runs Prometheus on the files of this directory, with its own addresses and
// without their patience.
func startPrometheus(t *testing.T, f *fleet) *prometheus {
	t.Helper()
	program := need(t, "prometheus", "prometheus")
	dir := t.TempDir()
	adapt := func(file string, replace ...string) {
		t.Helper()
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		for i := 0; i < len(replace); i += 2 {
			if !strings.Contains(text, replace[i]) {
				t.Fatalf("%s has no %q", file, replace[i])
			}
			text = strings.ReplaceAll(text, replace[i], replace[i+1])
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	adapt("prometheus.yml", "mon1.example.com:8000", f.metrics, "alertmanager.example.com:9093", freeAddress(t),
		"scrape_interval: 15s", "scrape_interval: 1s", "evaluation_interval: 15s", "evaluation_interval: 1s",
		"refresh_interval: 1m", "refresh_interval: 1s", "[supernats.rules.yml]", "[supernats.rules.yml, python.rules.yml]")
	adapt("supernats.rules.yml", "for: 1m", "for: 2s")
	// As somebody wrote it for an exporter in Python.
	const python = "groups: [{name: python, rules: [{alert: ProcessIsDown, expr: 'supervisord_up == 0', for: 2s}]}]\n"
	if err := os.WriteFile(filepath.Join(dir, "python.rules.yml"), []byte(python), 0o600); err != nil {
		t.Fatal(err)
	}

	p := &prometheus{address: freeAddress(t)}
	run(t, program, "--config.file", filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path", filepath.Join(dir, "data"),
		"--web.listen-address", p.address)
	get(t, "http://"+p.address+"/-/ready", "")
	return p
}

// sample is a result of a query.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

// query evaluates an expression now.
func (p *prometheus) query(t *testing.T, expression string) []sample {
	t.Helper()
	r, err := http.Get("http://" + p.address + "/api/v1/query?query=" + url.QueryEscape(expression))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []sample }
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || answer.Error != "" {
		t.Fatalf("%s: %v %s", expression, err, answer.Error)
	}
	return answer.Data.Result
}

// wait waits until an expression has a result, and returns its first one.
func (p *prometheus) wait(t *testing.T, expression string) sample {
	t.Helper()
	var got []sample
	supervisordtest.Wait(t, 60*time.Second, func() bool {
		got = p.query(t, expression)
		return len(got) > 0
	}, "%s", expression)
	return got[0]
}
