// Package prometheus holds configurations of Prometheus, Grafana and Alertmanager for a
// fleet, and their test: with Debian's Prometheus, a real supervisord and the real programs.
package prometheus

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supernats/bridge/supervisord/supervisordtest"
	"supernats/consumer/metrics/prometheustest"
	"supernats/schema/natsconn/natsconntest"
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

// client keeps no connection: to the daemon each one that asks twice is a Prometheus, whose
// interval new processes wait for.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// get asks for an address until somebody answers 200.
func get(t *testing.T, url, accept string) (answer *http.Response, body string) {
	t.Helper()
	supervisordtest.Wait(t, 60*time.Second, func() bool {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		if answer, err = client.Do(r); err != nil {
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
	// metrics is the address of the daemon, bridge that of the bridge. secure is the port of
	// another host's bridge, whose metrics have TLS and are not on all addresses.
	metrics, bridge, secure string
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

// daemon is a running `supernats consume`.
type daemon struct {
	*exec.Cmd
	address, config string
}

// startDaemon runs one with a receiver that cannot be reached.
func startDaemon(t *testing.T, server string) *daemon {
	t.Helper()
	d := &daemon{address: prometheustest.FreeAddress(t)}
	text := fmt.Sprintf("nats: {url: %q}\nlisten: %q\nwatchdog: [{name: dead, url: 'http://%[3]s/'}]\nreceivers:\n- {name: hook, webhook: {url: 'http://%[3]s/'}}\n",
		server, d.address, prometheustest.FreeAddress(t))
	d.config = natsconntest.File(t, "supernats.yaml", text)
	d.start(t)
	return d
}

// start starts it, again once it has ended.
func (d *daemon) start(t *testing.T, flags ...string) {
	t.Helper()
	d.Cmd = prometheustest.Run(t, bin+"/supernats", append([]string{"-c", d.config, "consume"}, flags...)...)
}

// kill ends it as kill -9 does.
func (d *daemon) kill(t *testing.T) {
	t.Helper()
	if err := d.Process.Kill(); err != nil {
		t.Fatal(err)
	}
}

// isLeader reports whether it is the active one.
func (d *daemon) isLeader(t *testing.T) bool {
	t.Helper()
	_, body := get(t, "http://"+d.address+"/metrics/self", "")
	return strings.Contains(body, "\nsupernats_leader 1\n")
}

// startFleet runs nats-server, `supernats consume`, and a supervisord with the bridge, whose
// host is called localhost.
func startFleet(t *testing.T) *fleet {
	t.Helper()
	server := streamtest.Start(t)
	f := &fleet{metrics: startDaemon(t, server.URL).address}

	_, port, _ := net.SplitHostPort(prometheustest.FreeAddress(t))
	f.bridge = "localhost:" + port
	f.Supervisord = supervisordtest.Start(t, section(t, server.URL, "localhost", "--listen", ":"+port)+programs)
	_, f.secure, _ = net.SplitHostPort(prometheustest.FreeAddress(t))
	supervisordtest.Start(t, section(t, server.URL, "127.0.0.2", "--listen", "[::]:"+f.secure, "--web-config", tlsConfig(t)))
	supervisordtest.Start(t, section(t, server.URL, "web 3", "--listen", prometheustest.FreeAddress(t))) // nobody reaches it
	supervisordtest.Wait(t, 60*time.Second, func() bool {
		_, body := get(t, "http://"+f.metrics+"/metrics", "")
		return strings.Contains(body, `supervisord_up{host="localhost",group="victim",name="victim"} 1`)
	}, "the fleet to be recorded")
	return f
}

// section is that of a bridge in supervisord's configuration.
func section(t *testing.T, server, host string, flags ...string) string {
	t.Helper()
	args := append([]string{
		"conf", "--one-section", "--stderr-logfile", "%(here)s/bridge.log",
		"--nats-url", server, "--host", host, "--spool-dir", t.TempDir(), "--snapshot-every", "2s",
	}, flags...)
	out, err := exec.Command(bin+"/supernats-bridge", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// tlsConfig makes a web configuration file with a certificate.
func tlsConfig(t *testing.T) string {
	t.Helper()
	cert, key := natsconntest.NewAuthority(t).Issue(t, "bridge")
	return natsconntest.File(t, "web.yaml", fmt.Sprintf("tls_server_config: {cert_file: %q, key_file: %q}\n", cert, key))
}

// startPrometheus runs Prometheus on the files of this directory, with its own addresses and
// without their patience.
func startPrometheus(t *testing.T, f *fleet) *prometheustest.Server {
	t.Helper()
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
	adapt("prometheus.yml", "mon1.example.com:8000", f.metrics, "alertmanager.example.com:9093", prometheustest.FreeAddress(t),
		"scrape_interval: 15s", "scrape_interval: 1s", "evaluation_interval: 15s", "evaluation_interval: 1s",
		"refresh_interval: 1m", "refresh_interval: 1s", "[supernats.rules.yml]", "[supernats.rules.yml, python.rules.yml]",
		"    #tls_config: {ca_file: /etc/prometheus/bridges.pem}", "    tls_config: {insecure_skip_verify: true}")
	adapt("supernats.rules.yml", "for: 1m", "for: 2s")
	// As somebody wrote it for an exporter in Python.
	const python = "groups: [{name: python, rules: [{alert: ProcessIsDown, expr: 'supervisord_up == 0', for: 2s}]}]\n"
	if err := os.WriteFile(filepath.Join(dir, "python.rules.yml"), []byte(python), 0o600); err != nil {
		t.Fatal(err)
	}

	return prometheustest.Start(t, filepath.Join(dir, "prometheus.yml"))
}
