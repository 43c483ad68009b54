package rules

import (
	"fmt"
	"slices"
	"time"

	"supernats/schema"
)

// Step notifies more receivers when nobody has acknowledged an alert for a time.
type Step struct {
	After  time.Duration
	Notify []string
}

// NotifyAfter names the receivers of an alert of which some steps have been taken; none is
// all of them.
func (r *Rule) NotifyAfter(steps int) []string {
	if len(r.Notify) == 0 || steps == 0 {
		return r.Notify
	}
	names := slices.Clone(r.Notify)
	for _, s := range r.Escalate[:min(steps, len(r.Escalate))] {
		names = append(names, s.Notify...)
	}
	return names
}

// compileEscalate checks the steps. Each is later than the one before, and is for receivers
// that would not be notified without it.
func compileEscalate(r *Rule, c Config) error {
	var wrong mistakes
	if len(c.Escalate) > 0 && len(c.Notify) == 0 {
		wrong.add("escalate", "found without notify, which means all receivers: "+
			"there is nobody else to notify; add notify: [RECEIVER] with those of the first notification")
	}

	before := schema.Duration(0)
	for i, step := range c.Escalate {
		at := fmt.Sprintf("escalate[%d]", i)
		switch {
		case step.After <= 0:
			wrong.add(at+".after", "is missing or 0s; allowed is a duration above zero")
		case step.After <= before:
			wrong.add(at+".after", "found %v, allowed is more than %v, which is that of the step before",
				step.After, before)
		}
		before = max(before, step.After)

		if len(step.Notify) == 0 {
			wrong.add(at+".notify", "is missing; name the receivers that are notified then")
		}
		for j, name := range step.Notify {
			if slices.Contains(r.NotifyAfter(i), name) || slices.Contains(step.Notify[:j], name) {
				wrong.add(fmt.Sprintf("%s.notify[%d]", at, j), "found %q, which is notified before that already", name)
			}
		}
		r.Escalate = append(r.Escalate, Step{After: time.Duration(step.After), Notify: step.Notify})
	}
	return wrong.err()
}
