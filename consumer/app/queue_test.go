package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/fleettest"
	"supernats/schema/stream"
)

// More receivers than an account allows consumers hold up nobody: the first is
// notified, the second as soon as there is room, of all that was stored meanwhile.
func TestMoreReceiversThanConsumers(t *testing.T) {
	f := fleettest.New(t, func(js jetstream.JetStream) {
		c := stream.AlertsConfig(stream.DefaultLimits())
		c.MaxConsumers = 2
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateOrUpdateConsumer(t.Context(), stream.Alerts, jetstream.ConsumerConfig{Durable: "other"}); err != nil {
			t.Fatal(err)
		}
	})
	told := map[string]chan string{}
	serve := func(name string) string {
		told[name] = make(chan string, 100)
		s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body := new(strings.Builder)
			if err := r.Write(body); err == nil {
				told[name] <- body.String()
			}
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	cfg, err := loadText(t, "nats: {url: '"+f.Server.URL+"'}\nlisten: ''\nreceivers:\n"+
		"  - {name: one, webhook: {url: '"+serve("one")+"'}}\n  - {name: two, webhook: {url: '"+serve("two")+"'}}\n")
	if err != nil {
		t.Fatal(err)
	}
	var log fleettest.Buffer
	a, err := New(validPlan(t, cfg), Options{Version: "test", Log: zerolog.New(&log)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	f.Until("events are read", func() bool { return strings.Contains(log.String(), "reading events") })
	f.Publish(f.Crash())
	wait := func(name string) {
		t.Helper()
		select {
		case body := <-told[name]:
			if !strings.Contains(body, "api_00") {
				t.Errorf("%s is told %s", name, body)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s is told nothing:\n%s", name, log.String())
		}
	}
	wait("one")
	if wrong := a.health.Failures(); len(wrong) != 1 || !strings.Contains(wrong[0].Text, "receiver two is not notified: this NATS account allows no more consumers") {
		t.Errorf("what is wrong: %+v", wrong)
	}

	if err := f.JS.DeleteConsumer(ctx, stream.Alerts, "other"); err != nil {
		t.Fatal(err)
	}
	wait("two")
	f.Until("nothing is wrong", func() bool { return len(a.health.Failures()) == 0 })
}
