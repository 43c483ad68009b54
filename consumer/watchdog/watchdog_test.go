package watchdog

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/health"
	"supernats/consumer/notify"
	"supernats/schema"
	"supernats/schema/natsconn/natsconntest"
	"supernats/schema/secretfile"
)

// ping is what a switch got.
type ping struct {
	path string
	message
}

// deadMansSwitch is a server that gets pings, and answers with a status.
func deadMansSwitch(t *testing.T) (address string, got chan ping, status *atomic.Int32) {
	t.Helper()
	got, status = make(chan ping, 100), new(atomic.Int32)
	status.Store(http.StatusOK)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		p := ping{path: r.Method + " " + r.URL.String()}
		if err != nil || json.Unmarshal(body, &p.message) != nil {
			t.Errorf("%q, %v", body, err)
		}
		w.WriteHeader(int(status.Load()))
		got <- p
	}))
	t.Cleanup(s.Close)
	return s.URL, got, status
}

// start runs a watchdog with a verdict that can be changed.
func start(t *testing.T, s Settings) (w *Watchdog, verdict *atomic.Pointer[Verdict], h *health.Health) {
	t.Helper()
	verdict = new(atomic.Pointer[Verdict])
	verdict.Store(&Verdict{})
	s.Name = "switch"
	s = s.WithDefaults()
	s.Every = schema.Duration(time.Second)
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	h = health.New(zerolog.Nop())
	w = New(s.Name, time.Duration(s.Every), s.Target(notify.Identity{Instance: "mon1"}),
		func(context.Context) Verdict { return *verdict.Load() }, h, zerolog.Nop())

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w, verdict, h
}

// next returns the next ping that is as wanted, and passes over others before it.
func next(t *testing.T, got chan ping, want func(ping) bool) ping {
	t.Helper()
	for deadline := time.After(20 * time.Second); ; {
		select {
		case p := <-got:
			if want(p) {
				return p
			}
		case <-deadline:
			t.Fatal("no such ping")
		}
	}
}

// While all is well it is pinged, while something is wrong /fail is, with the reason.
func TestPingsAndFailures(t *testing.T) {
	address, got, _ := deadMansSwitch(t)
	w, verdict, _ := start(t, Settings{URL: secretfile.Secret(address + "/ping/1234?rid=5")})

	p := next(t, got, func(ping) bool { return true })
	if p.path != "POST /ping/1234?rid=5" || p.Status != "ok" || p.Instance != "mon1" {
		t.Errorf("%+v", p)
	}
	verdict.Store(&Verdict{Reason: "NATS is not connected"})
	p = next(t, got, func(p ping) bool { return p.Status != "ok" })
	if p.path != "POST /ping/1234/fail?rid=5" || p.Status != "fail" || p.Reason != "NATS is not connected" {
		t.Errorf("%+v", p)
	}
	verdict.Store(&Verdict{})
	next(t, got, func(p ping) bool { return p.Status == "ok" })
	if n := w.Counts(); n[ResultPing] == 0 || n[ResultFail] == 0 || n[ResultFailed] != 0 {
		t.Errorf("%v", n)
	}
}

// An instance that stands by says nothing.
func TestSilentWhileAnotherIsActive(t *testing.T) {
	address, got, _ := deadMansSwitch(t)
	_, verdict, _ := start(t, Settings{URL: secretfile.Secret(address)})
	next(t, got, func(ping) bool { return true })
	verdict.Store(&Verdict{Silent: true})
	time.Sleep(1500 * time.Millisecond) // one that had begun may still come
	for len(got) > 0 {
		<-got
	}
	select {
	case p := <-got:
		t.Errorf("%+v", p)
	case <-time.After(2500 * time.Millisecond):
	}
}

// Whoever becomes active pings at once, and does not wait for a whole period.
func TestPingsAsSoonAsItIsActive(t *testing.T) {
	address, got, _ := deadMansSwitch(t)
	var verdict atomic.Pointer[Verdict]
	verdict.Store(&Verdict{Silent: true})
	s := Settings{Name: "switch", URL: secretfile.Secret(address)}.WithDefaults()
	w := New(s.Name, time.Hour, s.Target(notify.Identity{}), func(context.Context) Verdict { return *verdict.Load() }, health.New(zerolog.Nop()), zerolog.Nop())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Run(ctx)
	}()
	defer func() {
		cancel()
		<-done
	}()

	time.Sleep(100 * time.Millisecond)
	verdict.Store(&Verdict{})
	next(t, got, func(p ping) bool { return p.Status == "ok" })
}

// An address that cannot be pinged is a warning that names no secret, until it can.
func TestAPingThatFailsIsAWarning(t *testing.T) {
	address, got, status := deadMansSwitch(t)
	status.Store(http.StatusNotFound)
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(address+"/secret-1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, _, h := start(t, Settings{URLFile: file})
	next(t, got, func(ping) bool { return true })

	until(t, "the warning", func() bool { return len(h.Warnings()) == 1 })
	text := h.Warnings()[0].Text
	if strings.Contains(text, "secret") || !strings.Contains(text, "404") || !strings.Contains(text, "url_file") {
		t.Errorf("%q", text)
	}
	whole := text + "; " + h.Warnings()[0].Fix // as /readyz has it
	if strings.Count(whole, "watchdog "+w.Name()) != 1 || strings.Count(whole, "check ") != 1 {
		t.Errorf("%q names the watchdog, or says what to check, twice", whole)
	}
	if w.Counts()[ResultFailed] == 0 || len(h.Failures()) != 0 {
		t.Errorf("%v, %v", w.Counts(), h.Failures())
	}
	status.Store(http.StatusOK)
	until(t, "the end of the warning", func() bool { return len(h.Warnings()) == 0 })
}

// What goes wrong with the address is a warning, counts, and is over by itself. The next ping
// comes at its time.
func TestAddressesThatFail(t *testing.T) {
	for _, c := range []struct {
		name, want string
		tls        bool
		timeout    time.Duration
		answer     http.HandlerFunc
	}{
		{name: "an error", want: "500", answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }},
		{name: "a redirect", want: "302", answer: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }},
		{name: "it hangs", want: "no answer in time (timeout: 300ms)", timeout: 300 * time.Millisecond, answer: func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // else nobody notices that the client is gone
			<-r.Context().Done()
		}},
		{name: "a check that is gone", want: "OK (not found)", answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "OK (not found)") }},
		{name: "too many", want: "OK (rate-limited)", answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "OK (rate-limited)\n") }},
		{name: "too many, as others quote it", want: "OK (rate limited)", answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "OK (rate limited)\n") }},
		{name: "a page of a proxy", want: "web page", answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html><title>Welcome</title></html>")
		}},
		{name: "a certificate that nobody knows", want: "certificate", tls: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var fine atomic.Bool
			var asked atomic.Int32
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				if r.URL.Path == "/elsewhere" {
					t.Error("a redirect is followed: it takes the secret along")
				}
				if !fine.Load() && c.answer != nil {
					c.answer(w, r)
					return
				}
				_, _ = io.WriteString(w, "OK")
			})
			server := httptest.NewUnstartedServer(handler)
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			if c.tls {
				server.StartTLS()
			} else {
				server.Start()
			}
			t.Cleanup(server.Close)
			ca := filepath.Join(t.TempDir(), "ca.pem")
			s := Settings{URL: secretfile.Secret(server.URL + "/ping/secret-1234")}
			s.Timeout = schema.Duration(c.timeout)
			if c.tls {
				writeCertificate(t, ca, otherAuthority(t))
				s.TLS.CA = ca
			}
			w, _, h := start(t, s)

			until(t, "the warning", func() bool { return len(h.Warnings()) == 1 })
			if text := h.Warnings()[0].Text; !strings.Contains(text, c.want) || strings.Contains(text, "secret") {
				t.Errorf("%q, want %q", text, c.want)
			}
			until(t, "a second try", func() bool { return w.Counts()[ResultFailed] >= 2 })
			if n := w.Counts(); n[ResultPing] > 0 || n[ResultFail] > 0 || len(h.Failures()) > 0 {
				t.Errorf("%v, %v", n, h.Failures())
			}

			fine.Store(true)
			if c.tls {
				writeCertificate(t, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
			}
			until(t, "the end of the warning", func() bool { return len(h.Warnings()) == 0 && w.Counts()[ResultPing] > 0 })
		})
	}
}

// A certificate of the address that has expired is a warning.
func TestACertificateThatHasExpired(t *testing.T) {
	t.Parallel()
	server, ca := expiredServer(t, http.NotFoundHandler())
	s := Settings{URL: secretfile.Secret(server.URL + "/ping/secret-1234")}
	s.TLS.CA = ca
	_, _, h := start(t, s)
	until(t, "the warning", func() bool { return len(h.Warnings()) == 1 })
	if text := h.Warnings()[0].Text; !strings.Contains(text, "certificate has expired") || strings.Contains(text, "secret") {
		t.Errorf("%q", text)
	}
}

// otherAuthority is the certificate of an authority that has signed nothing here.
func otherAuthority(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile(natsconntest.NewAuthority(t).CA)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// writeCertificate replaces a file at once: a ping may read it at any time.
func writeCertificate(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// The address of a failure is the one of a ping with /fail at the end of its path.
func TestAddressOfAFailure(t *testing.T) {
	for _, c := range []struct{ name, address, want string }{
		{name: "a path", address: "https://hc.example.com/ping/1234", want: "https://hc.example.com/ping/1234/fail"},
		{name: "a slash at the end", address: "https://hc.example.com/ping/1234/", want: "https://hc.example.com/ping/1234/fail"},
		{name: "a query", address: "https://hc.example.com/ping/1234?create=1&rid=5", want: "https://hc.example.com/ping/1234/fail?create=1&rid=5"},
		{name: "both", address: "https://hc.example.com/ping/key/slug/?create=1", want: "https://hc.example.com/ping/key/slug/fail?create=1"},
		{name: "no path", address: "https://hc.example.com", want: "https://hc.example.com/fail"},
		{name: "a user, a port, an escape", address: "http://a:b@hc.example.com:8000/a%2Fb/c", want: "http://a:b@hc.example.com:8000/a%2Fb/c/fail"},
	} {
		if got, err := failAddress(c.address); err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, c := range []struct {
		name, want string
		settings   Settings
	}{
		{name: "no name", want: "name: missing", settings: Settings{URL: "https://hc.example.com/1"}},
		{name: "no address", want: "want either url or url_file", settings: Settings{Name: "x"}},
		{name: "two addresses", want: "want either url or url_file", settings: Settings{Name: "x", URL: "https://h", URLFile: "f"}},
		{name: "no URL", want: "url: invalid URL", settings: Settings{Name: "x", URL: "hc.example.com"}},
		{name: "too often", want: "every: invalid value", settings: Settings{Name: "x", URL: "https://h", Every: schema.Duration(time.Millisecond)}},
	} {
		if err := c.settings.WithDefaults().Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
