package web

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"supernats/consumer/web/site"
)

// testRoom serves a few paths as the rooms of the daemon do, and counts what was changed.
type testRoom struct{ changes int }

func (r *testRoom) Register(mux *http.ServeMux) {
	change := func(http.ResponseWriter, *http.Request) { r.changes++ }
	mux.HandleFunc("GET /mutes", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /mutes", change)
	mux.HandleFunc("GET /api/v1/alerts/{id...}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("DELETE /api/v1/alerts/{id...}", change)
	mux.HandleFunc("/api/v1", http.NotFound)
	mux.HandleFunc("/api/v1/", http.NotFound)
	mux.HandleFunc("/", http.NotFound)
}

// ask returns the answer to a request.
func ask(s *Server, method, path string, change ...func(*http.Request)) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	r.Host, r.RemoteAddr = "127.0.0.1:8000", "127.0.0.1:7"
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestMethods(t *testing.T) {
	const get = "GET, HEAD"
	for _, c := range []struct {
		method, path string
		want         int
		allow        string
	}{
		{method: "HEAD", path: "/mutes", want: 200},
		{method: "OPTIONS", path: "/mutes", want: 204, allow: "GET, HEAD, POST"},
		{method: "PUT", path: "/mutes", want: 405, allow: "GET, HEAD, POST"},
		{method: "DELETE", path: "/mutes", want: 405, allow: "GET, HEAD, POST"},
		{method: "TRACE", path: "/mutes", want: 405, allow: "GET, HEAD, POST"},
		{method: "FOO", path: "/mutes", want: 405, allow: "GET, HEAD, POST"},
		{method: "POST", path: "/api/v1/alerts/a%2Fb", want: 405, allow: "GET, HEAD, DELETE"},
		{method: "POST", path: "/healthz", want: 405, allow: get},
		{method: "DELETE", path: "/readyz", want: 405, allow: get},
		{method: "GET", path: "/-/reload", want: 405, allow: "POST, PUT"},
		{method: "HEAD", path: "/-/reload", want: 405, allow: "POST, PUT"},
		{method: "POST", path: "/nothing", want: 404},
		{method: "OPTIONS", path: "/api/v1/nothing", want: 404},
	} {
		for _, prefix := range []string{"", "/sn"} {
			s := newServer(zerolog.Nop())
			s.Site, s.Rooms = &site.Site{Prefix: prefix}, []Room{&testRoom{}}
			r := ask(s, c.method, prefix+c.path)
			if r.StatusCode != c.want || r.Header.Get("Allow") != c.allow {
				t.Errorf("%s %s%s: %d, Allow %q", c.method, prefix, c.path, r.StatusCode, r.Header.Get("Allow"))
			}
			isProblem := r.Header.Get("Content-Type") == "application/problem+json"
			if c.want == 405 && isProblem != strings.Contains(c.path, "/api/") {
				t.Errorf("%s %s: %v", c.method, c.path, r.Header)
			}
		}
	}
}

// Every answer has the headers that protect who reads it: pages, errors, redirects.
func TestEveryAnswerIsProtected(t *testing.T) {
	s := newServer(zerolog.Nop())
	s.Site, s.Rooms = &site.Site{Prefix: "/sn"}, []Room{&testRoom{}}
	for _, c := range []struct{ method, path string }{
		{"GET", "/sn/mutes"},
		{"GET", "/sn/x"},
		{"GET", "/x"},
		{"GET", "/"},
		{"GET", "/sn"},
		{"GET", "/sn//mutes"},
		{"GET", "/healthz"},
		{"GET", "/sn/readyz"},
		{"PUT", "/sn/mutes"},
		{"OPTIONS", "/sn/mutes"},
		{"POST", "/sn/-/reload"},
		{"GET", "/sn/api/v1"},
		{"GET", "/sn/api/v1/x"},
	} {
		h := ask(s, c.method, c.path).Header
		if h.Get("Content-Security-Policy") != site.ContentPolicy || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Referrer-Policy") != "same-origin" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %v", c.method, c.path, h)
		}
	}
}

// What stays below the prefix is served, and what leads elsewhere leads below it.
func TestPrefix(t *testing.T) {
	s := newServer(zerolog.Nop())
	s.Site, s.Rooms = &site.Site{Prefix: "/sn"}, []Room{&testRoom{}}
	for _, c := range []struct {
		path     string
		want     int
		location string
	}{
		{path: "/", want: 302, location: "/sn/"},
		{path: "/sn", want: 307, location: "/sn/"},
		{path: "/sn//mutes", want: 307, location: "/sn/mutes"},
		{path: "/sn/a/../mutes", want: 307, location: "/sn/mutes"},
		{path: "/sn/api/v1", want: 404},
		{path: "/sn/mutes", want: 200},
		{path: "/sn/-/reload", want: 405},
		{path: "/mutes", want: 404},
		{path: "/-/reload", want: 404},
		{path: "/snow", want: 404},
		{path: "/healthz", want: 200},
		{path: "/sn/healthz", want: 200},
		{path: "/readyz", want: 200},
	} {
		r := ask(s, "GET", c.path)
		if r.StatusCode != c.want || r.Header.Get("Location") != c.location {
			t.Errorf("%s: %d, %q", c.path, r.StatusCode, r.Header.Get("Location"))
		}
	}
}

// A page of another site cannot change anything, also if its name leads to this machine; our
// own can, also behind a proxy that asks for us by another name.
func TestOtherSites(t *testing.T) {
	users := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(users, []byte("basic_auth_users: {ops: 'hash'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name               string
		external           string
		host, origin, site string
		user               string
		want               int
	}{
		{name: "a program", want: 200},
		{name: "a program, by a name", host: "monitor.example.com", want: 200},
		{name: "our page", origin: "http://127.0.0.1:8000", site: "same-origin", want: 200},
		{name: "our page, by an address", host: "192.0.2.1:8000", origin: "http://192.0.2.1:8000", want: 200},
		{name: "our page, by localhost", host: "localhost:8000", origin: "http://localhost:8000", want: 200},
		{name: "our page, by the name of the machine", host: machine + ":8000", origin: "http://" + machine + ":8000", want: 200},
		{name: "our page, by external_url", external: "http://monitor.example.com:8000/", host: "monitor.example.com:8000", origin: "http://monitor.example.com:8000", want: 200},
		{name: "our page, through a proxy", external: "https://ops.example.com/sn", origin: "https://ops.example.com", want: 200},
		{name: "our page, through a proxy, the port is written", external: "https://ops.example.com:443/sn", origin: "https://ops.example.com", want: 200},
		{name: "another page of the proxy", external: "https://ops.example.com:8443/sn", origin: "https://ops.example.com", want: 403},
		{name: "another site", origin: "https://evil.example.com", want: 403},
		{name: "another site, by metadata alone", site: "cross-site", want: 403},
		{name: "another port", origin: "http://127.0.0.1:1", want: 403},
		{name: "a name that leads here", host: "evil.example.com:8000", origin: "http://evil.example.com:8000", want: 403},
		{name: "a name that leads here, by metadata alone", host: "evil.example.com:8000", site: "same-origin", want: 403},
		{name: "a name that leads here, another one is ours", external: "https://ops.example.com/", host: "evil.example.com", origin: "http://evil.example.com", want: 403},
		{name: "who is logged in", host: "monitor.example.com", origin: "http://monitor.example.com", user: "ops", want: 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			room := &testRoom{}
			s := newServer(zerolog.Nop())
			s.Site, s.Rooms = &site.Site{WebConfig: users}, []Room{room}
			if c.external != "" {
				if s.Site.External, err = site.ParseExternal(c.external); err != nil {
					t.Fatal(err)
				}
			}
			for _, path := range []string{"POST /mutes", "DELETE /api/v1/alerts/x"} {
				method, path, _ := strings.Cut(path, " ")
				before := room.changes
				r := ask(s, method, path, func(r *http.Request) {
					if c.host != "" {
						r.Host = c.host
					}
					for name, value := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site} {
						if value != "" {
							r.Header.Set(name, value)
						}
					}
					if c.user != "" {
						r.SetBasicAuth(c.user, "hush")
					}
				})
				if r.StatusCode != c.want || (room.changes > before) != (c.want == 200) {
					t.Errorf("%s: %s", path, r.Status)
				}
			}
		})
	}
}
