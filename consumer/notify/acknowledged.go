package notify

import (
	"strconv"
	"time"

	"supernats/consumer/wording"
	"supernats/schema"
)

// IsAnswer reports whether a notification only says that somebody takes care of an alert, or
// no longer does.
func IsAnswer(n *Notification) bool {
	return n.Type == schema.TypeAlertAcknowledged || n.Type == schema.TypeAlertUnacknowledged
}

// AnswerText says what such a notification says: "acknowledged by ann: rolling back, until
// 2026-11-21 19:00:00 UTC". It is "" for any other. moment writes a time.
func AnswerText(n *Notification, moment func(time.Time) string) string {
	a := n.Data
	switch n.Type {
	case schema.TypeAlertAcknowledged:
		return "acknowledged" + byWhom(&schema.Acknowledgement{By: a.By, Reason: a.Reason, Until: a.Until}, moment)
	case schema.TypeAlertUnacknowledged:
		return "no longer acknowledged" + whyUnacknowledged(a)
	}
	return ""
}

// whyUnacknowledged says why an acknowledgement ended.
func whyUnacknowledged(a *schema.Notification) string {
	of := ""
	if a.Acknowledged != nil {
		of = " of " + wording.Clip(a.Acknowledged.By, wording.MaxName)
	}
	switch a.Cause {
	case schema.UnackedByHand:
		s := ": " + wording.Clip(a.By, wording.MaxName) + " has withdrawn that" + of
		return wording.Join(", ", s, wording.Clip(a.Reason, wording.MaxText))
	case schema.UnackedByTime:
		return ": the time" + of + " is over"
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
func Acknowledged(n *Notification, moment func(time.Time) string) string {
	ack := n.Data.Acknowledged
	if ack == nil || IsAnswer(n) {
		return ""
	}
	shown := *ack
	if n.Type == schema.TypeAlertResolved {
		shown.Until = nil // it is over
	}
	return byWhom(&shown, moment)[1:]
}

// byWhom is " by ann: rolling back, until …".
func byWhom(ack *schema.Acknowledgement, moment func(time.Time) string) string {
	until := ""
	if ack.Until != nil {
		until = "until " + moment(ack.Until.UTC())
	}
	who := " by " + wording.Clip(ack.By, wording.MaxName)
	return wording.Join(", ", wording.Join(": ", who, wording.Clip(ack.Reason, wording.MaxText)), until)
}

// Escalated says that a notification is for more people, because nobody has acknowledged the
// alert: "escalation 1, nobody has acknowledged it". It is "" of any other.
func Escalated(a *schema.Notification) string {
	if a.Escalation == 0 {
		return ""
	}
	return "escalation " + strconv.Itoa(a.Escalation) + ", nobody has acknowledged it"
}

func momentOf(t time.Time) string { return t.Format(momentFormat) }
