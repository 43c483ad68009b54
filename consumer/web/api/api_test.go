package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"supernats/consumer/fleet"
	"supernats/consumer/fleettest"
	"supernats/consumer/web/site"
	"supernats/schema"
	"supernats/schema/stream"
)

// installation is a fleet with an API before it.
type installation struct {
	*fleettest.Fleet
	api *API
	mux *http.ServeMux
	// remote is the address from which requests come.
	remote string
}

// install runs an installation with one host, on which api:api_00 has crashed.
func install(t *testing.T, allow ...string) *installation {
	t.Helper()
	f := fleettest.New(t)
	put := func(bucket, key string, record any) {
		if _, err := f.Bucket(bucket).Put(t.Context(), key, []byte(f.JSON(record))); err != nil {
			t.Fatal(err)
		}
	}
	now := schema.Time{Time: time.Now().UTC()}
	for i, state := range []string{schema.StateFatal, schema.StateRunning, schema.StateRunning} {
		name := fmt.Sprintf("api_%02d", i)
		put(stream.StateBucket, schema.StateKey("web1", "api", name), &schema.ProcessRecord{
			Host: "web1", Group: "api", Process: name, State: state, Since: now, Boot: "4f0c6d1e2a90b7c3",
		})
	}
	put(stream.HostsBucket, "web1", &schema.HostRecord{Host: "web1", Boot: "4f0c6d1e2a90b7c3", LastSeen: now, Running: 2, Down: 1})

	crash := f.Crash(func(e *schema.Event) { e.Log = &schema.Log{Stderr: "password=hush\n"} })
	f.Publish(crash, f.Event(schema.ProcessLogStdout, func(e *schema.Event) { e.Data = new("token=hush") }))
	a := &schema.Alert{
		Incident: "unexpected-exit/web1/4f0c6d1e2a90b7c3/1", Rule: "unexpected-exit", Severity: "critical",
		Host: "web1", Group: "api", Process: "api_00", Phase: schema.PhaseFiring, Opened: now, Count: 1,
		Last:    &schema.AlertEvent{ID: "1", Time: now, Event: crash.Event, Log: crash.Log},
		Members: []schema.AlertMember{{Process: "api_00", State: &schema.AlertEvent{ID: "2", Log: &schema.Log{Stdout: "hush, too"}}}},
	}
	put(stream.AlertsBucket, schema.AlertKey(a.Rule, a.Host, a.Group, a.Process), a)
	put(stream.AlertsBucket, schema.AlertKey("fatal", a.Host, a.Group, a.Process), func() *schema.Alert {
		other := *a
		other.Rule, other.Incident, other.Severity = "fatal", "fatal/web1/4f0c6d1e2a90b7c3/2", "warning"
		other.Last, other.Members = nil, nil
		return &other
	}())
	n := &schema.Notification{
		Incident: a.Incident, Rule: a.Rule, Severity: a.Severity, Host: a.Host, Group: a.Group, Process: a.Process,
		Opened: now, Count: 1, Events: []schema.AlertEvent{*a.Last},
	}
	f.PublishRaw(n.Subject(), f.JSON(n.Envelope("n1", schema.TypeAlertFiring, now.Time)))

	// Events were recorded once: since then nobody does.
	if _, err := f.JS.CreateConsumer(t.Context(), stream.Events, jetstream.ConsumerConfig{
		Durable: stream.EventsConsumer, AckPolicy: jetstream.AckAllPolicy,
	}); err != nil {
		t.Fatal(err)
	}
	live := fleet.New()
	stop := f.Background(func(ctx context.Context) error { return live.Run(ctx, f.JS, zerolog.Nop()) })
	t.Cleanup(stop)
	f.Until("the records are read", func() bool {
		s := live.Snapshot()
		return s.Status.Loaded && s.Host("web1") != nil && len(s.Host("web1").Processes) == 3 && len(s.Alerts) == 2
	})

	i := &installation{Fleet: f, mux: http.NewServeMux(), remote: "127.0.0.1:5"}
	i.api = New(API{
		Site: &site.Site{Settings: site.Settings{Allow: allow}}, Fleet: live,
		JetStream: func() jetstream.JetStream { return f.JS }, Log: zerolog.Nop(),
	})
	i.api.Register(i.mux)
	return i
}

// do returns the answer to a request.
func (i *installation) do(method, path, body string) (status int, contentType, answer string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = i.remote, "127.0.0.1:8000"
	w := httptest.NewRecorder()
	i.api.Site.Identify(i.mux).ServeHTTP(w, r)
	return w.Code, w.Header().Get("Content-Type"), w.Body.String()
}

// schemas compiles what openapi.json says of answers.
func schemas(t *testing.T) (document map[string]any, compile func(pointer string) *jsonschema.Schema) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPI))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("openapi.json", value); err != nil {
		t.Fatal(err)
	}
	return value.(map[string]any), func(pointer string) *jsonschema.Schema {
		s, err := c.Compile("openapi.json#" + pointer)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// Every answer is as openapi.json says, and every path of it is served.
func TestAnswersAreAsDescribed(t *testing.T) {
	i := install(t, site.AllowMute, site.AllowAck)
	i.takeAcks()
	document, compile := schemas(t)
	requests := map[string][]struct {
		path, body string
		status     int
	}{
		"GET /api/v1/status":                             {{path: "/api/v1/status", status: 200}, {path: "/api/v1/status?x=1", status: 400}},
		"GET /api/v1/processes":                          {{path: "/api/v1/processes?sort=worst&state=FATAL", status: 200}, {path: "/api/v1/processes?host=nowhere", status: 200}, {path: "/api/v1/processes?limit=0", status: 400}},
		"GET /api/v1/processes/{host}/{group}/{process}": {{path: "/api/v1/processes/web1/api/api_00", status: 200}, {path: "/api/v1/processes/web1/api/x", status: 404}},
		"GET /api/v1/hosts":                              {{path: "/api/v1/hosts", status: 200}, {path: "/api/v1/hosts?sort=age", status: 400}},
		"GET /api/v1/hosts/{host}":                       {{path: "/api/v1/hosts/web1", status: 200}, {path: "/api/v1/hosts/web2", status: 404}},
		"GET /api/v1/alerts":                             {{path: "/api/v1/alerts?phase=firing&severity=critical", status: 200}, {path: "/api/v1/alerts?event=PROCESS_STATE&since=1d", status: 200}, {path: "/api/v1/alerts?phase=open", status: 400}, {path: "/api/v1/alerts?event=EXITED", status: 400}},
		"GET /api/v1/alerts/{id}":                        {{path: "/api/v1/alerts/unexpected-exit/web1/4f0c6d1e2a90b7c3/1", status: 200}, {path: "/api/v1/alerts/unexpected-exit%2Fweb1%2F4f0c6d1e2a90b7c3%2F1", status: 200}, {path: "/api/v1/alerts/x", status: 404}, {path: "/api/v1/alerts/x?format=pdf", status: 400}},
		"POST /api/v1/alerts/{id}/ack": {
			{path: "/api/v1/alerts/unexpected-exit/web1/4f0c6d1e2a90b7c3/1/ack", body: `{"reason":"looking","for":"8h"}`, status: 201},
			{path: "/api/v1/alerts/fatal%2Fweb1%2F4f0c6d1e2a90b7c3%2F2/ack", body: `{"reason":"looking"}`, status: 201},
			{path: "/api/v1/alerts/fatal%2Fweb1%2F4f0c6d1e2a90b7c3%2F2/ack", body: `{"reason":" "}`, status: 400},
			{path: "/api/v1/alerts/fatal%2Fweb1%2F4f0c6d1e2a90b7c3%2F2/ack", body: `{"reason":"looking","for":"soon"}`, status: 400},
			{path: "/api/v1/alerts/x/ack", body: `{"reason":"looking"}`, status: 404},
			{path: "/api/v1/alerts/x", body: `{"reason":"looking"}`, status: 405},
		},
		"DELETE /api/v1/alerts/{id}/ack": {{path: "/api/v1/alerts/x/ack", status: 404}},
		"GET /api/v1/events":             {{path: "/api/v1/events?event=PROCESS_STATE&since=1h", status: 200}, {path: "/api/v1/events?until=2006-01-02T15:04:05%2B01:00&limit=1000000", status: 200}, {path: "/api/v1/events?since=soon", status: 400}, {path: "/api/v1/events?event=NOPE", status: 400}},
		"GET /api/v1/mutes":              {{path: "/api/v1/mutes?limit=1", status: 200}, {path: "/api/v1/mutes?page_token=x", status: 400}, {path: "/api/v1/mutes?x=1", status: 400}},
		"GET /api/v1/openapi.json":       {{path: "/api/v1/openapi.json", status: 200}},
		"POST /api/v1/mutes":             {{path: "/api/v1/mutes", body: `{"hosts":["web1"],"comment":"deployment","for":"1h"}`, status: 201}, {path: "/api/v1/mutes", body: `{"comment":"x","for":"1h"}`, status: 400}, {path: "/api/v1/mutes", body: `{"host":["web1"]}`, status: 400}},
		"DELETE /api/v1/mutes/{id}":      {{path: "/api/v1/mutes/0000000000", status: 404}},
	}

	elsewhere := map[string]bool{"/api/v1/sd": true, "/api/v1/stream": true} // other rooms serve these
	for path, methods := range document["paths"].(map[string]any) {
		if elsewhere[path] {
			continue
		}
		for method := range methods.(map[string]any) {
			name := strings.ToUpper(method) + " " + path
			if len(requests[name]) == 0 {
				t.Errorf("%s: nothing tries it", name)
			}
			for _, r := range requests[name] {
				status, contentType, body := i.do(strings.ToUpper(method), r.path, r.body)
				if status != r.status {
					t.Errorf("%s %s: %d %s, want %d", method, r.path, status, body, r.status)
					continue
				}
				kind := "application/json"
				pointer := fmt.Sprintf("/paths/%s/%s/responses/%d/content/application~1json/schema",
					strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path), method, status)
				if status >= 400 {
					kind, pointer = "application/problem+json", "/components/schemas/Problem"
				}
				answer, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
				if err != nil || contentType != kind {
					t.Errorf("%s %s: %s %v", method, r.path, contentType, err)
					continue
				}
				if err := compile(pointer).Validate(answer); err != nil {
					t.Errorf("%s %s: %v\n%s", method, r.path, err, body)
				}
			}
		}
	}
	if got, want := len(i.api.routes())+1, len(requests); got != want { // openapi.json itself
		t.Errorf("%d routes, openapi.json has %d", got, want)
	}
}

// takeAcks does with acknowledgements what the daemon does: they go into the records.
func (i *installation) takeAcks() {
	i.Helper()
	acks, err := i.JS.OrderedConsumer(i.Context(), stream.Events, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{stream.AllAcks},
	})
	if err != nil {
		i.Fatal(err)
	}
	reading, err := acks.Consume(func(m jetstream.Msg) {
		ce, err := schema.Unmarshal[*schema.Ack](m.Data())
		if err != nil || m.Subject() != ce.Data.Subject() {
			i.Errorf("%s on %s: %v", m.Data(), m.Subject(), err)
			return
		}
		meta, err := m.Metadata()
		if err != nil {
			i.Error(err)
			return
		}
		a, kv := ce.Data, i.Bucket(stream.AlertsBucket)
		key := schema.AlertKey(a.Rule, a.Host, a.Group, a.Process)
		e, err := kv.Get(context.Background(), key)
		if err != nil {
			i.Error(err)
			return
		}
		var record schema.Alert
		if err := json.Unmarshal(e.Value(), &record); err != nil {
			i.Error(err)
			return
		}
		record.Seq = max(record.Seq, meta.Sequence.Stream)
		record.Clock = schema.Time{Time: meta.Timestamp}
		record.Acknowledged = nil
		if ce.Type == schema.TypeAck {
			record.Acknowledged = &schema.Acknowledgement{By: a.By, Reason: a.Reason, Since: ce.Time}
			if a.For > 0 {
				record.Acknowledged.Until = &schema.Time{Time: ce.Time.Add(time.Duration(a.For))}
			}
		}
		if _, err := kv.Put(context.Background(), key, []byte(i.JSON(&record))); err != nil {
			i.Error(err)
		}
	})
	if err != nil {
		i.Fatal(err)
	}
	i.Cleanup(reading.Stop)
}

// Incidents are acknowledged only where web.allow says so, by who is logged in.
func TestAcknowledgements(t *testing.T) {
	const path, body = "/api/v1/alerts/unexpected-exit/web1/4f0c6d1e2a90b7c3/1/ack", `{"reason":"looking","for":"8h"}`
	readOnly := install(t, site.AllowMute)
	for _, method := range []string{"POST", "DELETE"} {
		if status, _, answer := readOnly.do(method, path, body); status != 403 || !strings.Contains(answer, "web.allow") {
			t.Errorf("%s: %d %s", method, status, answer)
		}
	}

	i := install(t, site.AllowAck)
	i.takeAcks()
	if status, _, answer := i.do("DELETE", path, ""); status != 409 {
		t.Errorf("nobody has acknowledged it: %d %s", status, answer)
	}
	status, _, answer := i.do("POST", path, body)
	var said acknowledgement
	if err := json.Unmarshal([]byte(answer), &said); err != nil || status != 201 || said.Acknowledged.By != "web" ||
		said.Acknowledged.Reason != "looking" || said.Acknowledged.Until == nil {
		t.Fatalf("%d %s, %v", status, answer, err)
	}
	i.Until("the incident shows it, and is no longer urgent", func() bool {
		_, _, list := i.do("GET", "/api/v1/alerts?rule=unexpected-exit", "")
		return strings.Contains(list, `"acknowledged":{"by":"web","reason":"looking"`) && strings.Contains(list, `"level":"info"`)
	})
	if status, _, answer := i.do("DELETE", path, ""); status != 204 {
		t.Errorf("%d %s", status, answer)
	}
}

// What is stored while nobody records events has effect later: to send it again would be one
// more.
func TestAcknowledgementsThatNobodyHasTaken(t *testing.T) {
	t.Parallel() // it waits for a consumer
	i := install(t, site.AllowAck)
	_, compile := schemas(t)
	status, _, body := i.do("POST", "/api/v1/alerts/unexpected-exit/web1/4f0c6d1e2a90b7c3/1/ack", `{"reason":"looking"}`)
	answer, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil || status != 202 || !strings.Contains(body, "it is stored") {
		t.Fatalf("%d %s, %v", status, body, err)
	}
	if err := compile("/components/schemas/PendingAck").Validate(answer); err != nil {
		t.Error(err)
	}
}

// What programs have written is only for who is logged in, and for loopback.
func TestStrangersSeeNoOutput(t *testing.T) {
	i := install(t)
	for _, path := range []string{"/api/v1/alerts", "/api/v1/alerts/unexpected-exit/web1/4f0c6d1e2a90b7c3/1", "/api/v1/alerts/unexpected-exit/web1/4f0c6d1e2a90b7c3/1?format=md", "/api/v1/events"} {
		i.remote = "127.0.0.1:5"
		if _, _, body := i.do("GET", path, ""); !strings.Contains(body, "hush") {
			t.Errorf("%s here: %s", path, body)
		}
		i.remote = "192.0.2.1:5"
		if status, _, body := i.do("GET", path, ""); status != 200 || strings.Contains(body, "hush") {
			t.Errorf("%s from elsewhere: %d %s", path, status, body)
		}
	}
}

// Silences are made and ended only where web.allow says so.
func TestSilences(t *testing.T) {
	body := `{"hosts":["web1"],"comment":"deployment","for":"1h"}`
	readOnly := install(t)
	if status, _, answer := readOnly.do("POST", "/api/v1/mutes", body); status != 403 || !strings.Contains(answer, "web.allow") {
		t.Errorf("%d %s", status, answer)
	}

	i := install(t, site.AllowMute)
	status, _, answer := i.do("POST", "/api/v1/mutes", body)
	var made struct {
		ID, Author string
		Alerts     []string
	}
	if err := json.Unmarshal([]byte(answer), &made); err != nil || status != 201 || made.Author != "web" || len(made.Alerts) != 2 {
		t.Fatalf("%d %s, %v", status, answer, err)
	}
	i.Until("the silence is listed", func() bool {
		_, _, list := i.do("GET", "/api/v1/mutes", "")
		return strings.Contains(list, made.ID)
	})
	if status, _, answer := i.do("DELETE", "/api/v1/mutes/"+made.ID, ""); status != 204 {
		t.Errorf("%d %s", status, answer)
	}
	i.Until("it is over", func() bool {
		_, _, list := i.do("GET", "/api/v1/mutes", "")
		return !strings.Contains(list, made.ID)
	})
}

// Without NATS what is in memory is shown, as no longer live, and the rest says why not.
func TestWithoutNATS(t *testing.T) {
	i := install(t)
	i.api.JetStream = func() jetstream.JetStream { return nil }
	if status, _, body := i.do("GET", "/api/v1/events", ""); status != 503 || !strings.Contains(body, "NATS cannot be reached") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := i.do("GET", "/api/v1/processes", ""); status != 200 || !strings.Contains(body, `"live":false,"since":`) {
		t.Errorf("%d %s", status, body)
	}
}
