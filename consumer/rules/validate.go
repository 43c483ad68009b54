package rules

import (
	"slices"
	"strings"
	"time"

	"supernats/schema"
)

// checkKeys checks that every key that is given is one for rules of this kind. A new key of
// a rule needs a line here, unless all kinds have it.
func checkKeys(kind string, c Config) error {
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
		if k.isGiven && !slices.Contains(k.of, kind) {
			const allowed = "found in a rule of kind %s, allowed in rules of kind %s"
			wrong.add(k.key, allowed, kind, strings.Join(k.of, " and "))
		}
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

// compileTimes takes a rule's own settings, or the shared ones.
func compileTimes(r *Rule, c Config, o Options) error {
	// Why two of them must not be zero.
	const (
		alone   = "every event would be reported by itself"
		endless = "an open alert would be repeated without end"
	)
	var wrong mistakes
	for _, d := range []struct {
		key    string
		own    *schema.Duration
		shared time.Duration
		to     *time.Duration
		why    string
	}{
		{"group_wait", c.GroupWait, o.GroupWait, &r.GroupWait, ""},
		{"group_interval", c.GroupInterval, o.GroupInterval, &r.GroupInterval, alone},
		{"repeat_interval", c.RepeatInterval, o.RepeatInterval, &r.RepeatInterval, endless},
		{"resolve_after", c.ResolveAfter, o.ResolveAfter, &r.ResolveAfter, ""},
	} {
		*d.to = d.shared
		if d.own != nil {
			*d.to = time.Duration(*d.own)
		}

		if *d.to < 0 {
			wrong.add(d.key, "found %v, allowed is a duration that is not negative", schema.Duration(*d.to))
		}
		if d.own != nil && *d.own == 0 && d.why != "" {
			wrong.add(d.key, "found 0s, allowed is a duration above zero: %s", d.why)
		}
	}

	r.SendResolved = o.SendResolved
	if c.SendResolved != nil {
		r.SendResolved = *c.SendResolved
	}
	return wrong.err()
}
