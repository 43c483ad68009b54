package wording

import (
	"strconv"
	"time"

	"supernats/schema"
)

// IsAnswer reports whether a notification only says that somebody takes care of an alert, or
// no longer does.
func IsAnswer(n *schema.CloudEvent[*schema.Notification]) bool {
	return n.Type == schema.TypeAlertAcknowledged || n.Type == schema.TypeAlertUnacknowledged
}

// AnswerText says what such a notification says: "acknowledged by ann: rolling back, until
// 2026-11-21 19:00:00 UTC". It is "" for any other. moment writes a time.
func AnswerText(n *schema.CloudEvent[*schema.Notification], moment func(time.Time) string) string {
	a := n.Data
	switch n.Type {
	case schema.TypeAlertAcknowledged:
		return "acknowledged " + ByWhom(&schema.Acknowledgement{By: a.By, Reason: a.Reason, Until: a.Until}, moment)
	case schema.TypeAlertUnacknowledged:
		return "no longer acknowledged" + whyUnacknowledged(a)
	}
	return ""
}

// whyUnacknowledged says why an acknowledgement ended.
func whyUnacknowledged(a *schema.Notification) string {
	by, had := Clip(a.By, MaxName), ""
	if a.Acknowledged != nil {
		had = Clip(a.Acknowledged.By, MaxName)
	}
	switch a.Cause {
	case schema.UnackedByHand:
		s := ": withdrawn by " + by
		if had != "" && had != by {
			s += " (" + had + " had it)"
		}
		return Join(", ", s, Clip(a.Reason, MaxText))
	case schema.UnackedByTime:
		if had == "" {
			return ": it has expired"
		}
		return ": " + had + "'s acknowledgement has expired"
	case schema.UnackedByProcess:
		return ": another process has joined"
	case schema.UnackedBySeverity:
		return ": its severity has risen"
	case schema.UnackedByReturn:
		return ": it had recovered, and has come back"
	}
	return ""
}

// Acknowledged says who takes care of an alert, or did until it closed: "by ann: rolling
// back, until …". It is "" where nobody does, and of an IsAnswer.
func Acknowledged(n *schema.CloudEvent[*schema.Notification], moment func(time.Time) string) string {
	ack := n.Data.Acknowledged
	if ack == nil || IsAnswer(n) {
		return ""
	}
	shown := *ack
	if n.Type == schema.TypeAlertResolved {
		shown.Until = nil // it is over
	}
	return ByWhom(&shown, moment)
}

// ByWhom is "by ann: rolling back, until …".
func ByWhom(ack *schema.Acknowledgement, moment func(time.Time) string) string {
	until := ""
	if ack.Until != nil {
		until = "until " + moment(ack.Until.UTC())
	}
	who := "by " + Clip(ack.By, MaxName)
	return Join(", ", Join(": ", who, Clip(ack.Reason, MaxText)), until)
}

// Escalated says that a notification is for more people, because nobody has acknowledged the
// alert: "escalation 1, nobody has acknowledged it". It is "" of any other.
func Escalated(a *schema.Notification) string {
	if a.Escalation == 0 {
		return ""
	}
	return "escalation " + strconv.Itoa(a.Escalation) + ", nobody has acknowledged it"
}
