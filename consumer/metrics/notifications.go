package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"supernats/consumer/notify"
)

// Results of a try to notify.
const (
	resultDelivered = "delivered"
	resultFailed    = "failed"
)

// notifications count what becomes of them.
type notifications struct {
	all, failed *prometheus.CounterVec
	// receivers are those of the configuration in force. They belong to SetReceivers, which
	// one goroutine at a time calls.
	receivers []string
}

func newNotifications(with promauto.Factory) notifications {
	return notifications{
		all: with.NewCounterVec(prometheus.CounterOpts{
			Name: "supernats_notifications_total",
			Help: "Notifications that were handed to a receiver, by result. " +
				"One that failed is tried again, and counts again.",
		}, []string{"receiver", "result"}),
		failed: with.NewCounterVec(prometheus.CounterOpts{
			Name: "supernats_notifications_failed_total",
			Help: "Notifications that a receiver did not take, by reason.",
		}, []string{"receiver", "reason"}),
	}
}

// SetReceivers makes the series of the receivers of a configuration, at 0 if they are new,
// and drops those of others: a counter that appears with its first value hides that one from
// increase(). A delivery that is still ending may bring one of them back, at what it counts.
func (m *Metrics) SetReceivers(names []string) {
	n := &m.notifications
	for _, name := range n.receivers {
		if !slices.Contains(names, name) {
			n.all.DeletePartialMatch(prometheus.Labels{"receiver": name})
			n.failed.DeletePartialMatch(prometheus.Labels{"receiver": name})
		}
	}
	n.receivers = names

	for _, name := range names {
		m.notifications.all.WithLabelValues(name, resultDelivered)
		m.notifications.all.WithLabelValues(name, resultFailed)
		for _, reason := range notify.Reasons() {
			m.notifications.failed.WithLabelValues(name, reason)
		}
	}
}

// CountNotifications counts what a receiver has taken at one try, and what it has not.
func (m *Metrics) CountNotifications(receiver string, taken, left int, failure error) {
	m.notifications.all.WithLabelValues(receiver, resultDelivered).Add(float64(taken))
	if failure == nil {
		return
	}
	m.notifications.all.WithLabelValues(receiver, resultFailed).Add(float64(left))
	m.notifications.failed.WithLabelValues(receiver, notify.ReasonOf(failure)).Add(float64(left))
}
