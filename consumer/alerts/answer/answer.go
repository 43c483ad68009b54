// Package answer is whether somebody takes care of an alert, and whom to notify if nobody
// does. It keeps nothing: all of it stands in the record of the alert.
//
//	             first notification            after of a step
//	nobody knows ──────────────────▶ unanswered ──────────────▶ unanswered, and more know
//	                                   │    ▲
//	                      acknowledged ▼    │ withdrawn, expired, got worse
//	                                 acknowledged ──closed──▶ over
//
// While an alert is acknowledged its updates and repetitions are quiet: they are recorded,
// and people are not notified. The time until the next step of escalate begins again with
// each way back to unanswered; each step is taken once.
package answer

import (
	"slices"
	"time"

	"supernats/consumer/rules"
	"supernats/schema"
)

// Of returns the acknowledgement that a message asks for; at is when it was stored. One by
// the same person for the same reason continues the one before.
func Of(rec *schema.Alert, a *schema.Ack, at time.Time) (ack *schema.Acknowledgement, continues bool) {
	ack = &schema.Acknowledgement{By: a.By, Reason: a.Reason, Since: schema.Time{Time: at}}
	if a.For > 0 {
		ack.Until = &schema.Time{Time: schema.Instant(at.Add(time.Duration(a.For)))}
	}
	before := rec.Acknowledged
	if rec.IsAcknowledged() && before.By == ack.By && before.Reason == ack.Reason {
		ack.Since = before.Since
		continues = true
	}
	return ack, continues
}

// EndsAt returns when the acknowledgement ends by itself; zero if it does not.
func EndsAt(rec *schema.Alert) time.Time {
	if !rec.IsAcknowledged() || rec.Acknowledged.Until == nil {
		return time.Time{}
	}
	return rec.Acknowledged.Until.Time
}

// EscalatesAt returns when the next step is due; zero if none is.
func EscalatesAt(rec *schema.Alert, rule *rules.Rule) time.Time {
	if rec.Phase != schema.PhaseFiring || rec.UnansweredSince == nil || rec.Escalation >= len(rule.Escalate) {
		return time.Time{}
	}
	return rec.UnansweredSince.Add(rule.Escalate[rec.Escalation].After)
}

// IsQuiet reports whether a notification of a type is not for people. Whoever acknowledges
// an alert of which nobody was notified yet does not keep it from the others.
func IsQuiet(rec *schema.Alert, typ string) bool {
	return rec.Acknowledged != nil && typ == schema.TypeAlertUpdate
}

// Count counts a notification that is about to be noted in a record, and keeps when people
// heard of it last while they do not.
func Count(rec *schema.Alert, quiet bool) {
	if !quiet {
		rec.Heard = nil
		return
	}
	rec.Quiet++
	if rec.Heard == nil {
		rec.Heard = rec.Notified
	}
}

// IsFollowedByNews reports whether a notification follows an acknowledgement that ended for
// a reason: then nobody needs to be notified of the end itself.
func IsFollowedByNews(cause string) bool {
	return cause == schema.UnackedByProcess || cause == schema.UnackedBySeverity || cause == schema.UnackedByReturn
}

// severities are the words that have an order, the least first. Any other word is like a
// warning.
var severities = []string{"info", "warning", "error", "critical"}

// IsWorse reports whether a severity is above another one.
func IsWorse(severity, than string) bool { return rank(severity) > rank(than) }

func rank(severity string) int {
	if i := slices.Index(severities, severity); i >= 0 {
		return i
	}
	return slices.Index(severities, "warning")
}
