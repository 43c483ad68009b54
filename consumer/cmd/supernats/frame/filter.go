package frame

import (
	"fmt"
	"strings"
	"time"

	"supernats/consumer"
	"supernats/consumer/history"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/schema"
)

// ProcessFlags choose processes. They have no variables: those of the same name are the
// bridge's.
type ProcessFlags struct {
	Host    []string `env:"-" sep:"none" placeholder:"GLOB" help:"${help_host}"`
	Group   []string `env:"-" sep:"none" placeholder:"GLOB" help:"Only these groups."`
	Process []string `env:"-" sep:"none" placeholder:"GLOB" help:"Only these processes."`
}

// Filter returns the filter that the flags describe.
func (p *ProcessFlags) Filter() (consumer.Filter, error) {
	c := consumer.Filter{
		Hosts: schema.SplitGlobs(p.Host), Groups: schema.SplitGlobs(p.Group), Processes: schema.SplitGlobs(p.Process),
	}
	if err := c.Check(); err != nil {
		return c, UsageError{Err: err}
	}
	return c, nil
}

// HintAtGlobs says on stderr which globs show a sign of being meant as something else:
// nothing that is printed, or waited for, says so.
func (p *ProcessFlags) HintAtGlobs(sign func(glob string) bool) {
	for _, f := range []struct {
		flag  string
		globs []string
	}{{"host", p.Host}, {"group", p.Group}, {"process", p.Process}} {
		for _, g := range schema.SplitGlobs(f.globs) {
			if sign(g) {
				terminal.Say("supernats: --%s %q looks like a regular expression, and globs are meant: "+
					"did you mean %q?",
					f.flag, terminal.Clean(g), terminal.Clean(inspect.AsGlob(g)))
			}
		}
	}
}

// EventFlags are the flags of every command that chooses events.
type EventFlags struct {
	ProcessFlags
	Event []string `env:"-" sep:"none" placeholder:"NAME" help:"${help_event}"`
	Since Moment   `env:"-" placeholder:"WHEN" help:"${help_since}"`
	Until Moment   `env:"-" placeholder:"WHEN" help:"${help_until}"`
	Limit int      `env:"-" placeholder:"N" help:"Print at most N (default: no limit)."`
}

// Filter returns the filter that the flags describe.
func (f *EventFlags) Filter() (consumer.Filter, error) {
	if f.Limit < 0 {
		return consumer.Filter{}, UsageError{Err: fmt.Errorf("--limit: invalid value %d: want 1 or more", f.Limit)}
	}
	c, err := f.ProcessFlags.Filter()
	if err != nil {
		return c, err
	}

	c.Events = schema.SplitGlobs(f.Event)
	if err := c.Check(); err != nil {
		return c, UsageError{Err: err}
	}
	if err := inspect.CheckEvents(c.Events); err != nil {
		return c, UsageError{Err: fmt.Errorf("--event: %w", err)}
	}

	if !f.Since.IsZero() && !f.Until.IsZero() && f.Until.Before(f.Since.Time) {
		return c, UsageError{Err: fmt.Errorf("--until %s is before --since %s",
			f.Until.Format(time.RFC3339), f.Since.Format(time.RFC3339))}
	}
	return c, nil
}

// Period is the time between --since and --until.
func (f *EventFlags) Period() history.Period {
	return history.Period{Since: f.Since.Time, Until: f.Until.Time}
}

// When are the words for a Moment in a help.
const When = "a duration back from now (90s, 2h, 7d) or RFC 3339"

// Moment is a point in time: RFC 3339, or a duration back from now, or with a plus from
// now on.
type Moment struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Moment) UnmarshalText(b []byte) error {
	s := string(b)
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		m.Time = t
		return nil
	}

	duration, isFuture := strings.CutPrefix(s, "+")
	d, err := schema.ParseDuration(duration)
	if err != nil {
		return fmt.Errorf("invalid time %q: want a duration back from now (90s, 2h, 7d) "+
			"or RFC 3339 (2026-11-21T19:00:00Z)", s)
	}
	if !isFuture {
		d = -d
	}
	m.Time = time.Now().Add(time.Duration(d))
	return nil
}
