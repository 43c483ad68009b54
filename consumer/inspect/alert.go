package inspect

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"supernats/consumer"
	"supernats/consumer/history"
	"supernats/schema"
	"supernats/schema/stream"
)

// Kinds of records about alerts.
const (
	KindAlert        = "alert"
	KindNotification = "notification"
	KindParked       = "parked"
)

// Alert is the record of an alert, with who knows of it.
type Alert struct {
	Kind string `json:"kind"`
	schema.Alert
	// Mutes are the ids of the silences in force that it matches.
	Mutes []string `json:"mutes,omitempty"`
	// Taken says that a receiver has taken the last notification, Receivers what became
	// of it at each that it is for. Deliveries.Complete sets both, and Reach.
	Taken     bool       `json:"told"`
	Receivers []Delivery `json:"receivers"`
	Reach     Reach      `json:"-"`
}

// Notification is a CloudEvent with one attribute more.
type Notification struct {
	Kind string `json:"kind"`
	schema.CloudEvent[*schema.Notification]
}

// AlertFilter chooses alerts and notifications.
type AlertFilter struct {
	// Events has globs for hosts, groups and processes, and names of events.
	Events consumer.Filter
	Rules  []string
	// Period is when notifications were made or parked.
	Period history.Period
}

func (f *AlertFilter) matches(rule, host, group, process string) bool {
	return schema.MatchAny(f.Rules, rule) && schema.MatchAny(f.Events.Hosts, host) &&
		schema.MatchAny(f.Events.Groups, group) && schema.MatchAny(f.Events.Processes, process)
}

// hasEvent reports whether one of the events has a name that the filter passes.
func (f *AlertFilter) hasEvent(list ...schema.AlertEvent) bool {
	return len(f.Events.Events) == 0 || slices.ContainsFunc(list, func(e schema.AlertEvent) bool {
		return consumer.Filter{Events: f.Events.Events}.Match(&schema.Event{Event: e.Event})
	})
}

// Alerts returns the alerts that a filter passes: open ones first, then the youngest.
func (r *Reader) Alerts(ctx context.Context, f *AlertFilter) ([]Alert, error) {
	records, err := r.AlertRecords(ctx)
	if err != nil {
		return nil, err
	}
	mutes, err := r.Mutes(ctx)
	if err != nil {
		return nil, err
	}

	var list []Alert
	for _, record := range records {
		var last []schema.AlertEvent
		if record.Last != nil {
			last = append(last, *record.Last)
		}
		if !f.matches(record.Rule, record.Host, record.Group, record.Process) || !f.hasEvent(last...) {
			continue
		}

		list = append(list, Alert{
			Kind: KindAlert, Alert: record, Mutes: matching(mutes, &record), Receivers: []Delivery{},
		})
	}

	phases := []string{schema.PhaseFiring, schema.PhasePending, schema.PhaseResolved}
	slices.SortFunc(list, func(a, b Alert) int {
		return cmp.Or(
			cmp.Compare(slices.Index(phases, a.Phase), slices.Index(phases, b.Phase)),
			b.Opened.Compare(a.Opened.Time), strings.Compare(a.Incident, b.Incident))
	})
	return list, nil
}

// AlertRecords returns the records of all alerts, in no order.
func (r *Reader) AlertRecords(ctx context.Context) ([]schema.Alert, error) {
	return readBucket(ctx, r, stream.AlertsBucket, func(a *schema.Alert) string {
		return schema.AlertKey(a.Rule, a.Host, a.Group, a.Process)
	})
}

// Notifications returns those of the stream that a filter passes, oldest first.
func (r *Reader) Notifications(ctx context.Context, f *AlertFilter) ([]Notification, error) {
	var list []Notification
	err := r.History().Scan(ctx, stream.Alerts, history.Position{Time: f.Period.Since}, func(m *history.Message) error {
		n, err := schema.Unmarshal[*schema.Notification](m.Data)
		if err == nil && n.Data == nil {
			err = errors.New("has no data")
		}
		if err != nil {
			r.warn("message on %q: %v", m.Subject, err)
			return nil
		}

		a := n.Data
		if f.matches(a.Rule, a.Host, a.Group, a.Process) && f.hasEvent(a.Events...) && f.Period.Contains(n.Time) {
			list = append(list, Notification{KindNotification, *n})
		}
		return nil
	})
	return list, err
}
