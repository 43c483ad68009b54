package app

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"supernats/consumer/config"
	"supernats/consumer/fleettest"
	"supernats/schema"
)

// oneOfTwo starts a daemon on a server that another one may use, and waits until it works or
// stands by.
func oneOfTwo(t *testing.T, f *fleettest.Fleet) (*App, *fleettest.Running) {
	t.Helper()
	cfg := config.Default()
	cfg.NATS.URL, cfg.Listen = f.Server.URL, "127.0.0.1:0"
	a, err := New(validPlan(t, cfg), Options{Version: "test", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	r := fleettest.Start(t, func(ctx context.Context) error {
		if err := a.Run(ctx); err != nil {
			return err
		}
		return ctx.Err()
	})
	select {
	case <-a.ready:
	case <-time.After(20 * time.Second):
		t.Fatal("it is not ready")
	}
	return a, r
}

// Two daemons on one NATS: one works, the other is ready and goes on when the
// first one stops.
func TestDaemonStandsBy(t *testing.T) {
	f := fleettest.New(t)
	of := func(process string) func(*schema.Event) { return func(e *schema.Event) { e.Process = process } }
	_, first := oneOfTwo(t, f)
	f.WaitHandled(f.Publish(f.Crash(of("a"))))
	_, second := oneOfTwo(t, f)
	f.WaitHandled(f.Publish(f.Crash(of("b"))))
	first.Stop()
	f.WaitHandled(f.Publish(f.Crash(of("c"))))
	if n := f.Notified(); len(n) != 3 {
		t.Errorf("alerts: %v", n)
	}
	for _, process := range []string{"a", "b", "c"} {
		if s := f.Process("web1", "api", process); s.UnexpectedExits != 1 {
			t.Errorf("%+v", s)
		}
	}
	second.Stop()
}
