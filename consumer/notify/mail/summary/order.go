package summary

import (
	"cmp"
	"slices"
	"strings"

	"supernats/schema"
)

// severities are in the order of their weight. Another word has unknownWeight, after the
// first: somebody found it worth a word.
var severities = map[string]int{"critical": 0, "error": 2, "warning": 3, "info": 4}

const (
	unknownWeight = 1
	// answeredWeight is added for what somebody takes care of.
	answeredWeight = 50
	// resolvedWeight is added for what is over: it comes last.
	resolvedWeight = 100
)

// Weight is how bad a severity is, the worst 0.
func Weight(severity string) int {
	if w, ok := severities[strings.ToLower(severity)]; ok {
		return w
	}
	return unknownWeight
}

// ByWeight are the indexes of a batch, the worst first: what is over comes last.
func ByWeight(batch []*Notification) []int {
	order, weights := make([]int, len(batch)), make([]int, len(batch))
	for i, n := range batch {
		order[i], weights[i] = i, Weight(n.Data.Severity)
		switch n.Type {
		case schema.TypeAlertResolved:
			weights[i] += resolvedWeight
		case schema.TypeAlertAcknowledged:
			weights[i] += answeredWeight
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(weights[a], weights[b]) })
	return order
}

// Worst is the severity of the worst alert that is not over, or else of any.
func Worst(batch []*Notification) string { return batch[ByWeight(batch)[0]].Data.Severity }

// IsOneIncident reports whether all of a batch is about one incident.
func IsOneIncident(batch []*Notification) bool {
	return !slices.ContainsFunc(batch, func(n *Notification) bool {
		return n.Data.Incident != batch[0].Data.Incident
	})
}

// lateWord is LATE if there are events and all of them are late.
func lateWord(batch []*Notification) string {
	word := ""
	for _, n := range batch {
		for i := range n.Data.Events {
			if word = "LATE"; !n.Data.Events[i].Late {
				return ""
			}
		}
	}
	return word
}
