package app

import (
	"strings"
	"testing"

	"supernats/consumer/config"
	"supernats/consumer/fleettest"
)

// Without any setting the daemon runs its own server and says that nobody is notified; the
// end of the context is success.
func TestDaemonWithoutSettings(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir = t.TempDir()
	cfg.Embedded.Listen = "127.0.0.1:0"
	cfg.Listen = "127.0.0.1:0"
	d := readyDaemon(t, cfg)
	d.Stop()
	if !strings.Contains(d.log.String(), "no receiver is configured") {
		t.Error("the log does not say that nobody is notified")
	}
	fleettest.WellWritten(t, d.log.String())
}
