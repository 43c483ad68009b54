package app

import (
	"testing"

	"supernats/consumer/config"
	"supernats/consumer/embedded"
)

// The whole daemon on a server of its own: ready, and the end of ctx is success.
func TestAppRuns(t *testing.T) {
	cfg := config.Default()
	cfg.Embedded = embedded.Config{Listen: "127.0.0.1:0", MaxStore: 16 << 20}
	cfg.DataDir = t.TempDir()
	cfg.Listen = "127.0.0.1:0"
	readyDaemon(t, cfg).Stop()
}
