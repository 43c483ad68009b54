package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/config"
	"supernats/consumer/fleettest"
)

// Without any setting the daemon runs its own server and says that nobody is
// told; the end of the context is success.
func TestDaemonWithoutSettings(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	cfg.Embedded.Listen = "127.0.0.1:0"
	cfg.Listen = "127.0.0.1:0"
	var log fleettest.Buffer
	a, err := New(validPlan(t, cfg), Options{Version: "test", Log: zerolog.New(&log)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	select {
	case <-a.ready:
	case err := <-ended:
		t.Fatalf("ended: %v\n%s", err, log.String())
	case <-time.After(30 * time.Second):
		t.Fatalf("not ready after 30 s:\n%s", log.String())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "no receiver is configured") {
		t.Errorf("the log does not say that nobody is notified:\n%s", log.String())
	}
	fleettest.WellWritten(t, log.String())
}
