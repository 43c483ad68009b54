package app

import (
	"cmp"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/config"
	"supernats/consumer/fleettest"
)

// validPlan returns the plan of a configuration that is valid.
func validPlan(tb testing.TB, cfg config.Config) *config.Plan {
	tb.Helper()
	p, err := cfg.Plan()
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// loadText returns the configuration that a file with this text holds.
func loadText(t *testing.T, text string) config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// daemon is one that runs until the test ends or it is stopped, which is a success.
type daemon struct {
	*App
	*fleettest.Running
	t   *testing.T
	log *fleettest.Buffer
}

// runDaemon starts a daemon. Its log is shown if the test fails.
func runDaemon(t *testing.T, cfg config.Config, change ...func(*Options)) *daemon {
	t.Helper()
	d := &daemon{t: t, log: new(fleettest.Buffer)}
	t.Cleanup(func() {
		if t.Failed() && d.log.String() != "" {
			t.Logf("the daemon's log:\n%s", d.log)
		}
	})

	o := Options{Version: "test", Log: zerolog.New(d.log).With().Timestamp().Logger()}
	for _, c := range change {
		c(&o)
	}
	var err error
	if d.App, err = New(validPlan(t, cfg), o); err != nil {
		t.Fatal(err)
	}
	d.Running = fleettest.Start(t, func(ctx context.Context) error { return cmp.Or(d.App.Run(ctx), ctx.Err()) })
	return d
}

// readyDaemon starts a daemon and waits until it is ready.
func readyDaemon(t *testing.T, cfg config.Config, change ...func(*Options)) *daemon {
	t.Helper()
	d := runDaemon(t, cfg, change...)
	select {
	case <-d.ready:
	case <-d.Ended():
		t.Fatal("the daemon has ended")
	case <-time.After(30 * time.Second):
		t.Fatal("the daemon is not ready after 30 s")
	}
	return d
}

// connectAs connects to a server as one of its users.
func connectAs(t *testing.T, url, user, password string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, nats.UserInfo(user, password),
		nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// as is the address of a server for one of its users, whose password is the name.
func as(user, url string) string {
	return strings.Replace(url, "://", "://"+user+":"+user+"@", 1)
}

// webhooks keep what they are sent, by their names.
type webhooks struct {
	*testing.T
	sent map[string]chan string
}

func newWebhooks(t *testing.T) *webhooks { return &webhooks{T: t, sent: map[string]chan string{}} }

// serve makes a webhook and returns its URL.
func (h *webhooks) serve(name string) string {
	sent := make(chan string, 100)
	h.sent[name] = sent
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := new(strings.Builder)
		if err := r.Write(body); err == nil {
			sent <- body.String()
		}
	}))
	h.Cleanup(s.Close)
	return s.URL
}

// next waits for what a webhook is sent.
func (h *webhooks) next(name string) string {
	h.Helper()
	select {
	case body := <-h.sent[name]:
		return body
	case <-time.After(20 * time.Second):
		h.Fatalf("%s is sent nothing", name)
		return ""
	}
}
