package rules_test

import (
	"time"

	"supernats/consumer/rules"
	"supernats/schema"
)

var t0 = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)

func p[T any](v T) *T { return &v }

func dur(d time.Duration) *schema.Duration { return p(schema.Duration(d)) }

// options are those of an installation that has written none.
func options() rules.Options {
	return rules.Options{
		GroupInterval: 5 * time.Minute, RepeatInterval: 4 * time.Hour, ResolveAfter: 30 * time.Second, SendResolved: true,
	}
}

// exitOf is an exit of web1's api:api_00 with code 3.
func exitOf() *schema.CloudEvent[*schema.Event] {
	e := &schema.Event{
		Event: schema.ProcessStateExited, Host: "web1", Boot: "4f0c6d1e2a90b7c3", Serial: 1, Group: "api", Process: "api_00",
		FromState: "RUNNING", Expected: p(false), Exit: &schema.Exit{Code: p(3)},
	}
	return e.Envelope(t0)
}
