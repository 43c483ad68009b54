package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// get returns the answer to a request.
func get(s *Server, method, path string) (code int, body string) {
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code, w.Body.String()
}

// /readyz answers 503 with every failure, and 200 after it.
func TestReadyzShowsFailures(t *testing.T) {
	s := newServer(zerolog.Nop())
	ready := make(chan struct{})
	s.Ready = ready
	if code, body := get(s, "GET", "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "not ready") {
		t.Errorf("before the start: %d %q", code, body)
	}
	close(ready)
	if code, body := get(s, "GET", "/readyz"); code != http.StatusOK || body != "ready\n" {
		t.Errorf("after the start: %d %q", code, body)
	}

	s.Health.Raise("nats", "NATS is not connected", "start nats-server")
	s.Health.Raise("store", "nothing can be written", "free some disk space")
	code, body := get(s, "GET", "/readyz")
	if code != http.StatusServiceUnavailable || !strings.Contains(body, "NATS is not connected") ||
		!strings.Contains(body, "free some disk space") || strings.Contains(body, "ready\n") {
		t.Errorf("while two things are wrong: %d %q", code, body)
	}

	s.Health.Clear("nats")
	s.Health.Clear("store")
	if code, body := get(s, "GET", "/readyz"); code != http.StatusOK {
		t.Errorf("when all is over: %d %q", code, body)
	}
}

// A warning is shown, and keeps the daemon ready.
func TestReadyzShowsWarnings(t *testing.T) {
	s := newServer(zerolog.Nop())
	s.Health.Warn("surplus", "too many records", "raise the limit")
	code, body := get(s, "GET", "/readyz")
	if code != http.StatusOK || !strings.HasPrefix(body, "ready\nwarning: too many records (surplus, since ") ||
		!strings.HasSuffix(body, "); raise the limit\n") {
		t.Errorf("%d %q", code, body)
	}
}

func TestReloadWithoutAFileIsABadRequest(t *testing.T) {
	s := newServer(zerolog.Nop())
	if code, body := get(s, "POST", "/-/reload"); code != http.StatusBadRequest || body != ErrNoFile.Error()+"\n" {
		t.Errorf("%d %q", code, body)
	}
}

func TestReloadByGETChangesNothing(t *testing.T) {
	s := newServer(zerolog.Nop())
	reloaded := false
	s.Reload = func() error { reloaded = true; return nil }
	if code, body := get(s, "GET", "/-/reload"); code != http.StatusMethodNotAllowed || reloaded {
		t.Errorf("%d %q, reloaded: %t", code, body, reloaded)
	}
}
