package httplimit

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"supernats/schema/logtest"
)

// serve serves /healthz, and /slow until the test ends, with room for most connections.
func serve(t *testing.T, most int, secure bool) (address string, client *http.Client, log *logtest.Buffer) {
	t.Helper()
	log = &logtest.Buffer{}
	s := httptest.NewUnstartedServer(nil)
	over := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { <-over })
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("on purpose") })
	s.Config.Handler = mux
	s.Listener = Apply(s.Config, s.Listener, most, slog.New(slog.NewJSONHandler(log, nil)))
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(over) })
	client = s.Client()
	client.Transport.(*http.Transport).DisableKeepAlives = true
	client.Timeout = 3 * time.Second
	return s.Listener.Addr().String(), client, log
}

// Whatever a thousand connections do, another one is answered at once.
func TestFlood(t *testing.T) {
	for name, kind := range map[string]struct {
		secure bool
		text   string
	}{
		"nothing":            {},
		"half a header":      {text: "GET /healthz HTTP/1.1\r\nHost: x\r\nX: "},
		"idle after one":     {text: "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"},
		"half a body":        {text: "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nx"},
		"no TLS":             {secure: true},
		"half a handshake":   {secure: true, text: "\x16\x03\x01\x02"},
		"not HTTP":           {text: "\x00\x01\x02"},
		"header without end": {text: "GET /healthz HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 100)},
	} {
		t.Run(name, func(t *testing.T) {
			address, client, log := serve(t, 32, kind.secure)
			scheme := "http"
			if kind.secure {
				scheme = "https"
			}
			for range 1000 {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				_, _ = io.WriteString(c, kind.text)
			}

			begun := time.Now()
			r, err := client.Get(scheme + "://" + address + "/healthz")
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Body.Close()
			if took := time.Since(begun); r.StatusCode != http.StatusOK || took > 2*time.Second {
				t.Errorf("%s after %v", r.Status, took)
			}
			if n := strings.Count(log.String(), `"limit":32`); n != 1 && name != "not HTTP" {
				t.Errorf("it is said %d times: %s", n, log)
			}
		})
	}
}

// Requests that are being answered are not the ones to go.
func TestRequestsStay(t *testing.T) {
	address, _, _ := serve(t, 8, false)
	var slow []net.Conn
	for range 4 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
		slow = append(slow, c)
	}
	time.Sleep(200 * time.Millisecond) // until they are
	for range 100 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for i, c := range slow {
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); err == nil || !err.(net.Error).Timeout() { //nolint:errorlint
			t.Errorf("%d has ended: %v", i, err)
		}
	}
}

func TestLeastToLose(t *testing.T) {
	now := time.Now()
	l := &listener{conns: map[*conn]bool{}, perHost: map[string]int{}}
	add := func(host string, requests int, age time.Duration) *conn {
		c := &conn{l: l, host: host, requests: requests, since: now.Add(-age)}
		l.conns[c] = true
		l.perHost[host]++
		return c
	}
	want := []*conn{
		add("a", 0, time.Minute), add("a", 0, 2*time.Second), // of the one with most, the oldest
		add("b", 0, time.Hour), add("b", 0, time.Second),
		add("a", 1, Patience+time.Second),
	}
	add("a", 1, 0)
	add("a", 2, Patience-time.Second)
	for i, w := range want {
		// a has 5 and then 3, b 2.
		if got := l.leastToLose(now); got != w {
			t.Fatalf("%d: %+v", i, got)
		}
	}
	if got := l.leastToLose(now); got != nil {
		t.Errorf("%+v", got)
	}
}

// What net/http says is a line of the log.
func TestErrorsAreLogged(t *testing.T) {
	address, client, log := serve(t, 8, true)
	if _, err := client.Get("https://" + address + "/panic"); err == nil {
		t.Error("no error")
	}
	c, err := tls.Dial("tcp", address, &tls.Config{ServerName: "example.com"}) // whom it does not trust
	if err == nil {
		_ = c.Close()
		t.Error("no error")
	}
	deadline := time.Now().Add(5 * time.Second)
	for !strings.Contains(log.String(), "on purpose") || !strings.Contains(log.String(), "TLS handshake error") {
		if time.Now().After(deadline) {
			t.Fatalf("%s", log)
		}
		time.Sleep(10 * time.Millisecond)
	}
	for line := range strings.Lines(log.String()) {
		var entry struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Level != "WARN" || entry.Msg == "" {
			t.Errorf("%v: %s", err, line)
		}
	}
}
