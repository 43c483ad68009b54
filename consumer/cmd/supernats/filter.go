package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"supernats/consumer"
	"supernats/consumer/history"
	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/schema"
)

// processFlags choose processes. They have no variables: those of the same name are the
// bridge's.
type processFlags struct {
	Host    []string `env:"-" sep:"none" placeholder:"GLOB" help:"${help_host}"`
	Group   []string `env:"-" sep:"none" placeholder:"GLOB" help:"Only these groups."`
	Process []string `env:"-" sep:"none" placeholder:"GLOB" help:"Only these processes."`
}

func (p *processFlags) filter() (consumer.Filter, error) {
	c := consumer.Filter{
		Hosts: schema.SplitGlobs(p.Host), Groups: schema.SplitGlobs(p.Group), Processes: schema.SplitGlobs(p.Process),
	}
	if err := c.Check(); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// hintAtGlobs says on stderr which globs show a sign of being meant as something else:
// nothing that is printed, or waited for, says so.
func (p *processFlags) hintAtGlobs(sign func(glob string) bool) {
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

// filters are the flags of every command that chooses events.
type filters struct {
	processFlags
	Event []string `env:"-" sep:"none" placeholder:"NAME" help:"${help_event}"`
	Since moment   `env:"-" placeholder:"WHEN" help:"${help_since}"`
	Until moment   `env:"-" placeholder:"WHEN" help:"${help_until}"`
	Limit int      `env:"-" placeholder:"N" help:"Print at most N (default: no limit)."`
}

func (f *filters) filter() (consumer.Filter, error) {
	if f.Limit < 0 {
		return consumer.Filter{}, usageError{fmt.Errorf("--limit: invalid value %d: want 1 or more", f.Limit)}
	}
	c, err := f.processFlags.filter()
	if err != nil {
		return c, err
	}

	c.Events = schema.SplitGlobs(f.Event)
	if err := c.Check(); err != nil {
		return c, usageError{err}
	}
	if err := checkEvents(c.Events); err != nil {
		return c, usageError{err}
	}

	if !f.Since.IsZero() && !f.Until.IsZero() && f.Until.Before(f.Since.Time) {
		return c, usageError{fmt.Errorf("--until %s is before --since %s",
			f.Until.Format(time.RFC3339), f.Since.Format(time.RFC3339))}
	}
	return c, nil
}

func (f *filters) period() history.Period {
	return history.Period{Since: f.Since.Time, Until: f.Until.Time}
}

// checkEvents refuses names that no event has: with one, a command would print nothing, as
// if nothing had happened. A glob may be for names that are not known here.
func checkEvents(events []string) error {
	known := append(schema.Names(), schema.Families()...)
	for _, name := range events {
		if strings.HasPrefix(name, schema.TypeBridgePrefix) { // what alerts may be about
			continue
		}
		isGlob := schema.HasGlobSigns(name)
		matches := slices.ContainsFunc(known, func(k string) bool {
			return k == name || isGlob && schema.MatchGlob(name, k)
		})
		if matches || isGlob && !inspect.LooksLikeRegexp(name) {
			continue
		}

		problem := fmt.Sprintf("--event: invalid name %q", name)
		if meant := inspect.MeantGlob(name, known); meant != "" {
			return fmt.Errorf("%s; did you mean %s?", problem, meant)
		}
		return fmt.Errorf("%s: want %s, or a glob of names", problem, strings.Join(known, ", "))
	}
	return nil
}

// moment is a point in time: RFC 3339, or a duration back from now, or with a plus from
// now on.
type moment struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(b []byte) error {
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
