package app

import (
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
	daemon := readyDaemon(t, cfg, func(o *Options) { o.Log = o.Log.Level(zerolog.InfoLevel) })

	f.Publish(f.Crash())
	f.Until("the receiver refuses", func() bool { return refusals.Load() >= 2 })
	f.Server.Stop()
	time.Sleep(time.Second) // an outage that the daemon notices
	f.Server.Restart()
	before := refusals.Load()
	f.Until("the receiver refuses again", func() bool { return refusals.Load() > before })
	daemon.Stop()
	fleettest.WellWritten(t, daemon.log.String())
	if len(fleettest.Warnings(daemon.log.String())) == 0 {
		t.Error("the failures are not in the log")
	}
}
