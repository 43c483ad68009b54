package main

import (
	"fmt"
	"time"

	"supernats/consumer"
	"supernats/schema"
)

// filters are the flags of every command that chooses events.
type filters struct {
	Host    []string `placeholder:"GLOB" help:"Only these hosts. Repeatable, like the other filters."`
	Group   []string `placeholder:"GLOB" help:"Only these groups."`
	Process []string `placeholder:"GLOB" help:"Only these processes."`
	Event   []string `placeholder:"NAME" help:"Only these events: supervisor's own names, abstract ones too (PROCESS_STATE), or globs."`
	Since   moment   `placeholder:"WHEN" help:"From then on: a duration back from now (90s, 2h, 7d) or RFC 3339."`
	Until   moment   `placeholder:"WHEN" help:"Up to then."`
	Limit   int      `placeholder:"N" help:"At most N events."`
}

func (f *filters) filter() (consumer.Filter, error) {
	c := consumer.Filter{Hosts: f.Host, Groups: f.Group, Processes: f.Process, Events: f.Event}
	if err := c.Check(); err != nil {
		return c, usageError{err}
	}
	if f.Limit < 0 {
		return c, usageError{fmt.Errorf("--limit is %d, allowed are 1 or more", f.Limit)}
	}
	return c, nil
}

// inTime reports whether an event is neither too old nor too young.
func (f *filters) inTime(ce *schema.CloudEvent[*schema.Event]) bool {
	return (f.Since.IsZero() || !ce.Time.Before(f.Since.Time)) && (f.Until.IsZero() || !ce.Time.After(f.Until.Time))
}

// moment is a point in time: RFC 3339, or a duration back from now.
type moment struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(b []byte) error {
	s := string(b)
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		m.Time = t
		return nil
	}
	d, err := schema.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is no time; allowed are a duration back from now (90s, 2h, 7d) and RFC 3339 (2026-11-21T19:00:00Z)", s)
	}
	m.Time = time.Now().Add(-time.Duration(d))
	return nil
}
