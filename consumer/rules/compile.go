package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"supernats/schema"
)

// Compile checks rules and makes them ready to be used; an error joins a *ConfigError for
// each mistake.
func Compile(set []Config, o Options) (*Set, error) {
	s := &Set{byEvent: map[string][]*Rule{}, groups: NewGlobs(o.Groups), MuteRestarts: o.MuteRestarts}
	names := map[string]int{}
	var wrong mistakes
	for i, c := range set {
		r, err := compileRule(c, o)
		r.Index = i
		s.Rules = append(s.Rules, r)

		first, isTaken := names[c.Name]
		if isTaken && c.Name != "" {
			twice := fmt.Errorf(
				"found %q, which is the name of rules[%d] too; every rule needs a name of its own", c.Name, first)
			err = errors.Join(err, at("name", twice))
		} else {
			names[c.Name] = i
		}
		if err != nil {
			wrong.join(below(fmt.Sprintf("[%d]", i), err))
		}
	}

	wrong.join(s.connect(set))
	if err := wrong.err(); err != nil {
		return nil, err
	}
	s.index()
	return s, nil
}

// compileRule returns a rule even if something is wrong with it, so that those that name
// it are not wrong too.
func compileRule(c Config, o Options) (*Rule, error) {
	r := &Rule{Name: c.Name, Severity: c.Severity, Notify: c.Notify}
	var wrong mistakes
	wrong.wrap("name", checkName(c.Name))
	if r.Severity == "" {
		r.Severity = "warning"
	}
	if !isWord(r.Severity) {
		wrong.add("severity", "found %q, allowed is one word: critical, warning, info or another", c.Severity)
	}

	// The kind is first: what the others allow depends on it.
	for _, compile := range []func(*Rule, Config) error{
		compileKind, compileMatch, compileSelectors, compileGroupBy, compileTexts, compileIntervals, compileEscalate,
	} {
		wrong.join(compile(r, c))
	}
	wrong.join(compileTimes(r, c, o))
	return r, wrong.err()
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
	var wrong mistakes
	for _, l := range []struct {
		key  string
		list List
		to   *Globs
	}{
		{"hosts", c.Hosts, &r.hosts},
		{"groups", c.Groups, &r.groups},
		{"processes", c.Processes, &r.processes},
	} {
		for i, g := range l.list {
			wrong.wrap(element(l.key, l.list, i), checkGlob(g))
		}
		*l.to = NewGlobs(l.list)
	}
	return wrong.err()
}

// groupWords are what an alert of each kind can be about.
var groupWords = map[string][]string{
	schema.KindEvent:   {"host", "group", "process"},
	schema.KindState:   {"host", "group", "process"},
	schema.KindQuorum:  {"host", "group"},
	schema.KindSilent:  {"host"},
	schema.KindLoss:    {"host"},
	schema.KindTrouble: {"host"},
}

// compileGroupBy finds out what makes one alert.
func compileGroupBy(r *Rule, c Config) error {
	words := groupWords[r.Kind]
	by := []string(c.GroupBy)
	var wrong mistakes
	for i, w := range by {
		if r.Kind != "" && !slices.Contains(words, w) {
			const allowed = "found %q, allowed for a rule of kind %s are %s"
			wrong.add(element("group_by", by, i), allowed, w, r.Kind, strings.Join(words, ", "))
		}
	}

	if r.Kind == "" { // it is wrong, but its kind is to blame
		by = []string{"host", "group", "process"}
	}
	if len(by) == 0 {
		by = words
	}
	r.byHost = slices.Contains(by, "host")
	r.byGroup = slices.Contains(by, "group")
	r.byProcess = slices.Contains(by, "process")
	switch r.Kind {
	case schema.KindSilent, schema.KindLoss, schema.KindTrouble: // about no process, so about one thing
		r.byGroup = true
		r.byProcess = true
	}
	return wrong.err()
}
