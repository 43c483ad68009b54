package pagerduty

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
	"supernats/consumer/notify/post"
	"supernats/schema"
)

const key = "c0rrecth0rsebatterystaple1234567"

var id = notify.Identity{Instance: "mon1", Version: "1.2.3", URL: "https://mon1.example.com/"}

func TestReceiver(t *testing.T) {
	notifytest.RunReceiver(t, func(t *testing.T, b notifytest.Behaviour, timeout time.Duration) notifytest.Peer {
		server := notifytest.Serve(t, b)
		r, err := New("pd", Config{URL: server.URL + "/" + key, RoutingKey: key, HTTPConfig: post.HTTPConfig{Timeout: schema.Duration(timeout)}}.WithDefaults(), id)
		if err != nil {
			t.Fatal(err)
		}
		return notifytest.Peer{Receiver: r, Got: server.Bodies, Secrets: []string{key}, IDs: func(body []byte) []string {
			return []string{parse(t, body).DedupKey}
		}}
	})
}

func parse(t *testing.T, body []byte) event {
	t.Helper()
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		t.Error(err)
	}
	return e
}

// send delivers a batch and returns what PagerDuty got.
func send(t *testing.T, batch ...*notify.Notification) (list []event, bodies [][]byte) {
	t.Helper()
	server := notifytest.Serve(t, notifytest.Accept)
	r, err := New("pd", Config{URL: server.URL, RoutingKey: key}.WithDefaults(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Notify(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for _, body := range server.Bodies() {
		list = append(list, parse(t, body))
	}
	return list, server.Bodies()
}

// An incident of PagerDuty is acknowledged where somebody takes care of the alert.
func TestAcknowledge(t *testing.T) {
	firing := notifytest.Firing("a/1")
	ack := notifytest.Notification(schema.TypeAlertAcknowledged, "a/1", 2)
	unack := notifytest.Notification(schema.TypeAlertUnacknowledged, "a/1", 3)
	over := notifytest.Notification(schema.TypeAlertResolved, "a/1", 4)
	for _, c := range []struct {
		name  string
		batch []*notify.Notification
		want  string
	}{
		{name: "alone", batch: []*notify.Notification{ack}, want: "acknowledge"},
		{name: "with its beginning", batch: []*notify.Notification{firing, ack}, want: "trigger acknowledge"},
		{name: "withdrawn", batch: []*notify.Notification{unack}, want: "trigger"},
		{name: "over", batch: []*notify.Notification{ack, over}, want: "resolve"},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, _ := send(t, c.batch...)
			var got []string
			for _, e := range list {
				got = append(got, e.EventAction)
				if e.DedupKey != "a/1" {
					t.Errorf("of %s", e.DedupKey)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%q, want %s", got, c.want)
			}
		})
	}
}

func TestBody(t *testing.T) {
	_, bodies := send(t, notifytest.Firing("a/1"))
	want := `{"routing_key":"` + key + `","event_action":"trigger","dedup_key":"a/1","client":"supernats","client_url":"https://mon1.example.com/alerts/a%2F1",` +
		`"payload":{"summary":"web1 api:api_00 exited unexpectedly (exit code 1)","source":"web1","severity":"critical","timestamp":"2026-11-21T19:00:31.833512Z",` +
		`"component":"api:api_00","group":"api","class":"unexpected-exit","custom_details":{"address":"192.0.2.11","alert":"a/1","alertname":"unexpected-exit","count":"1",` +
		`"description":"2026-11-21T19:00:31.833Z web1 api:api_00 exited unexpectedly (exit code 1)","group":"api","host":"web1","instance":"web1","notification":"a/1/1",` +
		`"process":"api_00","severity":"critical","summary":"web1 api:api_00 exited unexpectedly (exit code 1)","team":"api"}},` +
		`"links":[{"href":"https://mon1.example.com/alerts/a%2F1","text":"Incident"},{"href":"https://mon1.example.com/alerts/a%2F1#ack","text":"Acknowledge"},` +
		`{"href":"https://mon1.example.com/mutes/new?group=api&host=web1&process=api_00&rule=unexpected-exit","text":"Silence"}]}`
	if len(bodies) != 1 {
		t.Fatalf("%d requests, want 1", len(bodies))
	}
	if diff := cmp.Diff(want, string(bodies[0])); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

// Without an external_url there is no link but the rule's own.
func TestLinksWithoutAnAddress(t *testing.T) {
	runbook := func(a *schema.Notification) {
		a.Annotations = map[string]string{"runbook": "https://wiki.example.com/api"}
	}
	for _, c := range []struct {
		n    *notify.Notification
		want []href
	}{
		{n: notifytest.Firing("a/1")},
		{n: notifytest.Firing("a/1", runbook), want: []href{{"https://wiki.example.com/api", "Runbook"}}},
	} {
		e, ok := parts([]*notify.Notification{c.n}, key, notify.Identity{Instance: "mon1"})[0].Bodies[0].(event)
		if !ok || e.ClientURL != "" || !cmp.Equal(c.want, e.Links) {
			t.Errorf("client_url %q, links %q, want %q", e.ClientURL, e.Links, c.want)
		}
	}
}

func TestALackOfMemory(t *testing.T) {
	events, _ := send(t, notifytest.OutOfMemory("a"))
	p := events[0].Payload
	if want := "web1 api:api_00 exited unexpectedly (ran 2 d 4 h, SIGKILL, out of memory at 2.0 of 2 GiB)"; p.Summary != want {
		t.Errorf("summary %q, want %q", p.Summary, want)
	}
	if p.Details["ran"] != "2 d 4 h" || p.Details["out_of_memory"] != `2.0 of 2 GiB in cgroup /system.slice/a\x1b.service` || !strings.HasPrefix(p.Details["last_look"], "2.2 s before: 1.9 GiB") {
		t.Errorf("details %q", p.Details)
	}
}

// TestActions: what is reported for the first time is triggered, even if it is over
// already; what only ends is resolved.
func TestActions(t *testing.T) {
	n := notifytest.Notification
	for _, c := range []struct {
		name  string
		batch []*notify.Notification
		want  []string
	}{
		{name: "firing", batch: []*notify.Notification{n(schema.TypeAlertFiring, "a", 1)}, want: []string{"trigger a"}},
		{name: "firing and updates", batch: []*notify.Notification{n(schema.TypeAlertFiring, "a", 1), n(schema.TypeAlertUpdate, "a", 2), n(schema.TypeAlertUpdate, "a", 3)}, want: []string{"trigger a"}},
		{name: "resolved", batch: []*notify.Notification{n(schema.TypeAlertResolved, "a", 2)}, want: []string{"resolve a"}},
		{name: "both", batch: []*notify.Notification{n(schema.TypeAlertFiring, "a", 1), n(schema.TypeAlertFiring, "b", 1), n(schema.TypeAlertResolved, "a", 2)}, want: []string{"trigger b", "trigger a", "resolve a"}},
		{name: "again", batch: []*notify.Notification{n(schema.TypeAlertResolved, "a", 2), n(schema.TypeAlertFiring, "b", 1)}, want: []string{"resolve a", "trigger b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			events, _ := send(t, c.batch...)
			var got []string
			for _, e := range events {
				got = append(got, e.EventAction+" "+e.DedupKey)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("actions (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLimits: PagerDuty refuses an event that has more.
func TestLimits(t *testing.T) {
	batch := notifytest.HostileBatch()
	batch = append(batch, notifytest.Firing("big", func(a *schema.Notification) {
		for range 5000 {
			a.Events = append(a.Events, a.Events[0])
		}
	}))
	events, bodies := send(t, batch...)
	if len(events) != len(batch) {
		t.Errorf("%d events of a batch of %d", len(events), len(batch))
	}
	for i, e := range events {
		if n := utf8.RuneCountInString(e.Payload.Summary); n == 0 || n > 1024 {
			t.Errorf("summary has %d characters", n)
		}
		if len(e.DedupKey) == 0 || len(e.DedupKey) > 255 || e.Payload.Source == "" || len(bodies[i]) > 512<<10 {
			t.Errorf("dedup_key has %d bytes, the event %d, source is %.40q", len(e.DedupKey), len(bodies[i]), e.Payload.Source)
		}
		if !strings.Contains("critical error warning info", e.Payload.Severity) {
			t.Errorf("severity is %q", e.Payload.Severity)
		}
	}
}

func TestSeverity(t *testing.T) {
	for s, want := range map[string]string{
		"critical": "critical", "Error": "error", "warning": "warning", "info": "info",
		"page": "critical", "none": "info", "": "warning", "high": "warning",
	} {
		if got := severity(s); got != want {
			t.Errorf("severity of %q is %s, want %s", s, got, want)
		}
	}
}

// TestStopsWhenAsked: what comes after an event that PagerDuty wants later waits with
// it.
func TestStopsWhenAsked(t *testing.T) {
	server := notifytest.Serve(t, notifytest.RefuseForNow)
	r, err := New("pd", Config{URL: server.URL, RoutingKey: key}.WithDefaults(), id)
	if err != nil {
		t.Fatal(err)
	}
	if wait, ok := notify.RetryAfter(r.Notify(t.Context(), notifytest.Many(5))); !ok || wait != 7*time.Second {
		t.Errorf("wait %s, want 7s", wait)
	}
	if n := len(server.Requests()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{cfg: Config{}.WithDefaults(), want: "routing_key_file: missing"},
		{cfg: Config{RoutingKey: key, RoutingKeyFile: "f"}.WithDefaults(), want: "routing_key: given together"},
		{cfg: Config{RoutingKey: "s3cret with spaces"}.WithDefaults(), want: "routing_key: invalid integration key"},
		{cfg: Config{RoutingKey: key, URL: "x"}.WithDefaults(), want: "url: invalid URL: want https://"},
		{cfg: Config{RoutingKey: key, URL: "https://x"}, want: "timeout: invalid value 0s: want a duration above zero"},
	} {
		_, err := New("pd", c.cfg, id)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("error is %v, want %s", err, c.want)
		}
	}
	file := filepath.Join(t.TempDir(), "key")
	if _, err := New("pd", Config{RoutingKeyFile: file}.WithDefaults(), id); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := notifytest.Serve(t, notifytest.Accept)
	r, err := New("pd", Config{RoutingKeyFile: file, URL: server.URL}.WithDefaults(), id)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Repeat("7", 32)
	if err := os.WriteFile(file, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Notify(t.Context(), notifytest.Many(1)); err != nil {
		t.Fatal(err)
	}
	if got := parse(t, server.Bodies()[0]).RoutingKey; got != other {
		t.Errorf("routing_key is %q, not the one that is in the file now", got)
	}
}

// TestAccepted: PagerDuty says in its text whether it has taken an event.
func TestAccepted(t *testing.T) {
	for name, tc := range map[string]struct {
		status    int
		body      string
		words     string // of the error; none if it is delivered
		permanent bool
	}{
		"success":  {status: 202, body: `{"status":"success","message":"Event processed","dedup_key":"x"}`, words: "", permanent: false},
		"invalid":  {status: 200, body: `{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'routing_key' is incorrect"]}`, words: "invalid event: Event object is invalid: Length of 'routing_key' is incorrect; check routing_key", permanent: true},
		"throttle": {status: 202, body: `{"status":"throttle exceeded","message":"Requests for this service are arriving too quickly."}`, words: "throttle exceeded: Requests", permanent: false},
		"page":     {status: 200, body: "<html><title>Sign in</title></html>", words: "a web page (\"Sign in\") that looks like a login", permanent: false},
		"text":     {status: 200, body: "ok", words: `without the {"status":"success"} of a success: ok`, permanent: false},
		"empty":    {status: 200, body: "", words: "the answer is empty", permanent: false},
	} {
		t.Run(name, func(t *testing.T) {
			server := notifytest.ServeFunc(t, func(_ *notifytest.Server, w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			})
			r, err := New("pd", Config{URL: server.URL, RoutingKey: key}.WithDefaults(), id)
			if err != nil {
				t.Fatal(err)
			}
			err = r.Notify(t.Context(), notifytest.Many(1))
			if tc.words == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || notify.IsPermanent(err) != tc.permanent || !strings.Contains(err.Error(), tc.words) {
				t.Errorf("%v, permanent %t; want %q, %t", err, notify.IsPermanent(err), tc.words, tc.permanent)
			}
		})
	}
}
