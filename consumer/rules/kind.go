package rules

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"supernats/schema"
)

// compileKind finds out what a rule is about, and checks that its other keys fit.
func compileKind(r *Rule, c Config) error {
	kinds := kindsOf(c)
	switch len(kinds) {
	case 0:
		return errors.New("is about nothing; it needs one of event, state, quorum, silent, loss and trouble")
	case 1:
		r.Kind = kinds[0]
	default:
		return at(kinds[1], fmt.Errorf(
			"found %s in one rule, allowed is one of them: write a rule for each", strings.Join(kinds, " and ")))
	}

	return checkKeys(r.Kind, c)
}

// kindsOf returns all that a rule is about; one is right.
func kindsOf(c Config) (kinds []string) {
	for _, k := range []struct {
		kind    string
		isGiven bool
	}{
		{schema.KindEvent, len(c.Event) > 0},
		{schema.KindState, len(c.State) > 0},
		{schema.KindQuorum, c.Quorum != 0},
		{schema.KindSilent, c.Silent != 0},
		{schema.KindLoss, c.Loss},
		{schema.KindTrouble, len(c.Trouble) > 0},
	} {
		if k.isGiven {
			kinds = append(kinds, k.kind)
		}
	}
	return kinds
}

// MaxCount is how many matches make one alert at most. They are all in its first
// notification, so one notification lists as many.
const MaxCount = 500

// compileMatch reads what must be true.
func compileMatch(r *Rule, c Config) error {
	r.expected = c.Expected
	r.oom = c.OOM
	r.Count = c.Count
	r.Within = time.Duration(c.Within)
	r.For = time.Duration(c.For)
	r.Quorum = c.Quorum
	r.Silent = time.Duration(c.Silent)

	var events, states, troubles error
	r.events, events = compileEvents(c.Event)
	r.states, states = compileStates(c.State)
	r.causes, troubles = compileCauses(c.Trouble)
	wrong := mistakes{}
	wrong.join(events)
	wrong.join(states)
	wrong.join(troubles)
	if events == nil && states == nil { // or what is missing may be what is wrong
		checkDeaths(r, &wrong)
	}
	checkNumbers(c, &wrong)

	if c.If != "" {
		var err error
		r.program, err = compileIf(c.If)
		wrong.wrap("if", err)
	}
	return wrong.err()
}

// compileCauses reads `trouble: true` or a list of causes.
func compileCauses(list List) (Globs, error) {
	if len(list) == 1 && list[0] == "true" {
		return nil, nil
	}
	var wrong mistakes
	for i, g := range list {
		key := element("trouble", list, i)
		if g == "true" || g == "false" {
			wrong.add(key, "found %s, allowed is true alone, or causes: [disk-full, nats-*]", g)
			continue
		}
		wrong.wrap(key, checkGlob(g))
	}
	return NewGlobs(list), wrong.err()
}
