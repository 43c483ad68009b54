package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/fleet"
	"supernats/consumer/web/site"
)

// What is wrong with a request is said with what was found and what is wanted.
func TestWrongRequests(t *testing.T) {
	i := install(t, site.AllowMute, site.AllowAck)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               []string
	}{
		{path: "/api/v1/events?until=soon", status: 400, want: []string{"until:", `"soon"`, "RFC 3339"}},
		{path: "/api/v1/events?since=-1h", status: 400, want: []string{"since:", `"-1h"`}},
		{path: "/api/v1/events?since=1h&until=2h", status: 400, want: []string{"until:", "before since", "want it after"}},
		{path: "/api/v1/alerts?since=1h&until=1d", status: 400, want: []string{"before since"}},
		{path: "/api/v1/events?since=1h&since=2h", status: 400, want: []string{"since: given 2 times, want it once"}},
		{path: "/api/v1/events?event=FATAL", status: 400, want: []string{`event: invalid name "FATAL"`}},
		{path: "/api/v1/events?host=%5B", status: 400, want: []string{`"["`, "want a name with"}},
		{path: "/api/v1/events?limit=-1", status: 400, want: []string{`limit: invalid value "-1"`, "above 0"}},
		{path: "/api/v1/events?limt=1", status: 400, want: []string{`unknown parameter "limt"`, "limit"}},
		{path: "/api/v1/status?x=1", status: 400, want: []string{`unknown parameter "x": want none`}},
		{path: "/api/v1/events?a;b", status: 400, want: []string{"semicolon", "want name=value"}},
		{path: "/api/v1/events?%zz", status: 400, want: []string{"%zz"}},
		{path: "/api/v1/processes?page_token=x", status: 400, want: []string{"invalid page token"}},
		{path: "/api/v1/alerts?page_token=e30", status: 400, want: []string{"invalid page token"}},
		{path: "/api/v1/events?page_token=e30", status: 400, want: []string{"invalid page token"}},
		{path: "/api/v1/mutes?page_token=e30", status: 400, want: []string{"invalid page token"}},
		{path: "/api/v1", status: 404, want: []string{"no such path", "openapi.json"}},
		{path: "/api/v1/processes/", status: 404, want: []string{"no such path"}},
		{path: "/api/v1/alerts/x/ack", status: 405, want: []string{"want POST, DELETE"}},
		{method: "POST", path: "/api/v1/mutes", body: `{"hosts":"web1"}`, status: 400, want: []string{"hosts: found a JSON string"}},
		{method: "POST", path: "/api/v1/mutes", body: `[]`, status: 400, want: []string{"want one JSON object"}},
		{method: "POST", path: "/api/v1/mutes", body: `{"comment":"` + strings.Repeat("x", maxBody) + `"}`, status: 413, want: []string{"at most 65536 bytes"}},
	} {
		if c.method == "" {
			c.method = "GET"
		}
		status, contentType, body := i.do(c.method, c.path, c.body)
		var p site.Problem
		err := json.Unmarshal([]byte(body), &p)
		if status != c.status || contentType != "application/problem+json" || err != nil ||
			p.Status != status || p.Title != http.StatusText(status) || p.Type != "about:blank" {
			t.Errorf("%s %s: %d %s %s, want %d, %v", c.method, c.path, status, contentType, body, c.status, err)
		}
		for _, want := range c.want {
			if !strings.Contains(p.Detail, want) {
				t.Errorf("%s %s: %q is missing in %q", c.method, c.path, want, p.Detail)
			}
		}
	}
}

// Forms of a page cannot be taken for JSON; what curl sends if nothing is said can.
func TestTypesOfBodies(t *testing.T) {
	i := install(t, site.AllowMute)
	for contentType, want := range map[string]int{
		"": 201, "application/json": 201, "application/json; charset=utf-8": 201, "application/x-www-form-urlencoded": 201,
		"text/plain": 415, "multipart/form-data; boundary=x": 415, "application/xml": 415, "?": 415,
	} {
		body := strings.NewReader(`{"hosts":["web9"],"comment":"deployment","for":"1h"}`)
		r := httptest.NewRequest(http.MethodPost, "/api/v1/mutes", body)
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		w := httptest.NewRecorder()
		i.mux.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d %s", contentType, w.Code, w.Body)
		}
	}
}

// Times are as in the commands, and a zone is understood also where its + was not encoded.
func TestPeriods(t *testing.T) {
	i := install(t)
	now := time.Now()
	berlin := time.FixedZone("", 3600)
	for _, c := range []struct {
		query string
		want  int
	}{
		{query: "", want: 2},
		{query: "since=1d", want: 2},
		{query: "until=1h", want: 0},
		{query: "since=2h&until=1h", want: 0},
		{query: "since=" + now.Add(-time.Hour).UTC().Format(time.RFC3339), want: 2},
		{query: "since=" + now.Add(-time.Hour).In(berlin).Format(time.RFC3339), want: 2},
		{query: "since=" + url.QueryEscape(now.Add(-time.Hour).In(berlin).Format(time.RFC3339)), want: 2},
		{query: "until=" + now.Add(time.Hour).In(berlin).Format(time.RFC3339), want: 2},
		{query: "limit=18446744073709551616", want: 2},
		{query: "limit=1", want: 1},
	} {
		for list, path := range map[string]string{"events": "/api/v1/events?", "alerts": "/api/v1/alerts?"} {
			status, _, body := i.do("GET", path+c.query, "")
			var answer map[string]json.RawMessage
			var items []any
			if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 {
				t.Fatalf("%s%s: %d %s", path, c.query, status, body)
			}
			if err := json.Unmarshal(answer[list], &items); err != nil || len(items) != c.want {
				t.Errorf("%s%s: %d, want %d, %v", path, c.query, len(items), c.want, err)
			}
		}
	}
	for query, want := range map[string]int{"event=PROCESS_STATE": 1, "event=PROCESS_LOG": 0} {
		_, _, body := i.do("GET", "/api/v1/alerts?"+query, "")
		if got := strings.Count(body, `"alert":"`); got != want {
			t.Errorf("%s: %d alerts, want %d: %s", query, got, want, body)
		}
	}
}

// A page token leads on in its own list only, and leads to the rest of it.
func TestPageTokens(t *testing.T) {
	i := install(t, site.AllowMute)
	for range 3 {
		i.do("POST", "/api/v1/mutes", `{"hosts":["web9"],"comment":"deployment","for":"1h"}`)
	}
	i.Until("the silences are listed", func() bool {
		_, _, body := i.do("GET", "/api/v1/mutes", "")
		return strings.Contains(body, `"total":3`)
	})

	for _, c := range []struct {
		path, other string // another query of the same list
		id          string
		want        int
	}{
		{path: "/api/v1/processes?sort=worst", other: "/api/v1/processes?sort=worst&group=*", id: `"process":"`, want: 3},
		{path: "/api/v1/processes?host=web1", other: "/api/v1/processes?host=web1&q=a", id: `"process":"`, want: 3},
		{path: "/api/v1/alerts?group=api", other: "/api/v1/alerts?group=api&rule=*", id: `"alert":"`, want: 2},
		{path: "/api/v1/events?host=web1", other: "/api/v1/events?host=web1&since=1d", id: `"seq":`, want: 2},
		{path: "/api/v1/mutes?", other: "/api/v1/alerts?", id: `"id":"`, want: 3},
	} {
		var seen []string
		for token := ""; ; {
			status, _, body := i.do("GET", c.path+"&limit=1&page_token="+token, "")
			if status != 200 || len(seen) > c.want {
				t.Fatalf("%s after %v: %d %s", c.path, seen, status, body)
			}
			_, after, _ := strings.Cut(body, c.id)
			seen = append(seen, after[:40])
			var answer struct {
				Next string `json:"next_page_token"`
			}
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatal(err)
			}
			if token = answer.Next; token == "" {
				break
			}
			if status, _, body := i.do("GET", c.other+"&page_token="+token, ""); status != 400 {
				t.Errorf("%s with a token of %s: %d %s", c.other, c.path, status, body)
			}
		}
		if slices.Sort(seen); len(slices.Compact(seen)) != c.want {
			t.Errorf("%s: %q", c.path, seen)
		}
	}
}

// Before the records are read, nothing is answered that looks as if there were nothing.
func TestBeforeTheRecordsAreRead(t *testing.T) {
	a := New(API{
		Site: &site.Site{}, Fleet: fleet.New(), JetStream: func() jetstream.JetStream { return nil }, Log: zerolog.Nop(),
	})
	mux := http.NewServeMux()
	a.Register(mux)
	for _, path := range []string{"processes", "processes/web1/api/api_00", "hosts", "hosts/web1", "alerts", "alerts/x", "events", "mutes"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, Prefix+path, nil))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" ||
			w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
	}
}
