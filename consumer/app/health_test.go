package app

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"supernats/consumer/config"
)

// TestReadyzSaysWhatIsWrong: 503 with every cause, once in the log, and 200 after it.
func TestReadyzSaysWhatIsWrong(t *testing.T) {
	var log bytes.Buffer
	a, err := New(config.Default(), Options{Log: zerolog.New(&log)})
	if err != nil {
		t.Fatal(err)
	}
	get := func() (int, string) {
		w := httptest.NewRecorder()
		a.web().Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		return w.Code, w.Body.String()
	}
	if code, body := get(); code != http.StatusServiceUnavailable || !strings.Contains(body, "not ready") {
		t.Errorf("before the start: %d %q", code, body)
	}
	a.setReady()
	if code, _ := get(); code != http.StatusOK {
		t.Errorf("after the start: %d", code)
	}

	for range 3 {
		a.health.Raise("nats", "NATS is not connected", "start nats-server")
	}
	a.health.Raise("store", "nothing can be written", "free some disk space")
	code, body := get()
	if code != http.StatusServiceUnavailable || !strings.Contains(body, "NATS is not connected") || !strings.Contains(body, "free some disk space") {
		t.Errorf("while two things are wrong: %d %q", code, body)
	}
	if n := strings.Count(log.String(), "NATS is not connected"); n != 1 {
		t.Errorf("logged %d times", n)
	}

	a.health.Clear("nats")
	a.health.Clear("store")
	if code, body := get(); code != http.StatusOK {
		t.Errorf("when all is over: %d %q", code, body)
	}
	if !strings.Contains(log.String(), "no longer: NATS is not connected") {
		t.Errorf("the end is not in the log: %s", log.String())
	}
}
