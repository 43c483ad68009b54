package alerts

import (
	"supernats/consumer/alerts/incident"
	"supernats/schema"
)

// RuleStats are the counters of one rule, and its alerts by phase.
type RuleStats struct {
	Rule string
	incident.Counts
	Pending, Firing, Resolved int
}

// Stats returns the counters, in the order of the rules.
func (g *Engine) Stats() []RuleStats {
	all := make([]RuleStats, len(g.set.Rules))
	for i, r := range g.set.Rules {
		all[i] = RuleStats{Rule: r.Name, Counts: g.book.Counts[i]}
	}
	for _, c := range g.Records() {
		s := &all[g.set.Rule(c.Record.Rule).Index]
		switch c.Record.Phase {
		case schema.PhasePending:
			s.Pending++
		case schema.PhaseFiring:
			s.Firing++
		default:
			s.Resolved++
		}
	}
	return all
}
