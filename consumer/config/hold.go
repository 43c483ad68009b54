package config

import (
	"fmt"
	"slices"
	"time"

	"supernats/schema"
)

// holdMargin is how much longer than the longest repeat_interval an alert fires in
// Alertmanager, if the file does not say: a repetition may be late by that.
const holdMargin = schema.Duration(time.Hour)

// longestRepeat returns the longest time between two notifications of an open alert to a
// receiver, and the rule that has it, "" if it is that of all rules.
func (c *Config) longestRepeat(receiver string) (longest schema.Duration, rule string) {
	for _, r := range c.rulesInForce() {
		isFor := len(r.Notify) == 0 || slices.Contains(r.Notify, receiver)
		for _, step := range r.Escalate {
			isFor = isFor || slices.Contains(step.Notify, receiver)
		}
		if !isFor {
			continue
		}

		repeat, name := c.RepeatInterval, ""
		if r.RepeatInterval != nil {
			repeat, name = *r.RepeatInterval, r.Name
		}
		if repeat > longest {
			longest, rule = repeat, name
		}
	}
	return longest, rule
}

// fitHolds makes the hold of every alertmanager that has none of its own long
// enough; written reports whether a key is in the file.
func (c *Config) fitHolds(written func(key string) bool) {
	for i, r := range c.Receivers {
		if r.Alertmanager == nil || written(fmt.Sprintf("receivers[%d].alertmanager.hold", i)) {
			continue
		}
		longest, _ := c.longestRepeat(r.Name)
		r.Alertmanager.Hold = max(r.Alertmanager.Hold, longest+holdMargin)
	}
}

// checkHolds reports alerts that would look resolved in Alertmanager while they are
// open.
func (p *problems) checkHolds(c *Config) {
	for i, r := range c.Receivers {
		if r.Alertmanager == nil {
			continue
		}
		longest, rule := c.longestRepeat(r.Name)
		hold := r.Alertmanager.Hold
		if hold <= 0 || hold > longest {
			continue
		}

		whose := "repeat_interval"
		if rule != "" {
			whose = fmt.Sprintf("repeat_interval of rule %q", rule)
		}
		p.add(fmt.Sprintf("receivers[%d].alertmanager.hold", i),
			"invalid value %s: want more than the %s, %s, or no hold at all (then it is an hour more): "+
				"an open alert would look resolved in Alertmanager after %s",
			hold, whose, longest, hold)
	}
}
