package alerts

import (
	"supernats/schema"
)

// Stats counts what happened since the engine was made.
type Stats struct{ Rules []RuleStats }

// RuleStats are those of one rule.
type RuleStats struct {
	Rule string
	// Matched events, states and silences, and Notified, the notifications made.
	Matched, Notified uint64
	// Muted events were never told because of a silence; Inhibited says how often
	// a notification was held back by another rule; TooOld matched, but are
	// history; Errors are expressions that failed, which is no match.
	Muted, Inhibited, TooOld, Errors uint64
	// Alerts by phase, now.
	Pending, Firing, Resolved int
}

// Stats returns the counters, in the order of the rules.
func (g *Engine) Stats() Stats {
	all := append([]RuleStats(nil), g.stats...)
	for k, inc := range g.incidents {
		switch inc.rec.Phase {
		case schema.PhasePending:
			all[k.Rule].Pending++
		case schema.PhaseFiring:
			all[k.Rule].Firing++
		default:
			all[k.Rule].Resolved++
		}
	}
	return Stats{all}
}
