package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"supernats/schema"
)

// compileKind finds out what a rule is about.
func compileKind(r *Rule, c Config) error {
	var kinds []string
	for _, k := range []struct {
		kind  string
		given bool
	}{
		{schema.KindEvent, len(c.Event) > 0},
		{schema.KindState, len(c.State) > 0},
		{schema.KindQuorum, c.Quorum != 0},
		{schema.KindSilent, c.Silent != 0},
		{schema.KindLoss, c.Loss},
		{schema.KindTrouble, len(c.Trouble) > 0},
	} {
		if k.given {
			kinds = append(kinds, k.kind)
		}
	}
	switch len(kinds) {
	case 0:
		return errors.New("is about nothing; it needs one of event, state, quorum, silent, loss and trouble")
	case 1:
		r.Kind = kinds[0]
	default:
		return at(kinds[1], fmt.Errorf("found %s in one rule, allowed is one of them: write a rule for each", strings.Join(kinds, " and ")))
	}
	var errs []error
	for _, k := range []struct {
		key   string
		given bool
		of    []string
	}{
		{"expected", c.Expected != nil, []string{schema.KindEvent, schema.KindState}},
		{"oom", c.OOM != nil, []string{schema.KindEvent}},
		{"if", c.If != "", []string{schema.KindEvent}},
		{"count", c.Count != 0, []string{schema.KindEvent}},
		{"within", c.Within != 0, []string{schema.KindEvent}},
		{"for", c.For != 0, []string{schema.KindState, schema.KindQuorum, schema.KindTrouble}},
		{"groups", len(c.Groups) > 0, []string{schema.KindEvent, schema.KindState, schema.KindQuorum}},
		{"processes", len(c.Processes) > 0, []string{schema.KindEvent, schema.KindState, schema.KindQuorum}},
		{"resolve_after", c.ResolveAfter != nil, []string{schema.KindEvent, schema.KindState, schema.KindQuorum, schema.KindLoss, schema.KindTrouble}},
	} {
		if k.given && !slices.Contains(k.of, r.Kind) {
			errs = append(errs, at(k.key, fmt.Errorf("found in a rule of kind %s, allowed in rules of kind %s", r.Kind, strings.Join(k.of, " and "))))
		}
	}
	return errors.Join(errs...)
}

// MaxCount is how many matches make one alert at most. They are all in its first
// notification, so one notification lists as many.
const MaxCount = 500

// compileMatch reads what must be true.
func compileMatch(r *Rule, c Config) error {
	r.expected, r.oom = c.Expected, c.OOM
	r.Count, r.Within, r.For = c.Count, time.Duration(c.Within), time.Duration(c.For)
	r.Quorum, r.Silent = c.Quorum, time.Duration(c.Silent)
	var events, states, troubles error
	r.events, events = compileEvents(c.Event)
	r.states, states = compileStates(c.State)
	r.causes, troubles = compileCauses(c.Trouble)
	errs := []error{events, states, troubles}

	wrong := func(key string, is bool, format string, args ...any) {
		if is {
			errs = append(errs, at(key, fmt.Errorf(format, args...)))
		}
	}
	exits := slices.ContainsFunc(r.events, func(e eventName) bool { return e.match(schema.ProcessStateExited) })
	wrong("expected", c.Expected != nil && (r.Kind == schema.KindEvent || r.Kind == schema.KindState) && events == nil && states == nil &&
		!exits && !slices.Contains(r.states, "EXITED"),
		"only an exit is expected or not; it needs PROCESS_STATE_EXITED in event or EXITED in state")
	wrong("oom", c.OOM != nil && r.Kind == schema.KindEvent && events == nil && !slices.ContainsFunc(r.events, eventName.isDeath),
		"memory runs out where a process dies; it needs PROCESS_STATE_EXITED, PROCESS_STATE_BACKOFF or PROCESS_STATE_FATAL in event")
	wrong("count", c.Count < 0 || c.Count > MaxCount, "found %d, allowed are 1 to %d", c.Count, MaxCount)
	wrong("count", c.Count != 0 && c.Within == 0, "found without within; it needs both: count: 5, within: 10m")
	wrong("within", c.Within < 0, "found %v, allowed is a duration above zero", c.Within)
	wrong("within", c.Within != 0 && c.Count == 0, "found without count; it needs both: count: 5, within: 10m")
	wrong("for", c.For < 0, "found %v, allowed is a duration", c.For)
	wrong("quorum", c.Quorum < 0, "found %d, allowed is how many processes must be RUNNING, 1 or more", c.Quorum)
	wrong("silent", c.Silent < 0, "found %v, allowed is a duration above zero", c.Silent)
	if c.If != "" {
		var err error
		r.program, err = compileIf(c.If)
		wrong("if", err != nil, "%w", err)
	}
	return errors.Join(errs...)
}

// compileCauses reads `trouble: true` or a list of causes.
func compileCauses(list List) (Globs, error) {
	if len(list) == 1 && list[0] == "true" {
		return nil, nil
	}
	var errs []error
	for i, g := range list {
		if g == "true" || g == "false" {
			errs = append(errs, at(element("trouble", list, i), fmt.Errorf("found %s, allowed is true alone, or causes: [disk-full, nats-*]", g)))
		} else if err := checkGlob(g); err != nil {
			errs = append(errs, at(element("trouble", list, i), err))
		}
	}
	return NewGlobs(list), errors.Join(errs...)
}
