package backlog

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"supernats/consumer/rules"
	"supernats/schema"
)

// Notification is one to be published.
type Notification struct {
	// ID is the same whenever the same messages are read. Type is one of schema's
	// TypeAlert… constants.
	ID, Type string
	// At is when it was made, in the stream's time, and Seq the sequence of the last event
	// that matched, 0 if no event did.
	At    time.Time
	Seq   uint64
	Alert *schema.Notification
}

// NotificationOf is a notification of what a record says.
func NotificationOf(rec *schema.Alert, typ string, events []schema.AlertEvent, at time.Time) Notification {
	var seq uint64
	if rec.Last != nil {
		seq = rec.Last.Seq
	}
	if events == nil {
		events = []schema.AlertEvent{}
	}

	number := rec.Notifications + rec.Answers
	return Notification{
		ID: rec.Incident + "/" + strconv.Itoa(number), Type: typ, At: at, Seq: seq,
		Alert: &schema.Notification{
			Incident: rec.Incident, Rule: rec.Rule, Kind: rec.Kind, Severity: rec.Severity,
			Host: rec.Host, Group: rules.Uncrowded(rec.Group), Process: rules.Uncrowded(rec.Process),
			Opened: rec.Opened, Closed: rec.Closed, Count: rec.Count, Events: events,
			Acknowledged: rec.Acknowledged, Labels: maps.Clone(rec.Labels),
			Annotations: maps.Clone(rec.Annotations), Notify: slices.Clone(rec.Notify),
		},
	}
}

// WithReason adds a reason to annotations, unless the rule has one of its own.
func WithReason(annotations map[string]string, why string) map[string]string {
	if why == "" || annotations[schema.AnnotationReason] != "" {
		return annotations
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[schema.AnnotationReason] = why
	return annotations
}
