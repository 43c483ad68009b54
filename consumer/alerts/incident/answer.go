package incident

import (
	"time"

	"supernats/consumer/alerts/answer"
	"supernats/consumer/alerts/backlog"
	"supernats/consumer/alerts/clock"
	"supernats/schema"
)

// Answers follows who takes care of incidents, and who is to be notified if nobody does. See
// package answer.
type Answers struct {
	// These belong to the Book.
	clock    *clock.Clock
	notifier *Notifier
}

// Acknowledge takes that somebody takes care of an incident. One that is not open is not
// changed. If nobody was notified of it yet, the first notification is made at once.
func (a *Answers) Acknowledge(inc *Incident, said *schema.Ack, at time.Time) {
	if !inc.Fires() {
		return
	}
	if !inc.held && (inc.rec.Notifications == 0 || inc.rec.Again) {
		a.notifier.reportFiring(inc, at)
	}

	ack, continues := answer.Of(&inc.rec, said, at)
	inc.rec.Acknowledged = ack
	inc.rec.UnansweredSince = nil
	a.notifier.reportAnswer(inc, at, func(n *schema.Notification) string {
		n.By, n.Reason, n.Until = ack.By, ack.Reason, ack.Until
		n.Quiet = n.Quiet || continues
		return schema.TypeAlertAcknowledged
	})
	a.notifier.schedule(inc)
}

// Unacknowledge takes that somebody who took care of an incident no longer does.
func (a *Answers) Unacknowledge(inc *Incident, said *schema.Ack, at time.Time) {
	a.end(inc, schema.UnackedByHand, said, at)
	a.notifier.schedule(inc)
}

// end ends an acknowledgement, if there is one, before its incident is over; said
// is by whom, if it did not end by itself.
func (a *Answers) end(inc *Incident, cause string, said *schema.Ack, at time.Time) {
	ack := inc.rec.Acknowledged
	if !inc.rec.IsAcknowledged() {
		return
	}

	inc.rec.Acknowledged = nil
	inc.rec.Updates = 0 // what comes now is news again
	if inc.rec.Notifications > 0 {
		inc.rec.UnansweredSince = &schema.Time{Time: at}
	}
	isNews := answer.IsFollowedByNews(cause)
	if isNews && inc.rec.Notifications > 0 { // for those who have relied on somebody it fires once more
		inc.rec.Again = true
		inc.due = at.Add(inc.rule.GroupWait)
	}
	a.notifier.reportAnswer(inc, at, func(n *schema.Notification) string {
		n.Cause, n.Acknowledged = cause, ack
		n.Quiet = n.Quiet || isNews
		if said != nil {
			n.By, n.Reason = said.By, said.Reason
		}
		return schema.TypeAlertUnacknowledged
	})
}

// endIfWorse ends the acknowledgement of an incident whose rule has become more severe
// than it was, and reports that.
func (a *Answers) endIfWorse(inc *Incident, was string) {
	if !inc.rec.IsAcknowledged() || !answer.IsWorse(inc.rule.Severity, was) {
		return
	}
	a.end(inc, schema.UnackedBySeverity, nil, clock.Later(a.clock.Now(), inc.rec.Clock.Time))
}

// reportAnswer makes the notification that somebody takes care of an incident, or no longer
// does, unless nobody has heard of it yet. fill adds what it says, and returns its type.
func (n *Notifier) reportAnswer(inc *Incident, at time.Time, fill func(*schema.Notification) string) {
	n.journal.MarkChanged(inc, at)
	if inc.rec.Notifications == 0 {
		return
	}

	inc.rec.Answers++
	note := backlog.NotificationOf(&inc.rec, "", nil, at)
	n.describeProcess(inc, note.Alert, at)
	note.Alert.Quiet = n.verdict(inc, at).Held()
	note.Type = fill(note.Alert)
	n.backlog.Put(note)
}

// escalatesAt returns when more people are to be notified; zero if they are not. Nothing
// escalates while everything is well again.
func (inc *Incident) escalatesAt() time.Time {
	isWell := inc.IsHeard() || inc.members.Len() > 0 && inc.members.Ill() == 0
	if inc.held || isWell {
		return time.Time{}
	}
	return answer.EscalatesAt(&inc.rec, inc.rule)
}

// escalate notifies more people, unless something holds that back: the time begins again
// then, when it no longer does.
func (a *Answers) escalate(inc *Incident, at time.Time) {
	n := a.notifier
	if v := n.verdict(inc, at); v.Held() {
		n.holdBack(inc, v, at)
		return
	}

	rec := &inc.rec
	step := inc.rule.Escalate[rec.Escalation]
	rec.Escalation++
	rec.Notify = inc.rule.NotifyAfter(rec.Escalation)
	var events []schema.AlertEvent
	if rec.Last != nil {
		events = append(events, *rec.Last)
	}
	n.renderTexts(inc, events, at)
	rec.Notifications++

	note := backlog.NotificationOf(rec, schema.TypeAlertFiring, events, at)
	note.Alert.Notify = step.Notify
	note.Alert.Escalation = rec.Escalation
	n.describeProcess(inc, note.Alert, at)
	n.journal.MarkChanged(inc, at)
	n.counts[inc.rule.Index].Notified++
	n.backlog.Put(note)
}
