package app

import (
	"net/http"
	"slices"

	"supernats/consumer/config"
	"supernats/consumer/metrics"
	"supernats/consumer/web/site"
)

// newMetrics returns what Prometheus sees of this daemon.
func (a *App) newMetrics() *metrics.Metrics {
	return metrics.New(metrics.Config{
		Snapshot: a.fleet.Snapshot,
		Active:   a.isActive.Load,
		Rules: func() (list []metrics.Rule) {
			for _, r := range a.plan.Load().set.Rules {
				list = append(list, metrics.Rule{Name: r.Name, Severity: r.Severity})
			}
			return list
		},
		NodeExporter: func() bool { return slices.Contains(a.plan.Load().cfg.Compat, config.CompatNodeExporter) },
		Pings: func() map[string]map[string]uint64 {
			pings := map[string]map[string]uint64{}
			for _, w := range a.watchdogs {
				pings[w.Name()] = w.Counts()
			}
			return pings
		},
		IsLocal: func(r *http.Request) bool { return site.VisitorOf(r).Local },
		Log:     a.log,
	})
}

// usePlan puts a plan in force, for all that looks at it while it works.
func (a *App) usePlan(p *plan) {
	a.metrics.SetReceivers(p.receiverNames())
	a.plan.Store(p)
}

// receiverNames returns the names of the receivers of a plan.
func (p *plan) receiverNames() (names []string) {
	for _, r := range p.receivers {
		names = append(names, r.Name())
	}
	return names
}
