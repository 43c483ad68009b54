package app

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/config"
	"supernats/consumer/embedded"
)

// The whole daemon on a server of its own: ready, and the end of ctx is success.
func TestAppRuns(t *testing.T) {
	cfg := config.Default()
	cfg.Embedded = embedded.Config{Listen: "127.0.0.1:0", MaxStore: 16 << 20}
	cfg.DataDir = t.TempDir()
	cfg.Listen = "127.0.0.1:0"
	a, err := New(validPlan(t, cfg), Options{Version: "test", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	select {
	case <-a.ready:
	case err := <-done:
		t.Fatal(err)
	case <-time.After(20 * time.Second):
		t.Fatal("it is not ready")
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
}

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
func loadText(t *testing.T, text string) (config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(path)
}
