package webhook

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/rs/zerolog"

	"supernats/consumer/notify"
	"supernats/consumer/notify/alertmanager"
	"supernats/consumer/notify/notifytest"
	"supernats/consumer/notify/post"
	"supernats/schema"
	"supernats/schema/secretfile"
)

var id = notify.Identity{Instance: "mon1", Version: "1.2.3", URL: "https://mon1.example.com/"}

func receiver(t *testing.T, c Config) notify.Receiver {
	t.Helper()
	r, err := New("hook", c.WithDefaults(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// post delivers a batch and returns the messages that arrived.
func posted(t *testing.T, c Config, batch ...*notify.Notification) ([]Message, []notifytest.Request) {
	t.Helper()
	server := notifytest.Serve(t, notifytest.Accept)
	c.URL = secretfile.Secret(server.URL + "/hook")
	if err := receiver(t, c).Notify(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	var list []Message
	for _, body := range server.Bodies() {
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		var m Message
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	return list, server.Requests()
}

func TestReceiver(t *testing.T) {
	for name, per := range map[string]bool{"batch": false, "per incident": true} {
		t.Run(name, func(t *testing.T) {
			notifytest.RunReceiver(t, func(t *testing.T, b notifytest.Behaviour, timeout time.Duration) notifytest.Peer {
				server := notifytest.Serve(t, b)
				token := filepath.Join(t.TempDir(), "token")
				if err := os.WriteFile(token, []byte("c0rrect horse\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				r := receiver(t, Config{
					URL: secretfile.Secret(server.URL + "/hook?key=c0rrectkey"), PerIncident: per,
					AuthConfig: post.AuthConfig{BearerTokenFile: token, Headers: map[string]secretfile.Secret{"X-Key": "c0rrecthead"}},
					HTTPConfig: post.HTTPConfig{Timeout: schema.Duration(timeout)},
				})
				return notifytest.Peer{Receiver: r, Got: server.Bodies, IDs: fingerprints(t), Secrets: []string{"c0rrect"}}
			})
		})
	}
}

func fingerprints(t *testing.T) func([]byte) []string {
	return func(body []byte) []string {
		var m Message
		if err := json.Unmarshal(body, &m); err != nil {
			t.Error(err)
		}
		var list []string
		for _, a := range m.Alerts {
			list = append(list, a.Fingerprint)
		}
		return list
	}
}

// TestBatch: one request with an alert for each incident; the last status counts,
// and no event is lost.
func TestBatch(t *testing.T) {
	got, requests := posted(t, Config{AuthConfig: post.AuthConfig{
		Headers: map[string]secretfile.Secret{"x-team": "api"}, BasicAuth: post.BasicAuth{Username: "me", Password: "pw"},
	}}, notifytest.Firing("a/1"), notifytest.Firing("b/1", func(a *schema.Notification) { a.Process = "api_01" }),
		notifytest.Notification(schema.TypeAlertUpdate, "a/1", 2), notifytest.Notification(schema.TypeAlertResolved, "a/1", 3))
	if len(got) != 1 {
		t.Fatalf("%d requests, want 1", len(got))
	}
	opened := time.Date(2026, 11, 21, 19, 0, 31, 833_512_000, time.UTC)
	labels := func(process string) map[string]string {
		return map[string]string{"alertname": "unexpected-exit", "severity": "critical", "host": "web1", "instance": "web1", "group": "api", "process": process, "team": "api"}
	}
	want := Message{
		Receiver: "hook", Status: "firing", ExternalURL: id.URL, Version: "4",
		GroupKey:          `{}/{receiver="hook"}:{alertname="unexpected-exit", group="api", host="web1"}`,
		GroupLabels:       map[string]string{"alertname": "unexpected-exit", "group": "api", "host": "web1"},
		CommonLabels:      map[string]string{"alertname": "unexpected-exit", "severity": "critical", "host": "web1", "instance": "web1", "group": "api", "team": "api"},
		CommonAnnotations: map[string]string{"address": "192.0.2.11"},
		Alerts: []Alert{{
			Status: "firing", Labels: labels("api_01"), StartsAt: opened, GeneratorURL: "https://mon1.example.com/alerts/b%2F1",
			Annotations: map[string]string{
				"summary": "web1 api:api_01 exited unexpectedly (exit code 1)", "count": "1", "alert": "b/1", "notification": "b/1/1", "address": "192.0.2.11",
				"description":  "2026-11-21T19:00:31.833Z web1 api:api_01 exited unexpectedly (exit code 1)",
				"incident_url": "https://mon1.example.com/alerts/b%2F1", "ack_url": "https://mon1.example.com/alerts/b%2F1#ack",
				"silence_url": "https://mon1.example.com/mutes/new?group=api&host=web1&process=api_01&rule=unexpected-exit",
			},
		}, {
			Status: "resolved", Labels: labels("api_00"), StartsAt: opened, EndsAt: opened.Add(2 * time.Minute), GeneratorURL: "https://mon1.example.com/alerts/a%2F1",
			Annotations: map[string]string{
				"summary": "web1 api:api_00 exited unexpectedly (exit code 3), 3 times, over after 2m", "count": "3", "alert": "a/1", "notification": "a/1/3", "address": "192.0.2.11",
				"description": "2026-11-21T19:00:31.833Z web1 api:api_00 exited unexpectedly (exit code 1)\n" +
					"2026-11-21T19:01:31.833Z web1 api:api_00 exited unexpectedly (exit code 2)\n" +
					"2026-11-21T19:02:31.833Z web1 api:api_00 exited unexpectedly (exit code 3)",
				"incident_url": "https://mon1.example.com/alerts/a%2F1",
			},
		}},
	}
	for i := range want.Alerts {
		want.Alerts[i].Fingerprint = prometheusFingerprint(want.Alerts[i].Labels)
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	h := requests[0].Header
	if requests[0].Path != "/hook" || h.Get("X-Team") != "api" || h.Get("Authorization") != "Basic bWU6cHc=" || h.Get("Content-Type") != "application/json" {
		t.Errorf("request is %s %v", requests[0].Path, h)
	}
	if !bytes.Contains(requests[0].Body, []byte(`"endsAt":"0001-01-01T00:00:00Z"`)) {
		t.Errorf("an open alert has no endsAt as Alertmanager writes it: %s", requests[0].Body)
	}
}

// Without an external_url nothing is said of a page.
func TestNoLinksWithoutAnAddress(t *testing.T) {
	a := alert(notify.Incidents([]*notify.Notification{notifytest.Firing("a/1")})[0], notify.Identity{Instance: "mon1"})
	for name := range a.Annotations {
		if strings.HasSuffix(name, "_url") {
			t.Errorf("annotation %s", name)
		}
	}
	if a.GeneratorURL != "" {
		t.Errorf("generatorURL is %q", a.GeneratorURL)
	}
}

func TestALackOfMemory(t *testing.T) {
	got, _ := posted(t, Config{}, notifytest.OutOfMemory("a"))
	notes := got[0].Alerts[0].Annotations
	if want := "web1 api:api_00 exited unexpectedly (ran 2 d 4 h, SIGKILL, out of memory at 2.0 of 2 GiB)"; notes["summary"] != want {
		t.Errorf("summary %q, want %q", notes["summary"], want)
	}
	if notes["ran"] != "2 d 4 h" || notes["out_of_memory"] != `2.0 of 2 GiB in cgroup /system.slice/a\x1b.service` || !strings.HasPrefix(notes["last_look"], "2.2 s before: 1.9 GiB") {
		t.Errorf("annotations %q", notes)
	}
	// It is the same alert as one without.
	without, _ := posted(t, Config{}, notifytest.Firing("a"))
	if got[0].Alerts[0].Fingerprint != without[0].Alerts[0].Fingerprint {
		t.Error("the fingerprint is another one")
	}
}

// prometheusFingerprint is what Prometheus's own code computes.
func prometheusFingerprint(labels map[string]string) string {
	set := model.LabelSet{}
	for name, value := range labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	return set.Fingerprint().String()
}

func TestFingerprint(t *testing.T) {
	for _, s := range append([]string{"a"}, notifytest.Hostile...) {
		labels := map[string]string{"a": s, "b": "2", s: "x"}
		if got, want := fingerprint(labels), prometheusFingerprint(labels); got != want {
			t.Errorf("fingerprint of %.40q is %s, Prometheus says %s", s, got, want)
		}
	}
}

func TestMaxAlerts(t *testing.T) {
	got, _ := posted(t, Config{MaxAlerts: 2}, notifytest.Many(5)...)
	if len(got) != 1 || len(got[0].Alerts) != 2 || got[0].TruncatedAlerts != 3 {
		t.Errorf("message has %d alerts, %d truncated", len(got[0].Alerts), got[0].TruncatedAlerts)
	}
}

func TestPerIncident(t *testing.T) {
	got, _ := posted(t, Config{PerIncident: true}, notifytest.Many(5)...)
	keys := map[string]bool{}
	for _, m := range got {
		keys[m.GroupKey] = true
		if len(m.Alerts) != 1 || m.Status != m.Alerts[0].Status || m.GroupLabels["process"] != m.Alerts[0].Labels["process"] {
			t.Errorf("want a group of one incident: %+v", m)
		}
	}
	if len(got) != 5 || len(keys) != 5 {
		t.Errorf("%d messages with %d keys, want 5", len(got), len(keys))
	}
	again, _ := posted(t, Config{PerIncident: true}, notifytest.Notification(schema.TypeAlertUpdate, "x", 9), notifytest.Notification(schema.TypeAlertResolved, "x", 10))
	if len(again) != 1 || again[0].Status != "resolved" {
		t.Errorf("messages of one incident: %+v", again)
	}
}

// TestSameAsAlertmanager lets a real Alertmanager post the same alert, which it got
// from our receiver for its API, and compares: the same keys of the same kinds, and
// the same labels, fingerprint and times.
func TestSameAsAlertmanager(t *testing.T) {
	theirs := notifytest.Serve(t, notifytest.Accept)
	am, err := alertmanager.New("am", alertmanager.Config{URLs: []string{notifytest.Alertmanager(t, theirs.URL)}}.WithDefaults(), id, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ours := notifytest.Serve(t, notifytest.Accept)
	hook := receiver(t, Config{URL: secretfile.Secret(ours.URL)})
	for i, n := range []*notify.Notification{notifytest.Firing("a/1"), notifytest.Notification(schema.TypeAlertResolved, "a/1", 2)} {
		for _, r := range []notify.Receiver{am, hook} {
			if err := r.Notify(t.Context(), []*notify.Notification{n}); err != nil {
				t.Fatal(err)
			}
		}
		for begun := time.Now(); len(theirs.Requests()) <= i; time.Sleep(10 * time.Millisecond) {
			if time.Since(begun) > 30*time.Second {
				t.Fatal("Alertmanager posts nothing")
			}
		}
		a, b := decode(t, theirs.Bodies()[i]), decode(t, ours.Bodies()[i])
		if diff := cmp.Diff(shape(a), shape(b)); diff != "" {
			t.Errorf("shape (-Alertmanager +ours):\n%s", diff)
		}
		for _, m := range []map[string]any{a, b} {
			// By these the two groups must differ, and by the key of the group.
			for _, key := range []string{"receiver", "externalURL", "groupKey", "groupLabels"} {
				delete(m, key)
			}
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("message %d (-Alertmanager +ours):\n%s", i, diff)
		}
	}
}

func decode(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// shape is a document with the kinds of its values instead of them. What is a map
// by label is one kind.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			out[key] = shape(value)
			if strings.HasSuffix(key, "abels") || strings.HasSuffix(key, "nnotations") {
				out[key] = fmt.Sprintf("%T", value)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = shape(v[i])
		}
		return out
	}
	return fmt.Sprintf("%T", v)
}

// TestReader posts to a program of others that reads webhooks of Alertmanager,
// Debian's alertmanager-irc-relay, which says in a chat what it has understood.
func TestReader(t *testing.T) {
	program, err := exec.LookPath("alertmanager-irc-relay")
	if err != nil {
		t.Fatalf("%v (on Debian: apt-get install alertmanager-irc-relay)", err)
	}
	said := make(chan string, 100)
	irc := ircServer(t, said)
	host, port, err := net.SplitHostPort(irc)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, free, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	config := filepath.Join(t.TempDir(), "relay.yml")
	text := fmt.Sprintf("http_host: 127.0.0.1\nhttp_port: %s\nirc_host: %s\nirc_port: %s\nirc_nickname: relay\nirc_use_ssl: false\nirc_verify_ssl: false\n"+
		"use_privmsg: yes\nmsg_once_per_alert_group: no\n"+
		"msg_template: \"{{ .Status }}|{{ .Fingerprint }}|{{ .Labels.alertname }}|{{ .Labels.process }}|{{ .Annotations.summary }}|{{ .StartsAt.Unix }}\"\n"+
		"irc_channels: [{name: \"#ops\"}]\n", free, host, port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(program, "--config", config)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	r := receiver(t, Config{URL: secretfile.Secret("http://127.0.0.1:" + free + "/ops")})
	batch := []*notify.Notification{
		notifytest.Firing("a/1"), notifytest.Firing("b/1", func(a *schema.Notification) { a.Process = "api_01" }),
		notifytest.Notification(schema.TypeAlertResolved, "b/1", 2, func(a *schema.Notification) { a.Process = "api_01" }),
	}
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if err = r.Notify(t.Context(), batch); err == nil {
			break
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("the relay does not take it: %v", err)
		}
	}
	var got []string
	for len(got) < 2 {
		select {
		case line := <-said:
			got = append(got, line)
		case <-time.After(30 * time.Second):
			t.Fatalf("the relay said only %q", got)
		}
	}
	slices.Sort(got)
	labels := map[string]string{"alertname": "unexpected-exit", "severity": "critical", "host": "web1", "instance": "web1", "group": "api", "process": "api_00", "team": "api"}
	other := maps.Clone(labels)
	other["process"] = "api_01"
	want := []string{
		"firing|" + prometheusFingerprint(labels) + "|unexpected-exit|api_00|web1 api:api_00 exited unexpectedly (exit code 1)|1795287631",
		"resolved|" + prometheusFingerprint(other) + "|unexpected-exit|api_01|web1 api:api_01 exited unexpectedly (exit code 2), 2 times, over after 1m|1795287631",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the relay said (-want +got):\n%s", diff)
	}
}

// ircServer lets everybody in and hands on what is said in channels.
func ircServer(t *testing.T, said chan<- string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go ircSession(c, said)
		}
	}()
	return l.Addr().String()
}

func ircSession(c net.Conn, said chan<- string) {
	defer c.Close()
	nick := "relay"
	for lines := bufio.NewScanner(c); lines.Scan(); {
		command, rest, _ := strings.Cut(lines.Text(), " ")
		answer := ""
		switch command {
		case "NICK":
			nick = strings.TrimPrefix(rest, ":")
		case "USER":
			answer = ":irc 001 " + nick + " :Welcome\r\n:irc 376 " + nick + " :End\r\n"
		case "PING":
			answer = ":irc PONG irc " + rest + "\r\n"
		case "JOIN":
			channel, _, _ := strings.Cut(rest, " ")
			answer = ":" + nick + "!u@h JOIN " + channel + "\r\n:irc 366 " + nick + " " + channel + " :End\r\n"
		case "PRIVMSG", "NOTICE":
			if to, text, _ := strings.Cut(rest, " :"); strings.HasPrefix(to, "#") {
				said <- text
			}
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want []string
	}{
		{cfg: Config{}, want: []string{"url_file: missing", "timeout: invalid value 0s: want a duration above zero"}},
		{cfg: Config{URL: "s3cret", URLFile: "f", MaxAlerts: -1}.WithDefaults(), want: []string{"url: given together", "url: invalid URL: want https://", "max_alerts: invalid value -1"}},
		{cfg: Config{
			URL: "http://x", HTTPConfig: post.HTTPConfig{TLS: post.TLSConfig{Cert: "c"}},
			AuthConfig: post.AuthConfig{
				BasicAuth: post.BasicAuth{Username: "a:b", Password: "s3cret", PasswordFile: "f"}, BearerTokenFile: "t",
				Headers: map[string]secretfile.Secret{"A b": "s3cret", "Content-Type": "s3cret", "X": "s3cret\r\nY: z", "authorization": "s3cret"},
			},
		}.WithDefaults(), want: []string{
			"basic_auth.password: given together", "bearer_token_file: given together",
			`headers: invalid header "A b"`, `headers: "Content-Type" is set`, `headers: invalid header "X"`, `headers: "Authorization" is given`, "tls.key: missing",
		}},
		{cfg: Config{URL: "http://x", HTTPConfig: post.HTTPConfig{TLS: post.TLSConfig{Key: "k"}}, AuthConfig: post.AuthConfig{BasicAuth: post.BasicAuth{Username: "a:b"}}}.WithDefaults(), want: []string{"basic_auth.username: ", "tls.cert: missing"}},
	} {
		notifytest.Invalid(t, c.cfg.Validate(), "s3cret", c.want...)
	}
}

// TestYAML reads every key.
func TestYAML(t *testing.T) {
	text := `
url: http://x
url_file: f
max_alerts: 3
per_incident: true
timeout: 3s
tls: {ca: a, cert: b, key: c}
basic_auth: {username: u, password: p, password_file: pf}
bearer_token_file: t
headers: {X-A: 1}
`
	got := Config{}.WithDefaults()
	if err := yaml.UnmarshalWithOptions([]byte(text), &got, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	want := Config{
		URL: "http://x", URLFile: "f", MaxAlerts: 3, PerIncident: true,
		AuthConfig: post.AuthConfig{
			BasicAuth: post.BasicAuth{Username: "u", Password: "p", PasswordFile: "pf"}, BearerTokenFile: "t",
			Headers: map[string]secretfile.Secret{"X-A": "1"},
		},
		HTTPConfig: post.HTTPConfig{Timeout: schema.Duration(3 * time.Second), TLS: post.TLSConfig{CA: "a", Cert: "b", Key: "c"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if err := yaml.UnmarshalWithOptions([]byte("timeout: 3s\nurls: x"), &got, yaml.Strict()); err == nil {
		t.Error("a key that is not known is taken")
	}
}

// TestLoginPage: 2xx is a success whatever is said with it, but for the page with
// which a proxy asks who is there.
func TestLoginPage(t *testing.T) {
	for name, tc := range map[string]struct {
		kind, body string
		delivered  bool
	}{
		"empty":            {kind: "", body: "", delivered: true},
		"ok":               {kind: "text/plain", body: "ok", delivered: true},
		"ok of PHP":        {kind: "text/html; charset=UTF-8", body: "ok", delivered: true},
		"page of thanks":   {kind: "text/html", body: "<html><body><h1>Thanks</h1></body></html>", delivered: true},
		"JSON":             {kind: "application/json", body: `{"password":"<form>"}`, delivered: true},
		"text of a login":  {kind: "text/plain", body: "login ok", delivered: true},
		"form":             {kind: "text/html", body: "<!DOCTYPE html>\n<html><body><form action=/auth method=post>", delivered: false},
		"password":         {kind: "", body: `<html><body><input type="password"></body></html>`, delivered: false},
		"script":           {kind: "text/html", body: `<script>window.location="https://idp.example.com/"</script>`, delivered: false},
		"refresh":          {kind: "text/html", body: `<meta http-equiv="refresh" content="0; url=https://idp.example.com/">`, delivered: false},
		"XHTML":            {kind: "application/xhtml+xml", body: `<?xml version="1.0"?><!DOCTYPE html><html><title>Log in</title></html>`, delivered: false},
		"after long heads": {kind: "text/html", body: "<html><head><style>" + strings.Repeat("a{} ", 5000) + "</style></head><form>", delivered: false},
		"maintenance":      {kind: "text/html", body: "<html><title>Maintenance</title></html>", delivered: false},
	} {
		t.Run(name, func(t *testing.T) {
			server := notifytest.ServeFunc(t, func(_ *notifytest.Server, w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil // none is guessed
				if tc.kind != "" {
					w.Header().Set("Content-Type", tc.kind)
				}
				_, _ = w.Write([]byte(tc.body))
			})
			err := receiver(t, Config{URL: secretfile.Secret(server.URL)}).Notify(t.Context(), notifytest.Many(1))
			if (err == nil) != tc.delivered || notify.IsPermanent(err) {
				t.Errorf("delivered %t, want %t: %v", err == nil, tc.delivered, err)
			}
			if err != nil && !strings.Contains(err.Error(), "check url, and whether a proxy") {
				t.Errorf("%v does not name url", err)
			}
		})
	}
}

// One request of per_incident that is not accepted holds up no other.
func TestPerIncidentThatFails(t *testing.T) {
	n := 0
	s := notifytest.ServeFunc(t, func(_ *notifytest.Server, w http.ResponseWriter, _ *http.Request) {
		if n++; n == 2 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	r, err := New("hook", Config{URL: secretfile.Secret(s.URL), PerIncident: true}.WithDefaults(), id)
	if err != nil {
		t.Fatal(err)
	}
	batch := []*notify.Notification{
		notifytest.Firing("a"), notifytest.Firing("b"), notifytest.Firing("c"), notifytest.Notification(schema.TypeAlertUpdate, "a", 2),
	}
	// In the order of their last notifications: b, c, a.
	if err := r.Notify(t.Context(), batch); err == nil || !slices.Equal(notify.Taken(err), []int{1, 0, 3}) {
		t.Errorf("taken are %v: %v", notify.Taken(err), err)
	}
	if n != 3 {
		t.Errorf("%d requests", n)
	}
}
