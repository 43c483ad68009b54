package intake

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"supernats/consumer/alerts"
	"supernats/consumer/config"
	"supernats/consumer/fleettest"
	"supernats/schema"
)

// fleet is a server with the events of its hosts.
type fleet struct{ *fleettest.Fleet }

func newFleet(t *testing.T, change ...func(jetstream.JetStream)) *fleet {
	t.Helper()
	return &fleet{fleettest.New(t, change...)}
}

// defaults are the settings of an installation that has written none, but that what they
// wait for comes soon.
func defaults(t testing.TB) Plan {
	t.Helper()
	cfg := config.Default()
	cfg.GroupInterval = schema.Duration(20 * time.Millisecond)
	cfg.ResolveAfter = schema.Duration(20 * time.Millisecond)
	return planOf(t, cfg)
}

func planOf(t testing.TB, cfg config.Config) Plan {
	t.Helper()
	set, err := cfg.CompileRules()
	if err != nil {
		t.Fatal(err)
	}
	return Plan{
		Rules: set, Limits: cfg.Limits.Fleet(), MaxAge: time.Duration(cfg.MaxAge), ForgetAfter: time.Duration(cfg.ForgetAfter),
	}
}

// reader is one that stores soon what it sees.
func (f *fleet) reader() *Reader {
	f.Helper()
	r := New(zerolog.Nop())
	r.seenEvery = 50 * time.Millisecond
	r.plan = defaults(f.T)
	r.Begin(f.session())
	return r
}

func (f *fleet) session() Session {
	return Session{JetStream: f.JS, Held: func() error { return nil }}
}

// run reads by the plan that the reader has.
func run(ctx context.Context, r *Reader, ready func()) error {
	return r.Run(ctx, r.plan, func() {}, ready)
}

// read reads events until the test ends or stop is called, which waits.
func (f *fleet) read() (stop func()) {
	f.Helper()
	return f.Background(func(ctx context.Context) error { return run(ctx, f.reader(), func() {}) })
}

// crashes is a notification of so many, each with a log.
func crashes(n int, log string) alerts.Notification {
	at := time.Date(2026, 11, 21, 19, 0, 31, 0, time.UTC)
	a := &schema.Notification{
		Incident: "a", Rule: "r", Severity: "critical", Host: "h", Opened: schema.Time{Time: at}, Closed: &schema.Time{Time: at}, Count: n,
	}
	for i := range n {
		a.Events = append(a.Events, schema.AlertEvent{
			ID: fmt.Sprint("h/b/", i), Time: schema.Time{Time: at}, Event: "PROCESS_STATE_EXITED", Process: fmt.Sprint("p", i),
			Log: &schema.Log{Stderr: log},
		})
	}
	return alerts.Notification{ID: "a/1", Type: schema.TypeAlertResolved, At: at, Alert: a}
}
