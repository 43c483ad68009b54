package app

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"supernats/consumer/config"
	"supernats/schema"
)

// Two daemons on one NATS: one works, the other is ready and goes on when the
// first one stops.
func TestDaemonStandsBy(t *testing.T) {
	f := newFleet(t)
	daemon := func() (*App, *running) {
		cfg := config.Default()
		cfg.NATS.URL, cfg.Listen = f.server.URL, "127.0.0.1:0"
		a, err := New(validPlan(t, cfg), Options{Version: "test", Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, func(ctx context.Context) error {
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
	of := func(process string) func(*schema.Event) { return func(e *schema.Event) { e.Process = process } }
	_, first := daemon()
	f.handled(f.publish(f.crash(of("a"))))
	_, second := daemon()
	f.handled(f.publish(f.crash(of("b"))))
	first.stop()
	f.handled(f.publish(f.crash(of("c"))))
	if n := f.alerts(); len(n) != 3 {
		t.Errorf("alerts: %v", n)
	}
	for _, process := range []string{"a", "b", "c"} {
		if s := f.state("web1", "api", process); s.UnexpectedExits != 1 {
			t.Errorf("%+v", s)
		}
	}
	second.stop()
}
