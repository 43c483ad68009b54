package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"

	"supernats/consumer/config"
)

// logLines is a log that can be read while it is written.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// find returns the first line with a message, as soon as it is there.
func (l *logLines) find(t *testing.T, message string) map[string]any {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		l.mu.Lock()
		text := l.buf.String()
		l.mu.Unlock()
		for line := range strings.Lines(text) {
			var entry map[string]any
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if s, _ := entry["message"].(string); strings.Contains(s, message) {
				return entry
			}
		}
	}
	t.Fatalf("no line with %q", message)
	return nil
}

// serveHTTP serves the address of a daemon that does nothing else.
func serveHTTP(t *testing.T, webConfig string, o Options) (url string, log *logLines) {
	t.Helper()
	log = new(logLines)
	o.Log = zerolog.New(log)
	cfg := config.Default()
	cfg.Listen, cfg.WebConfig = "127.0.0.1:0", webConfig
	a, err := New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = a.web().Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return "http://" + log.find(t, "serving HTTP")["listen"].(string), log
}

// Only those who are not sent by a page of another site reload, and where web_config
// asks for a password, only those who have it.
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
	load := func() (config.Config, error) {
		reloads++
		return config.Default(), nil
	}
	open, _ := serveHTTP(t, "", Options{Load: load})
	closed, _ := serveHTTP(t, users, Options{Load: load})
	for name, c := range map[string]struct {
		url, method    string
		header         map[string]string
		user, password string
		want           int
	}{
		"a program":                   {open, "POST", nil, "", "", 200},
		"PUT":                         {open, "PUT", nil, "", "", 200},
		"GET":                         {open, "GET", nil, "", "", 405},
		"another site":                {open, "POST", map[string]string{"Sec-Fetch-Site": "cross-site"}, "", "", 403},
		"another site, PUT":           {open, "PUT", map[string]string{"Sec-Fetch-Site": "cross-site"}, "", "", 403},
		"another host of the site":    {open, "POST", map[string]string{"Sec-Fetch-Site": "same-site"}, "", "", 403},
		"another origin":              {open, "POST", map[string]string{"Origin": "https://example.com"}, "", "", 403},
		"another port":                {open, "POST", map[string]string{"Origin": "http://127.0.0.1:1"}, "", "", 403},
		"a file":                      {open, "POST", map[string]string{"Origin": "null"}, "", "", 403},
		"its own origin":              {open, "POST", map[string]string{"Origin": open}, "", "", 200},
		"its own page":                {open, "POST", map[string]string{"Sec-Fetch-Site": "same-origin"}, "", "", 200},
		"no password":                 {closed, "POST", nil, "", "", 401},
		"a wrong password":            {closed, "POST", nil, "ops", "x", 401},
		"the password":                {closed, "POST", nil, "ops", "hush", 200},
		"the password, another site":  {closed, "POST", map[string]string{"Origin": "https://example.com"}, "ops", "hush", 403},
		"another site may read, CORS": {open + "/healthz#", "GET", map[string]string{"Origin": "https://example.com"}, "", "", 200},
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

// Half-open connections hold up no look at the daemon, and what net/http says of
// anything is a line of JSON with a level.
func TestHalfOpenConnections(t *testing.T) {
	url, log := serveHTTP(t, "", Options{})
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
	if entry := log.find(t, "more connections than are served at once"); entry["level"] != "warn" {
		t.Errorf("%v", entry)
	}
}
