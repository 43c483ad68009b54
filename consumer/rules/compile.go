package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"supernats/schema"
)

// Compile checks rules and makes them ready to be used; an error joins a
// *ConfigError for each mistake.
func Compile(set []Config, o Options) (*Set, error) {
	s := &Set{byEvent: map[string][]*Rule{}, groups: NewGlobs(o.Groups), MuteRestarts: o.MuteRestarts}
	names := map[string]int{}
	var errs []error
	for i, c := range set {
		r, err := compileRule(c, o)
		if first, ok := names[c.Name]; ok && c.Name != "" {
			err = errors.Join(err, at("name", fmt.Errorf("found %q, which is the name of rules[%d] too; every rule needs a name of its own", c.Name, first)))
		} else {
			names[c.Name] = i
		}
		if err != nil {
			errs = append(errs, below(fmt.Sprintf("[%d]", i), err))
		}
		r.Index = i
		s.Rules = append(s.Rules, r)
	}
	if err := errors.Join(append(errs, s.inhibitions(set))...); err != nil {
		return nil, err
	}
	s.index()
	return s, nil
}

// compileRule returns a rule even if something is wrong with it, so that those that
// name it are not wrong too.
func compileRule(c Config, o Options) (*Rule, error) {
	var errs []error
	r := &Rule{Name: c.Name, Severity: c.Severity, Notify: c.Notify}
	if err := checkName(c.Name); err != nil {
		errs = append(errs, at("name", err))
	}
	if r.Severity == "" {
		r.Severity = "warning"
	}
	if !isWord(r.Severity) {
		errs = append(errs, at("severity", fmt.Errorf("found %q, allowed is one word: critical, warning, info or another", c.Severity)))
	}
	// The kind is first: what the others allow depends on it.
	for _, check := range []func(*Rule, Config) error{
		compileKind, compileMatch, compileSelectors, compileGroupBy, compileTexts, compileIntervals,
	} {
		errs = append(errs, check(r, c))
	}
	return r, errors.Join(append(errs, compileTimes(r, c, o))...)
}

const maxName = 64

func checkName(name string) error {
	if name == "" {
		return errors.New("is missing; every rule needs a name, which is part of its alerts' ids")
	}
	if len(name) > maxName || !isWord(name) || strings.Contains(name, "/") {
		return fmt.Errorf("found %q, allowed are up to %d bytes without spaces and '/'", clip(name), maxName)
	}
	return nil
}

func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == unicode.ReplacementChar
	})
}

func compileSelectors(r *Rule, c Config) error {
	var errs []error
	for _, l := range []struct {
		key  string
		list List
		to   *Globs
	}{{"hosts", c.Hosts, &r.hosts}, {"groups", c.Groups, &r.groups}, {"processes", c.Processes, &r.processes}} {
		for i, g := range l.list {
			if err := checkGlob(g); err != nil {
				errs = append(errs, at(element(l.key, l.list, i), err))
			}
		}
		*l.to = NewGlobs(l.list)
	}
	return errors.Join(errs...)
}

// compileGroupBy finds out what makes one alert.
func compileGroupBy(r *Rule, c Config) error {
	words := map[string][]string{
		schema.KindEvent: {"host", "group", "process"}, schema.KindState: {"host", "group", "process"},
		schema.KindQuorum: {"host", "group"}, schema.KindSilent: {"host"}, schema.KindLoss: {"host"}, schema.KindTrouble: {"host"},
	}[r.Kind]
	by := []string(c.GroupBy)
	var errs []error
	for i, w := range by {
		if r.Kind != "" && !slices.Contains(words, w) {
			errs = append(errs, at(element("group_by", by, i), fmt.Errorf("found %q, allowed for a rule of kind %s are %s", w, r.Kind, strings.Join(words, ", "))))
		}
	}
	if r.Kind == "" { // it is wrong, but its kind is to blame
		by = []string{"host", "group", "process"}
	}
	if len(by) == 0 {
		by = words
	}
	r.byHost, r.byGroup, r.byProcess = slices.Contains(by, "host"), slices.Contains(by, "group"), slices.Contains(by, "process")
	if r.Kind == schema.KindSilent || r.Kind == schema.KindLoss || r.Kind == schema.KindTrouble { // about no process, so about one thing
		r.byGroup, r.byProcess = true, true
	}
	return errors.Join(errs...)
}

// compileTimes takes a rule's own settings, or the shared ones.
func compileTimes(r *Rule, c Config, o Options) error {
	var errs []error
	for _, d := range []struct {
		key    string
		own    *schema.Duration
		shared time.Duration
		to     *time.Duration
		why    string // not to be zero
	}{
		{"group_wait", c.GroupWait, o.GroupWait, &r.GroupWait, ""},
		{"group_interval", c.GroupInterval, o.GroupInterval, &r.GroupInterval, "every event would be told by itself"},
		{"repeat_interval", c.RepeatInterval, o.RepeatInterval, &r.RepeatInterval, "an open alert would be repeated without end"},
		{"resolve_after", c.ResolveAfter, o.ResolveAfter, &r.ResolveAfter, ""},
	} {
		*d.to = d.shared
		if d.own != nil {
			*d.to = time.Duration(*d.own)
		}
		if *d.to < 0 {
			errs = append(errs, at(d.key, fmt.Errorf("found %v, allowed is a duration that is not negative", schema.Duration(*d.to))))
		}
		if d.own != nil && *d.own == 0 && d.why != "" {
			errs = append(errs, at(d.key, fmt.Errorf("found 0s, allowed is a duration above zero: %s", d.why)))
		}
	}
	r.SendResolved = o.SendResolved
	if c.SendResolved != nil {
		r.SendResolved = *c.SendResolved
	}
	return errors.Join(errs...)
}
