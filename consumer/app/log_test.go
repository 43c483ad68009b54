package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/config"
	"supernats/consumer/fleettest"
	"supernats/consumer/notify/webhook"
	"supernats/schema/secretfile"
)

// The daemon over an outage of NATS, with a receiver that does not take anything.
func TestLogOfTheDaemonOverFailures(t *testing.T) {
	f := fleettest.New(t)
	var refusals atomic.Int32
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refusals.Add(1)
		http.Error(w, fmt.Sprintf("out of order, request %d", refusals.Load()), http.StatusInternalServerError)
	}))
	defer hook.Close()

	hooked := webhook.Config{URL: secretfile.Secret(hook.URL)}.WithDefaults()
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	cfg.NATS.URL = f.Server.URL
	cfg.Receivers = []config.Receiver{{Name: "hook", Kinds: config.Kinds{Webhook: &hooked}}}
	var log fleettest.Buffer
	a, err := New(validPlan(t, cfg), Options{Version: "test", Log: zerolog.New(&log).Level(zerolog.InfoLevel)})
	if err != nil {
		t.Fatal(err)
	}
	daemon := fleettest.Start(t, func(ctx context.Context) error {
		if err := a.Run(ctx); err != nil {
			return err
		}
		return ctx.Err()
	})
	select {
	case <-a.ready:
	case <-time.After(30 * time.Second):
		t.Fatalf("not ready after 30 s:\n%s", log.String())
	}

	f.Publish(f.Crash())
	f.Until("the receiver refuses", func() bool { return refusals.Load() >= 2 })
	f.Server.Stop()
	time.Sleep(time.Second) // an outage that the daemon notices
	f.Server.Restart()
	before := refusals.Load()
	f.Until("the receiver refuses again", func() bool { return refusals.Load() > before })
	daemon.Stop()
	fleettest.WellWritten(t, log.String())
	if len(fleettest.Warnings(log.String())) == 0 {
		t.Errorf("the failures are not in\n%s", log.String())
	}
}
