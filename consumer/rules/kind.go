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
func compileKind(r *rule, c Config) error {
	var kinds []string
	for _, k := range []struct {
		kind  string
		given bool
	}{
		{kindEvent, len(c.Event) > 0},
		{kindState, len(c.State) > 0},
		{kindQuorum, c.Quorum != 0},
		{kindSilent, c.Silent != 0},
		{kindLoss, c.Loss},
		{kindTrouble, len(c.Trouble) > 0},
	} {
		if k.given {
			kinds = append(kinds, k.kind)
		}
	}
	switch len(kinds) {
	case 0:
		return errors.New("is about nothing; it needs one of event, state, quorum, silent, loss and trouble")
	case 1:
		r.kind = kinds[0]
	default:
		return at(kinds[1], fmt.Errorf("found %s in one rule, allowed is one of them: write a rule for each", strings.Join(kinds, " and ")))
	}
	for _, k := range []struct {
		key   string
		given bool
		of    []string
	}{
		{"expected", c.Expected != nil, []string{kindEvent, kindState}},
		{"if", c.If != "", []string{kindEvent}},
		{"count", c.Count != 0, []string{kindEvent}},
		{"within", c.Within != 0, []string{kindEvent}},
		{"for", c.For != 0, []string{kindState, kindQuorum, kindTrouble}},
		{"groups", len(c.Groups) > 0, []string{kindEvent, kindState, kindQuorum}},
		{"processes", len(c.Processes) > 0, []string{kindEvent, kindState, kindQuorum}},
		{"resolve_after", c.ResolveAfter != nil, []string{kindEvent, kindState, kindQuorum, kindLoss, kindTrouble}},
	} {
		if k.given && !slices.Contains(k.of, r.kind) {
			return at(k.key, fmt.Errorf("found in a rule of kind %s, allowed in rules of kind %s", r.kind, strings.Join(k.of, " and ")))
		}
	}
	return nil
}

// maxCount is how many matches make one alert at most: they are all in its first
// notification.
const maxCount = maxListed

// compileMatch reads what must be true.
func compileMatch(r *rule, c Config) (err error) {
	r.expected, r.count, r.within, r.forTime = c.Expected, c.Count, time.Duration(c.Within), time.Duration(c.For)
	r.quorum, r.silent = c.Quorum, time.Duration(c.Silent)
	if r.events, err = compileEvents(c.Event); err != nil {
		return err
	}
	if r.states, err = compileStates(c.State); err != nil {
		return err
	}
	if r.causes, err = compileCauses(c.Trouble); err != nil {
		return err
	}
	exits := slices.ContainsFunc(r.events, func(e eventName) bool { return e.match(schema.ProcessStateExited) })
	switch {
	case c.Expected != nil && !exits && !slices.Contains(r.states, "EXITED"):
		return at("expected", errors.New("only an exit is expected or not; it needs PROCESS_STATE_EXITED in event or EXITED in state"))
	case c.Count < 0 || c.Count > maxCount:
		return at("count", fmt.Errorf("found %d, allowed are 1 to %d", c.Count, maxCount))
	case c.Count != 0 && c.Within == 0:
		return at("count", errors.New("found without within; it needs both: count: 5, within: 10m"))
	case c.Within < 0:
		return at("within", fmt.Errorf("found %v, allowed is a duration above zero", c.Within))
	case c.Within != 0 && c.Count == 0:
		return at("within", errors.New("found without count; it needs both: count: 5, within: 10m"))
	case c.For < 0:
		return at("for", fmt.Errorf("found %v, allowed is a duration", c.For))
	case c.Quorum < 0:
		return at("quorum", fmt.Errorf("found %d, allowed is how many processes must be RUNNING, 1 or more", c.Quorum))
	case c.Silent < 0:
		return at("silent", fmt.Errorf("found %v, allowed is a duration above zero", c.Silent))
	}
	if c.If != "" {
		if r.program, err = compileIf(c.If); err != nil {
			return at("if", err)
		}
	}
	return nil
}

// compileCauses reads `trouble: true` or a list of causes.
func compileCauses(list List) (causes, error) {
	if len(list) == 1 && list[0] == "true" {
		return nil, nil
	}
	for i, g := range list {
		if g == "true" || g == "false" {
			return nil, at(element("trouble", list, i), fmt.Errorf("found %s, allowed is true alone, or causes: [disk-full, nats-*]", g))
		}
		if err := checkGlob(g); err != nil {
			return nil, at(element("trouble", list, i), err)
		}
	}
	return globs(list), nil
}
