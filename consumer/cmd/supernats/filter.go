package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"supernats/consumer"
	"supernats/schema"
)

// whose are the flags that choose processes. They have no variables: those of
// the same name are the bridge's.
type whose struct {
	Host    []string `env:"-" sep:"none" placeholder:"GLOB" help:"Only these hosts. Repeatable, like the other filters; default: all."`
	Group   []string `env:"-" sep:"none" placeholder:"GLOB" help:"Only these groups."`
	Process []string `env:"-" sep:"none" placeholder:"GLOB" help:"Only these processes."`
}

func (w *whose) filter() (consumer.Filter, error) {
	c := consumer.Filter{Hosts: globs(w.Host), Groups: globs(w.Group), Processes: globs(w.Process)}
	if err := c.Check(); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// filters are the flags of every command that chooses events.
type filters struct {
	whose
	Event []string `env:"-" sep:"none" placeholder:"NAME" help:"Only these events: supervisor's own names, abstract ones too (PROCESS_STATE), or globs."`
	Since moment   `env:"-" placeholder:"WHEN" help:"From then on: a duration back from now (90s, 2h, 7d) or RFC 3339; default: all that is stored, tail: what is to come."`
	Until moment   `env:"-" placeholder:"WHEN" help:"Up to then; also +5m, from now on. Default: no end."`
	Limit int      `env:"-" placeholder:"N" help:"At most N events; default: no limit."`
}

func (f *filters) filter() (consumer.Filter, error) {
	if f.Limit < 0 {
		return consumer.Filter{}, usageError{fmt.Errorf("--limit is %d, allowed are 1 or more", f.Limit)}
	}
	c, err := f.whose.filter()
	if err != nil {
		return c, err
	}
	c.Events = globs(f.Event)
	if err := c.Check(); err != nil {
		return c, usageError{err}
	}
	if err := checkEvents(c.Events); err != nil {
		return c, usageError{err}
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && f.Until.Before(f.Since.Time) {
		return c, usageError{fmt.Errorf("--until %s is before --since %s", f.Until.Format(time.RFC3339), f.Since.Format(time.RFC3339))}
	}
	return c, nil
}

// hint says on stderr which globs were meant to be something else, by a sign of that:
// nothing that is printed, or waited for, says so.
func (w *whose) hint(sign func(glob string) bool) {
	for _, f := range []struct {
		flag  string
		globs []string
	}{{"host", w.Host}, {"group", w.Group}, {"process", w.Process}} {
		for _, g := range globs(f.globs) {
			if sign(g) {
				say("supernats: --%s %q looks like a regular expression, and globs are meant: did you mean %q?", f.flag, clean(g), clean(asGlob(g)))
			}
		}
	}
}

// checkEvents refuses names that no event has: with one, a command would print nothing,
// as if nothing had happened. A glob may be of names that are not known here.
func checkEvents(events []string) error {
	known := append(schema.Names(), schema.Families()...)
	for _, name := range events {
		isGlob := schema.HasGlobSigns(name)
		if strings.HasPrefix(name, schema.TypeBridgePrefix) { // what alerts may be about
			continue
		}
		matches := slices.ContainsFunc(known, func(k string) bool { return k == name || isGlob && schema.MatchGlob(name, k) })
		if matches || isGlob && !looksLikeRegexp(name) {
			continue
		}
		problem := fmt.Sprintf("--event %q is no event", name)
		if meant := meantGlob(name, known); meant != "" {
			return fmt.Errorf("%s; did you mean %s?", problem, meant)
		}
		return fmt.Errorf("%s; allowed are %s, and globs of names", problem, strings.Join(known, ", "))
	}
	return nil
}

// globs divides what was given at the commas, as supervisor's events= is, but not
// at those in {a,b} or behind a backslash.
func globs(given []string) []string {
	var list []string
	for _, g := range given {
		begin, depth := 0, 0
		for i := 0; i < len(g); i++ {
			switch g[i] {
			case '\\':
				i++
			case '{':
				depth++
			case '}':
				depth--
			case ',':
				if depth <= 0 {
					list = append(list, g[begin:i])
					begin = i + 1
				}
			}
		}
		list = append(list, g[begin:])
	}
	return list
}

// inTime reports whether what happened then is neither too old nor too young.
func (f *filters) inTime(t schema.Time) bool {
	return (f.Since.IsZero() || !t.Before(f.Since.Time)) && (f.Until.IsZero() || !t.After(f.Until.Time))
}

// moment is a point in time: RFC 3339, or a duration back from now, or with a plus
// from now on.
type moment struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(b []byte) error {
	s := string(b)
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		m.Time = t
		return nil
	}
	ahead, future := strings.CutPrefix(s, "+")
	d, err := schema.ParseDuration(ahead)
	if err != nil {
		return fmt.Errorf("%q is no time; allowed are a duration back from now (90s, 2h, 7d) and RFC 3339 (2026-11-21T19:00:00Z)", s)
	}
	if !future {
		d = -d
	}
	m.Time = time.Now().Add(time.Duration(d))
	return nil
}
