package rules

import (
	"errors"
	"fmt"
	"slices"
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

	const (
		event   = schema.KindEvent
		state   = schema.KindState
		quorum  = schema.KindQuorum
		loss    = schema.KindLoss
		trouble = schema.KindTrouble
	)
	var wrong mistakes
	for _, k := range []struct {
		key     string
		isGiven bool
		of      []string
	}{
		{"expected", c.Expected != nil, []string{event, state}},
		{"oom", c.OOM != nil, []string{event}},
		{"if", c.If != "", []string{event}},
		{"count", c.Count != 0, []string{event}},
		{"within", c.Within != 0, []string{event}},
		{"for", c.For != 0, []string{state, quorum, trouble}},
		{"groups", len(c.Groups) > 0, []string{event, state, quorum}},
		{"processes", len(c.Processes) > 0, []string{event, state, quorum}},
		{"resolve_after", c.ResolveAfter != nil, []string{event, state, quorum, loss, trouble}},
	} {
		if k.isGiven && !slices.Contains(k.of, r.Kind) {
			const allowed = "found in a rule of kind %s, allowed in rules of kind %s"
			wrong.add(k.key, allowed, r.Kind, strings.Join(k.of, " and "))
		}
	}
	return wrong.err()
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

// checkDeaths checks that a rule that asks how a process died is about its death.
func checkDeaths(r *Rule, wrong *mistakes) {
	isExit := func(e eventName) bool { return e.match(schema.ProcessStateExited) }
	canExpect := r.Kind == schema.KindEvent || r.Kind == schema.KindState
	knowsExits := slices.ContainsFunc(r.events, isExit) || slices.Contains(r.states, schema.StateExited)
	if r.expected != nil && canExpect && !knowsExits {
		wrong.add("expected",
			"only an exit is expected or not; it needs PROCESS_STATE_EXITED in event or EXITED in state")
	}
	if r.oom != nil && r.Kind == schema.KindEvent && !slices.ContainsFunc(r.events, eventName.isDeath) {
		wrong.add("oom", "memory runs out where a process dies; it needs "+
			"PROCESS_STATE_EXITED, PROCESS_STATE_BACKOFF or PROCESS_STATE_FATAL in event")
	}
}

// checkNumbers checks how often and for how long something must be true.
func checkNumbers(c Config, wrong *mistakes) {
	const both = "it needs both: count: 5, within: 10m"
	if c.Count < 0 || c.Count > MaxCount {
		wrong.add("count", "found %d, allowed are 1 to %d", c.Count, MaxCount)
	}
	if c.Count != 0 && c.Within == 0 {
		wrong.add("count", "found without within; %s", both)
	}
	if c.Within < 0 {
		wrong.add("within", "found %v, allowed is a duration above zero", c.Within)
	}
	if c.Within != 0 && c.Count == 0 {
		wrong.add("within", "found without count; %s", both)
	}

	if c.For < 0 {
		wrong.add("for", "found %v, allowed is a duration", c.For)
	}
	if c.Quorum < 0 {
		wrong.add("quorum", "found %d, allowed is how many processes must be RUNNING, 1 or more", c.Quorum)
	}
	if c.Silent < 0 {
		wrong.add("silent", "found %v, allowed is a duration above zero", c.Silent)
	}
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
