package alertmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
	"supernats/consumer/notify/post"
	"supernats/schema"
)

var id = notify.Identity{Instance: "mon1", Version: "1.2.3", URL: "https://mon1.example.com/"}

func receiver(t *testing.T, c Config, log zerolog.Logger) *Receiver {
	t.Helper()
	r, err := New("am", c.WithDefaults(), id, log)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReceiver(t *testing.T) {
	notifytest.RunReceiver(t, func(t *testing.T, b notifytest.Behaviour, timeout time.Duration) notifytest.Peer {
		server := notifytest.Serve(t, b)
		r := receiver(t, Config{
			URLs: []string{server.URL + "/prefix/"}, HTTPConfig: post.HTTPConfig{Timeout: schema.Duration(timeout)},
			AuthConfig: post.AuthConfig{BasicAuth: post.BasicAuth{Username: "me", Password: "c0rrect horse"}},
		}, zerolog.Nop())
		return notifytest.Peer{Receiver: r, Got: server.Bodies, IDs: ids(t), Secrets: []string{"c0rrect", "bWU6YzByc"}}
	})
}

// ids are the labels: by these Alertmanager knows an alert.
func ids(t *testing.T) func([]byte) []string {
	return func(body []byte) []string {
		var alerts []postableAlert
		if err := json.Unmarshal(body, &alerts); err != nil {
			t.Error(err)
		}
		var list []string
		for _, a := range alerts {
			b, err := json.Marshal(a.Labels)
			if err != nil {
				t.Error(err)
			}
			list = append(list, string(b)+a.StartsAt.String())
		}
		return list
	}
}

// gettable is an alert as Alertmanager shows it.
type gettable struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
	GeneratorURL        string
	Fingerprint         string
	Status              struct{ State string }
}

// shown asks a real Alertmanager for its alerts.
func shown(t *testing.T, url string) []gettable {
	t.Helper()
	answer, err := http.Get(url + "/api/v2/alerts")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var list []gettable
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// until waits for what an Alertmanager does in the background.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("never %s", what)
		}
	}
}

// TestRealAlertmanager: an alert gets there, is active, is the same one when it
// comes again, and is resolved.
func TestRealAlertmanager(t *testing.T) {
	url := notifytest.Alertmanager(t, "")
	r := receiver(t, Config{URLs: []string{url}}, zerolog.Nop())
	send := func(n *notify.Notification) {
		t.Helper()
		if err := r.Notify(t.Context(), []*notify.Notification{n}); err != nil {
			t.Fatal(err)
		}
	}
	rule := func(address string) func(*schema.Notification) {
		return func(a *schema.Notification) {
			a.Labels = map[string]string{"team": "api", "cost-center": "7", notify.LabelAddress: address, "alertname": "mine", "empty": ""}
			a.Annotations = map[string]string{"runbook": "https://wiki/api"}
		}
	}
	send(notifytest.Firing("a/1", rule("192.0.2.11")))
	until(t, "active", func() bool { l := shown(t, url); return len(l) == 1 && l[0].Status.State == "active" })
	got := shown(t, url)[0]
	if hold := time.Until(got.EndsAt); hold < 4*time.Hour+59*time.Minute || hold > 5*time.Hour {
		t.Errorf("is held for %s, want 5h", hold)
	}
	want := map[string]string{
		"alertname": "unexpected-exit", "severity": "critical", "host": "web1", "instance": "web1",
		"group": "api", "process": "api_00", "team": "api", "cost_center": "7",
	}
	if diff := cmp.Diff(want, got.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	notes := map[string]string{
		"summary": "web1 api:api_00 exited unexpectedly (exit code 1)", "count": "1", "alert": "a/1", "notification": "a/1/1",
		"description": "2026-11-21T19:00:31.833Z web1 api:api_00 exited unexpectedly (exit code 1)",
		"runbook":     "https://wiki/api", "address": "192.0.2.11",
		"incident_url": "https://mon1.example.com/alerts/a%2F1", "ack_url": "https://mon1.example.com/alerts/a%2F1#ack",
		"silence_url": "https://mon1.example.com/mutes/new?group=api&host=web1&process=api_00&rule=unexpected-exit",
	}
	if diff := cmp.Diff(notes, got.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if got.GeneratorURL != notes["incident_url"] {
		t.Errorf("generatorURL is %q", got.GeneratorURL)
	}

	// The address of the host has changed meanwhile: still the same alert.
	send(notifytest.Notification(schema.TypeAlertUpdate, "a/1", 7, rule("192.0.2.12")))
	until(t, "updated", func() bool { l := shown(t, url); return len(l) == 1 && l[0].Annotations["count"] == "7" })
	send(notifytest.Notification(schema.TypeAlertResolved, "a/1", 8, rule("192.0.2.12")))
	until(t, "resolved", func() bool { return len(shown(t, url)) == 0 })

	// The next incident of the same process.
	send(notifytest.Firing("a/2", rule("192.0.2.12")))
	until(t, "active again", func() bool { l := shown(t, url); return len(l) == 1 && l[0].Annotations["alert"] == "a/2" })
}

// TestRealAlertmanagerTakesAll: a single alert that Alertmanager does not like
// makes it answer 400 to all of them.
func TestRealAlertmanagerTakesAll(t *testing.T) {
	url := notifytest.Alertmanager(t, "")
	r := receiver(t, Config{URLs: []string{url}}, zerolog.Nop())
	batch := append(notifytest.Many(300), notifytest.HostileBatch()...)
	batch = append(batch, notifytest.Notification(schema.TypeAlertResolved, "clock", 2, func(a *schema.Notification) {
		a.Process = "clock"
		a.Closed = &schema.Time{Time: a.Opened.Add(-time.Hour)}
	}), notifytest.Firing("future", func(a *schema.Notification) {
		a.Process = "future"
		a.Opened = schema.Time{Time: time.Now().Add(48 * time.Hour)}
	}))
	if err := r.Notify(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	until(t, "all active", func() bool { return len(shown(t, url)) >= 200 })
}

// TestSeveral: one that takes the batch is enough, all are sent to, and the log says
// which does not, once.
func TestSeveral(t *testing.T) {
	good, bad := notifytest.Serve(t, notifytest.Accept), notifytest.Serve(t, notifytest.RefuseForGood)
	var log bytes.Buffer
	r := receiver(t, Config{URLs: []string{bad.URL, good.URL}}, zerolog.New(&log))
	for range 2 {
		if err := r.Notify(t.Context(), notifytest.Many(1)); err != nil {
			t.Fatal(err)
		}
	}
	if len(good.Requests()) != 2 || len(bad.Requests()) != 2 {
		t.Errorf("%d and %d requests, want 2 and 2", len(good.Requests()), len(bad.Requests()))
	}
	if n := strings.Count(log.String(), "does not take alerts"); n != 1 || !strings.Contains(log.String(), bad.URL) {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
}

func TestNoneTakes(t *testing.T) {
	gone, later, later2 := notifytest.Serve(t, notifytest.RefuseForGood), notifytest.Serve(t, notifytest.RefuseForNow), notifytest.Serve(t, notifytest.RefuseForNow)
	down := notifytest.Serve(t, notifytest.Accept)
	down.Server.Close()
	for _, c := range []struct {
		name      string
		urls      []string
		permanent bool
		wait      time.Duration
	}{
		{name: "all for good", urls: []string{gone.URL, gone.URL + "/b"}, permanent: true, wait: 0},
		{name: "one for now", urls: []string{gone.URL, down.URL}, permanent: false, wait: 0},
		{name: "all later", urls: []string{later.URL, later2.URL}, permanent: false, wait: 7 * time.Second},
		{name: "one later, one down", urls: []string{later.URL, down.URL}, permanent: false, wait: 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := receiver(t, Config{URLs: c.urls}, zerolog.Nop())
			err := r.Notify(t.Context(), notifytest.Many(1))
			wait, _ := notify.RetryAfter(err)
			if err == nil || notify.IsPermanent(err) != c.permanent || wait != c.wait {
				t.Fatalf("permanent %t, wait %s: %v", notify.IsPermanent(err), wait, err)
			}
			for _, url := range c.urls {
				if host := strings.TrimSuffix(url, "/b"); !strings.Contains(err.Error(), host) {
					t.Errorf("error does not name %s: %v", host, err)
				}
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := receiver(t, Config{URLs: []string{gone.URL, later.URL}}, zerolog.Nop())
		if err := r.Notify(ctx, notifytest.Many(1)); !errors.Is(err, context.Canceled) {
			t.Errorf("want Canceled: %v", err)
		}
	})
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want []string
	}{
		{cfg: Config{}, want: []string{"urls: missing", "hold: invalid value 0s", "timeout: invalid value 0s: want a duration above zero"}},
		{cfg: Config{URLs: []string{
			"x", "http://me:s3cret@a", "http://a/api/v2/alerts", "http://b", "http://b", "http://c?s3cret",
		}, Hold: schema.Duration(time.Second)}.WithDefaults(), want: []string{
			"urls[0]: invalid URL: want https:// or http://", "urls[1]: invalid URL with a password", "urls[2]: ", "urls[4]: duplicate URL http://b", "urls[5]: invalid URL with a password", "hold: invalid value 1s",
		}},
		{cfg: Config{URLs: []string{"http://a"}, AuthConfig: post.AuthConfig{BasicAuth: post.BasicAuth{Password: "s3cret"}}}.WithDefaults(), want: []string{"basic_auth.username: missing"}},
	} {
		notifytest.Invalid(t, c.cfg.Validate(), "s3cret", c.want...)
	}
	if _, err := New("am", Config{URLs: []string{"http://a"}, AuthConfig: post.AuthConfig{BearerTokenFile: "/does/not/exist"}}.WithDefaults(), id, zerolog.Nop()); err == nil || !strings.HasPrefix(err.Error(), "bearer_token_file: ") {
		t.Errorf("missing bearer_token_file: %v", err)
	}
	if _, err := New("am", Config{URLs: []string{"http://a"}, HTTPConfig: post.HTTPConfig{TLS: post.TLSConfig{CA: "/does/not/exist"}}}.WithDefaults(), id, zerolog.Nop()); err == nil || !strings.HasPrefix(err.Error(), "tls.ca: ") {
		t.Errorf("missing tls.ca: %v", err)
	}
}

// TestLoginPage: a proxy before Alertmanager that asks for a login has not passed
// the alerts on.
func TestLoginPage(t *testing.T) {
	for name, tc := range map[string]struct {
		body      string
		delivered bool
	}{
		"empty": {body: "", delivered: true},
		"page":  {body: "<!DOCTYPE html><html><title>oauth2-proxy</title></html>", delivered: false},
		"error": {body: `{"status":"error","error":"no tenant"}`, delivered: false},
	} {
		t.Run(name, func(t *testing.T) {
			server := notifytest.ServeFunc(t, func(_ *notifytest.Server, w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(tc.body))
			})
			r := receiver(t, Config{URLs: []string{server.URL}}, zerolog.Nop())
			if err := r.Notify(t.Context(), notifytest.Many(1)); (err == nil) != tc.delivered || notify.IsPermanent(err) {
				t.Errorf("delivered %t, want %t: %v", err == nil, tc.delivered, err)
			}
		})
	}
}

// TestClocks: an end is over by Alertmanager's own clock, whosever clock is wrong,
// or the alert would fire on there for as long as hold.
func TestClocks(t *testing.T) {
	for name, tc := range map[string]struct {
		ours   time.Duration // by how much our clock is ahead of Alertmanager's
		closed time.Duration // from now, by Alertmanager's clock
	}{
		"right":                     {ours: 0, closed: -time.Minute},
		"just now":                  {ours: 0, closed: 0},
		"closed in the future":      {ours: 0, closed: time.Hour},
		"ours ahead":                {ours: 10 * time.Minute, closed: 10 * time.Minute},
		"ours ahead by two seconds": {ours: 2 * time.Second, closed: 2 * time.Second},
		"ours behind":               {ours: -10 * time.Minute, closed: -10 * time.Minute},
		"ours far behind":           {ours: -24 * time.Hour, closed: -24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := notifytest.Alertmanager(t, "")
			r := receiver(t, Config{URLs: []string{url}}, zerolog.Nop())
			r.now = func() time.Time { return time.Now().Add(tc.ours) }
			closed := schema.Time{Time: time.Now().Add(tc.closed)}
			opened := schema.Time{Time: closed.Add(-3 * time.Minute)}

			send := func(typ string, change func(*schema.Notification)) {
				t.Helper()
				n := notifytest.Notification(typ, "a/1", 1, change)
				if err := r.Notify(t.Context(), []*notify.Notification{n}); err != nil {
					t.Fatal(err)
				}
			}
			send(schema.TypeAlertFiring, func(a *schema.Notification) { a.Opened = opened })
			until(t, "active", func() bool { return len(shown(t, url)) == 1 })
			if hold := time.Until(shown(t, url)[0].EndsAt); hold < 4*time.Hour || hold > 6*time.Hour {
				t.Errorf("is held for %s, want 5h", hold)
			}
			if starts := shown(t, url)[0].StartsAt; starts.After(time.Now().Add(time.Second)) {
				t.Errorf("begins in the future: %s", starts)
			}

			send(schema.TypeAlertResolved, func(a *schema.Notification) { a.Opened, a.Closed = opened, &closed })
			if l := shown(t, url); len(l) != 0 {
				t.Errorf("fires until %s", l[0].EndsAt)
			}
		})
	}
}

// TestOnce: an Alertmanager whose clock is right gets each batch once, and one
// that has no clock too.
func TestOnce(t *testing.T) {
	for name, date := range map[string]func() string{
		"right":   func() string { return time.Now().UTC().Format(http.TimeFormat) },
		"none":    nil,
		"no date": func() string { return "today" },
	} {
		t.Run(name, func(t *testing.T) {
			server := notifytest.ServeFunc(t, func(_ *notifytest.Server, w http.ResponseWriter, _ *http.Request) {
				w.Header()["Date"] = nil
				if date != nil {
					w.Header().Set("Date", date())
				}
			})
			r := receiver(t, Config{URLs: []string{server.URL}}, zerolog.Nop())
			closed := schema.Time{Time: time.Now()}
			batch := []*notify.Notification{notifytest.Notification(schema.TypeAlertResolved, "a/1", 2, func(a *schema.Notification) { a.Closed = &closed })}
			for range 3 {
				if err := r.Notify(t.Context(), append(batch, notifytest.Many(1)...)); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(server.Requests()); n != 3 {
				t.Errorf("%d requests, want 3", n)
			}
		})
	}
}
