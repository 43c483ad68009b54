package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"

	"supernats/consumer/health"
	"supernats/consumer/web/site"
	"supernats/schema/logtest"
)

// newServer returns a server of a daemon that is ready and has no troubles.
func newServer(log zerolog.Logger) *Server {
	ready := make(chan struct{})
	close(ready)
	return &Server{
		Listen: "127.0.0.1:0", MaxConnections: 256, Ready: ready, Health: health.New(log),
		Reload: func() error { return ErrNoFile }, Site: &site.Site{}, Log: log,
	}
}

// serve runs a server until the end of the test.
func serve(t *testing.T, change func(*Server)) (url string, log *logtest.Buffer) {
	t.Helper()
	log = new(logtest.Buffer)
	s := newServer(zerolog.New(log))
	if change != nil {
		change(s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return "http://" + log.Find(t, "serving HTTP")["listen"].(string), log
}

// A page of another site cannot reload, and where web_config asks for a password, nobody
// without it can.
func TestReloadRefusesOtherSites(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("hush"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(users, fmt.Appendf(nil, "basic_auth_users: {ops: '%s'}\n", hash), 0o600); err != nil {
		t.Fatal(err)
	}

	reloads := 0
	count := func(s *Server) {
		s.Reload = func() error {
			reloads++
			return nil
		}
	}
	open, _ := serve(t, count)
	closed, _ := serve(t, func(s *Server) {
		count(s)
		s.WebConfig = users
	})
	for name, c := range map[string]struct {
		url, method    string
		header         map[string]string
		user, password string
		want           int
	}{
		"a program":                   {url: open, method: "POST", want: 200},
		"PUT":                         {url: open, method: "PUT", want: 200},
		"GET":                         {url: open, method: "GET", want: 405},
		"another site":                {url: open, method: "POST", header: map[string]string{"Sec-Fetch-Site": "cross-site"}, want: 403},
		"another site, PUT":           {url: open, method: "PUT", header: map[string]string{"Sec-Fetch-Site": "cross-site"}, want: 403},
		"another host of the site":    {url: open, method: "POST", header: map[string]string{"Sec-Fetch-Site": "same-site"}, want: 403},
		"another origin":              {url: open, method: "POST", header: map[string]string{"Origin": "https://example.com"}, want: 403},
		"another port":                {url: open, method: "POST", header: map[string]string{"Origin": "http://127.0.0.1:1"}, want: 403},
		"a file":                      {url: open, method: "POST", header: map[string]string{"Origin": "null"}, want: 403},
		"its own origin":              {url: open, method: "POST", header: map[string]string{"Origin": open}, want: 200},
		"its own page":                {url: open, method: "POST", header: map[string]string{"Sec-Fetch-Site": "same-origin"}, want: 200},
		"no password":                 {url: closed, method: "POST", want: 401},
		"a wrong password":            {url: closed, method: "POST", user: "ops", password: "x", want: 401},
		"the password":                {url: closed, method: "POST", user: "ops", password: "hush", want: 200},
		"the password, another site":  {url: closed, method: "POST", header: map[string]string{"Origin": "https://example.com"}, user: "ops", password: "hush", want: 403},
		"another site may read, CORS": {url: open + "/healthz#", method: "GET", header: map[string]string{"Origin": "https://example.com"}, want: 200},
	} {
		before := reloads
		url := c.url + "/-/reload"
		req, err := http.NewRequestWithContext(t.Context(), c.method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range c.header {
			req.Header.Set(k, v)
		}
		if c.user != "" {
			req.SetBasicAuth(c.user, c.password)
		}
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		reloaded := reloads > before
		if r.StatusCode != c.want || reloaded != (c.want == 200 && c.method != "GET") {
			t.Errorf("%s: %s, reloaded: %v", name, r.Status, reloaded)
		}
	}
}

// Half-open connections do not block /readyz, and what net/http logs is a line of JSON with
// a level.
func TestHalfOpenConnections(t *testing.T) {
	url, log := serve(t, nil)
	address := strings.TrimPrefix(url, "http://")
	for i := range 600 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-%d: ", i)
	}

	begun := time.Now()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, path := range []string{"/healthz", "/readyz", "/healthz"} {
		r, err := client.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("answered after %v", took)
	}
	if entry := log.Find(t, "more connections than are served at once"); entry["level"] != "warn" {
		t.Errorf("%v", entry)
	}
}
