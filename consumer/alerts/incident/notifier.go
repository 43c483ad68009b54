package incident

import (
	"time"

	"supernats/consumer/alerts/answer"
	"supernats/consumer/alerts/backlog"
	"supernats/consumer/alerts/clock"
	"supernats/consumer/alerts/ending"
	"supernats/consumer/alerts/gate"
	"supernats/consumer/alerts/journal"
	"supernats/consumer/alerts/member"
	"supernats/consumer/alerts/recur"
	"supernats/consumer/crashes"
	"supernats/consumer/rules"
	"supernats/schema"
)

// Notifier decides whether and when an incident is reported: now, later, or never. How many
// notifications there are is decided here alone: a new bound for it belongs into reportNews,
// what holds one back whatever their number into package gate. What it points to belongs to
// its Book.
type Notifier struct {
	clock   *clock.Clock
	gate    *gate.Gate
	counts  []Counts
	limits  *limits
	journal *journal.Journal[*Incident]
	roster  *member.Roster
	hosts   Hosts

	backlog backlog.Backlog
	// held are the incidents by host that something holds back.
	held map[string]map[*Incident]struct{}
}

// Take returns the notifications since the last call, in their order.
func (n *Notifier) Take() []backlog.Notification { return n.backlog.Notifications() }

// giveUp gives up what an incident has to report.
func (n *Notifier) giveUp(inc *Incident) {
	n.stopHolding(inc)
	n.backlog.Drop(&inc.unsent, len(inc.unsent.Events))
}

// reportNews makes the next notification due when something has matched, and makes it if
// that is now.
func (n *Notifier) reportNews(inc *Incident, at time.Time) {
	if inc.rec.Notified != nil && !inc.rec.Again {
		due := inc.rec.Notified.Add(recur.UpdateAfter(&inc.rec, inc.rule))
		if quiet := at.Add(recur.QuietAfter(&inc.rec, inc.rule)); quiet.Before(due) {
			due = quiet
		}
		inc.due = clock.Later(due, at)
	}

	waiting := len(inc.unsent.Events)
	switch {
	case inc.held && waiting < n.limits.mostKept(inc):
	case inc.held, n.isFull(inc, at), !inc.due.After(at):
		n.reportFiring(inc, at)
	}
}

// isFull reports whether no more events of an incident may wait. What one process does can
// wait all the same: see package recur.
func (n *Notifier) isFull(inc *Incident, at time.Time) bool {
	if len(inc.unsent.Events) >= n.limits.mostListed(inc) {
		if inc.isAboutMany() || inc.rec.Notifications == 0 || n.verdict(inc, at).Held() {
			return true
		}
	}

	// Nor may they where all incidents together hold back too much: then each is reported
	// every group_interval, for as long as that lasts.
	return n.backlog.Full() && inc.rec.Notified != nil && !inc.rec.Notified.Add(inc.rule.GroupInterval).After(at)
}

func (n *Notifier) verdict(inc *Incident, at time.Time) gate.Verdict {
	return n.gate.Verdict(inc.rule, inc.key, at)
}

// reportFiring makes the notifications of a firing incident, unless something holds them
// back.
func (n *Notifier) reportFiring(inc *Incident, at time.Time) {
	v := n.verdict(inc, at)
	if v.Held() && (v.InhibitedBy == "" || len(inc.unsent.Events) < n.limits.mostKept(inc)) {
		n.holdBack(inc, v, at)
		return
	}

	if inc.held { // until now nobody could answer
		inc.rec.UnansweredSince = nil
	}
	n.stopHolding(inc)
	if inc.rec.Notifications > 0 && inc.rec.Count > inc.rec.Reported {
		inc.rec.Updates++
	}
	for first := true; first || len(inc.unsent.Events) > 0; first = false {
		n.notify(inc, false, at)
	}

	inc.due = time.Time{}
	if inc.rule.RepeatInterval > 0 && !inc.rec.Once {
		inc.due = at.Add(inc.rule.RepeatInterval)
	}
}

// reportEnd reports that an incident has closed, as far as anybody is to know.
func (n *Notifier) reportEnd(inc *Incident, at time.Time) {
	news := len(inc.unsent.Events)
	v := n.verdict(inc, at)
	silent := news == 0 && (inc.rec.Notifications == 0 || !inc.rule.SendResolved)
	switch {
	case silent && (!v.Old || inc.rec.Count == 0):
	case v.InhibitedBy != "":
		n.holdBack(inc, v, at)
		return
	case v.MutedBy != "":
		n.counts[inc.rule.Index].Muted += uint64(news)
		inc.rec.Muted = max(inc.rec.Muted, news)
		inc.rec.MutedBy = v.MutedBy
		n.backlog.Drop(&inc.unsent, news)
		n.leaveNothingDue(inc, at)
		return
	case v.Old:
		n.counts[inc.rule.Index].TooOld += uint64(max(news, 1))
		n.backlog.Drop(&inc.unsent, news)
	default:
		n.stopHolding(inc)
		for len(inc.unsent.Events) > n.limits.mostListed(inc) {
			n.notify(inc, false, at)
		}
		n.notify(inc, inc.rule.SendResolved, at)
	}

	n.stopHolding(inc)
	n.leaveNothingDue(inc, at)
}

// leaveNothingDue leaves nothing due; what the record says of silences stays.
func (n *Notifier) leaveNothingDue(inc *Incident, at time.Time) {
	n.unlist(inc)
	inc.due = time.Time{}
	n.journal.MarkChanged(inc, at)
}

// notify makes one notification of as many events as it may list.
func (n *Notifier) notify(inc *Incident, resolved bool, at time.Time) {
	rec := &inc.rec
	events := n.backlog.Take(&inc.unsent, min(len(inc.unsent.Events), n.limits.mostListed(inc)))
	last := len(inc.unsent.Events) == 0
	typ := schema.TypeAlertUpdate
	switch {
	case resolved:
		typ = schema.TypeAlertResolved
	case rec.Notifications == 0 || rec.Again:
		typ = schema.TypeAlertFiring
	}

	n.renderTexts(inc, events, at)
	rec.Notifications++
	note := backlog.NotificationOf(rec, typ, events, at)
	if last {
		note.Alert.Recurring = recur.Describe(rec, inc.isAboutMany())
	}
	note.Alert.Quiet = answer.IsQuiet(rec, typ)
	n.describeProcess(inc, note.Alert, at)
	if resolved {
		ending.Describe(&inc.rec, note.Alert)
	}
	if len(events) > 0 {
		note.Alert.WellSince = rec.WellSince
	}

	if inc.Fires() && rec.Acknowledged == nil && rec.UnansweredSince == nil {
		rec.UnansweredSince = &schema.Time{Time: at}
	}
	rec.Again = rec.Again && !last
	answer.Count(rec, note.Alert.Quiet)
	rec.Notified = &schema.Time{Time: at}
	n.journal.MarkChanged(inc, at)
	n.counts[inc.rule.Index].Notified++
	n.backlog.Put(note)
}

// describeProcess adds to a notification what the record of its process says now, where
// it is about one: the state, and how often it crashed lately.
func (n *Notifier) describeProcess(inc *Incident, note *schema.Notification, at time.Time) {
	if inc.isAboutMany() {
		return
	}
	p := n.roster.Lookup(member.Name{Host: inc.key.Host, Group: inc.key.Group, Process: inc.key.Process})
	if p == nil {
		return
	}

	note.State = p.Now.State
	note.StateSince = timeOf(p.Now.Since)
	note.Crashes = crashes.Recent(p.Now.Crashes, at)
}

// renderTexts makes the labels and annotations of the next notification.
func (n *Notifier) renderTexts(inc *Incident, events []schema.AlertEvent, at time.Time) {
	rec := &inc.rec
	v := rules.ViewOf(rec, events, at)
	if rec.Notifications == 0 {
		// Receivers know an alert by its labels: they stay as they were.
		rec.Labels = inc.rule.Labels(v)
	}
	if rec.Labels != nil {
		v.Labels = rec.Labels
	}
	why := n.reasonOf(inc)
	rec.Annotations = backlog.WithReason(inc.rule.Annotations(v), why)
}

// reasonOf is what is known of the end of an incident, or of the silence that it is about:
// what the first notification of a silence says of that stands until its end.
func (n *Notifier) reasonOf(inc *Incident) string {
	if inc.rule.Kind != schema.KindSilent {
		if inc.isClosed() {
			return inc.rec.Ended
		}
		return ""
	}
	if why := inc.rec.Annotations[schema.AnnotationReason]; why != "" || !inc.Fires() {
		return why
	}
	return n.hosts.WhySilent(inc.key.Host)
}

// schedule sets the timer of an incident to what comes next.
func (n *Notifier) schedule(inc *Incident) {
	if inc.note.IsForgotten() {
		return
	}
	n.clock.Set(&inc.timer, inc.nextTimer(n.clock.Now()))
}
