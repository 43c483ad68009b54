package app

import (
	"encoding/json"
	"html"
	"io"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"supernats/consumer/fleettest"
	"supernats/consumer/silences"
	"supernats/schema"
	"supernats/schema/stream"
)

// visited is a daemon as its visitors reach it, below /sn, with an open incident and a silence.
type visited struct {
	*fleettest.Fleet
	url string
}

func visit(t *testing.T) *visited {
	f := fleettest.New(t)
	d := readyDaemon(t, loadText(t, `
nats: {url: "`+f.Server.URL+`"}
listen: '127.0.0.1:0'
route_prefix: sn/
web: {allow: [mute, ack]}
receivers: [{name: hook, webhook: {url: "`+newWebhooks(t).serve("hook")+`"}}]
`))
	v := &visited{Fleet: f, url: "http://" + d.log.Find(t, "serving HTTP")["listen"].(string)}

	f.WaitHandled(f.Publish(f.Event(schema.ProcessStateRunning), f.Crash(func(e *schema.Event) { e.Process = "a/b ?#%..名" })))
	m := &schema.Mute{
		Hosts: []string{"web2"}, Comment: "deployment", Author: "ops", Created: schema.Time{Time: time.Now()},
		Expires: silences.RoundExpiry(time.Now(), time.Hour),
	}
	if err := silences.Store(t.Context(), f.Bucket(stream.MutesBucket), m); err != nil {
		t.Fatal(err)
	}
	f.Until("the pages show the incident and the silence", func() bool {
		_, alerts := v.get("/sn/api/v1/alerts")
		_, mutes := v.get("/sn/api/v1/mutes")
		return strings.Contains(alerts, `"unexpected-exit"`) && strings.Contains(mutes, "deployment")
	})
	return v
}

func (v *visited) get(path string) (answer *http.Response, body string) {
	v.Helper()
	answer, err := http.Get(v.url + path)
	if err != nil {
		v.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		v.Fatal(err)
	}
	return answer, string(text)
}

// written is what people can change: how many messages that is, by stream.
func (v *visited) written() map[string]uint64 {
	v.Helper()
	last := map[string]uint64{}
	for _, name := range []string{stream.Events, stream.Alerts, "KV_" + stream.MutesBucket, "KV_" + stream.AlertsBucket} {
		s, err := v.JS.Stream(v.Context(), name)
		if err != nil {
			v.Fatal(err)
		}
		last[name] = s.CachedInfo().State.LastSeq
	}
	return last
}

var linkPattern = regexp.MustCompile(`(?:href|src|action)="([^"#]*)`)

// Who follows every link, those of forms too, changes nothing, and finds a page or a file that
// is protected; only what forms send has no page.
func TestFollowingAllLinksChangesNothing(t *testing.T) {
	v := visit(t)
	before := v.written()
	var followed []string
	for todo := []string{"/sn/"}; len(todo) > 0; todo = todo[1:] {
		path := todo[0]
		if slices.Contains(followed, path) {
			continue
		}
		followed = append(followed, path)
		answer, body := v.get(path)
		isForm := strings.HasSuffix(path, "/end")
		if isForm && (answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != "POST") ||
			!isForm && answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %v", path, answer.Status, answer.Header)
		}
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cache-Control"} {
			if answer.Header.Get(name) == "" {
				t.Errorf("%s has no %s", path, name)
			}
		}
		if !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") {
			continue
		}
		for _, link := range linkPattern.FindAllStringSubmatch(body, -1) {
			if to := html.UnescapeString(link[1]); strings.HasPrefix(to, "/sn/") {
				todo = append(todo, to)
			} else if to != "" {
				t.Errorf("%s leads to %q", path, to)
			}
		}
	}

	for _, want := range []string{"/alerts/", "/processes/web1/api/a%2Fb", "/mutes/new", "/ack", "/end", "format=md", "/assets/"} {
		if !slices.ContainsFunc(followed, func(path string) bool { return strings.Contains(path, want) }) {
			t.Errorf("%q was not among %d links", want, len(followed))
		}
	}
	for name, last := range v.written() {
		if last != before[name] {
			t.Errorf("%s has %d messages more", name, last-before[name])
		}
	}
}

// openapi.json says where its paths begin, and what each answers that needs no parameters: with
// a status and a type that it names.
func TestOpenAPIIsServedAsItSays(t *testing.T) {
	v := visit(t)
	_, text := v.get("/sn/api/v1/openapi.json")
	var document struct {
		OpenAPI string                 `json:"openapi"`
		Servers []struct{ URL string } `json:"servers"`
		Paths   map[string]map[string]struct {
			Responses map[string]struct {
				Ref     string         `json:"$ref"`
				Content map[string]any `json:"content"`
			} `json:"responses"`
		} `json:"paths"`
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.1.") || len(document.Servers) != 1 || document.Servers[0].URL != "/sn" {
		t.Fatalf("%s at %v", document.OpenAPI, document.Servers)
	}

	for _, path := range []string{
		"/api/v1/processes", "/api/v1/hosts", "/api/v1/alerts", "/api/v1/events", "/api/v1/mutes", "/api/v1/status",
		"/api/v1/stream", "/api/v1/sd", "/api/v1/openapi.json", "/api/v1/nothing",
	} {
		for _, query := range []string{"", "?limit=x"} {
			answer, body := v.get(document.Servers[0].URL + path + query)
			media, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
			if err != nil {
				t.Fatal(path, err)
			}
			status := answer.Status[:3]
			described := document.Paths[path]["get"].Responses[status]
			isProblem := media == "application/problem+json" && strings.HasSuffix(described.Ref, "/Problem")
			if path == "/api/v1/nothing" {
				isProblem = media == "application/problem+json" && status == "404"
			}
			if described.Content[media] == nil && !isProblem {
				t.Errorf("%s%s: %s %s is not described: %.200s", path, query, status, media, body)
			}
		}
	}
}
