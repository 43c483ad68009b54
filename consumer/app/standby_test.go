package app

import (
	"testing"

	"supernats/consumer/config"
	"supernats/consumer/fleettest"
	"supernats/schema"
)

// Two daemons on one NATS: one works, the other is ready and continues when the first one
// stops.
func TestDaemonStandsBy(t *testing.T) {
	f := fleettest.New(t)
	cfg := config.Default()
	cfg.NATS.URL, cfg.Listen = f.Server.URL, "127.0.0.1:0"
	of := func(process string) func(*schema.Event) { return func(e *schema.Event) { e.Process = process } }
	first := readyDaemon(t, cfg)
	f.WaitHandled(f.Publish(f.Crash(of("a"))))
	second := readyDaemon(t, cfg)
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
