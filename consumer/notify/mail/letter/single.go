package letter

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/summary"
	"supernats/consumer/wording"
	"supernats/schema"
)

// showOne fills in what a mail about one notification shows.
func (v *view) showOne(n *notify.Notification) {
	a, d := n.Data, &v.Alerts[0]
	switch {
	case d.Summary != "" && strings.Contains(v.Sentence, d.Summary):
		v.After = d.Description
	case d.Summary != "":
		v.Before = append([]string{d.Summary}, d.Description...)
	default:
		v.Before = d.Description
	}

	v.addFacts(n, d)
	v.addEventList(n, d)

	v.addRow("Host", d.Host)
	v.addRow("Group", d.Group)
	v.addRow("Process", d.Process)
	if len(d.Events) > 0 && n.Type != schema.TypeAlertResolved {
		v.addLastEvent(a, &d.Events[len(d.Events)-1])
	}
	v.addRow("Rule", d.Rule)
	v.addRow("Severity", d.Severity)
	for _, key := range sortedKeys(a.Labels) {
		if key != notify.LabelAddress {
			v.addRow(key, a.Labels[key])
		}
	}
	for _, key := range sortedKeys(a.Annotations) {
		if key != notify.AnnotationSummary && key != annotationDescription {
			v.addRow(key, a.Annotations[key])
		}
	}
	if ev := wording.LastEvent(a); ev != nil {
		v.addRow("supervisord", ev.Server)
	}
}

// addLastEvent shows the event that the alert is reported by.
func (v *view) addLastEvent(a *schema.Notification, ev *Event) {
	last := wording.LastEvent(a)
	if a.Process == "" && ev.Name != "" || a.Host == "" && ev.Host != "" {
		v.addRow("Last of", ev.owner())
	}
	if ev.PID != 0 {
		v.addRow("PID", strconv.Itoa(ev.PID))
	}
	v.addRow("From state", ev.FromState)
	// In full: lists cut it shorter.
	v.addRow("Reason", wording.Clip(summary.Reason(last), maxField))
	if ev.Exit.OOM != nil {
		v.addRow("Cgroup", ev.Exit.OOM.Cgroup)
	}
	v.addRow("Last look", wording.LastLook(last))

	v.addRow("Time", withAge(ev.At, v.Time))
	if !ev.HostTime.IsZero() {
		v.addRow("By its clock", stamp(ev.HostTime, v.Time))
	}
	v.addRow("Event", ev.Event)
	v.addRow("Event ID", ev.ID)
}

// addEventList shows the events of a notification unless the table has all of them.
func (v *view) addEventList(n *notify.Notification, d *Alert) {
	if len(d.Events) < 2 && (n.Type == schema.TypeAlertFiring || len(d.Events) == 0) {
		return
	}

	title := "Events:"
	switch n.Type {
	case schema.TypeAlertUpdate:
		title = "Since the last mail:"
	case schema.TypeAlertResolved:
		title = "Not reported before:"
	}
	l := newList(title, len(d.Events)+1)
	several := d.Host == "" || d.Process == ""
	for i := range d.Events {
		ev := &d.Events[i]
		who := ""
		if several {
			who = ev.owner()
		}
		l.addEvent(ev.timeText(v.Time), who, ev.shortText(n.Data, &n.Data.Events[i]))
	}
	if unlisted := summary.More(n) + 1 - len(d.Events); len(d.Events) > 1 && unlisted > 0 {
		l.addNote(wording.Count(unlisted, "more event is", "more events are") + " not listed")
	}
	v.Lists = append(v.Lists, l)
}

// owner is whose event it is.
func (ev *Event) owner() string {
	return summary.Origin{Host: ev.Host, Group: ev.Group, Process: ev.Process}.String()
}

// timeText is its time and its age, and whether it is late.
func (ev *Event) timeText(mail time.Time) string {
	s := withAge(ev.At, mail)
	if ev.Late != "" {
		s += ", late"
	}
	return s
}

// fullText says what it means, and why.
func (ev *Event) fullText(a *schema.Notification, record *schema.AlertEvent) string {
	if record.Lost > 0 {
		return "lost at least " + wording.Count(record.Lost, "event", "events") +
			summary.Details(wording.LossCause(record.Cause))
	}

	words := ev.Event
	if p, ok := wording.OfEvent(a.Rule, record); ok {
		words = p.One
	}
	return strings.TrimSpace(words + summary.Details(summary.WithRan(record, ev.Reason)))
}

// shortText says it below a sentence that has said what happened last.
func (ev *Event) shortText(a *schema.Notification, record *schema.AlertEvent) string {
	said, ok := wording.OfAlert(a)
	p, known := wording.OfEvent(a.Rule, record)
	if ok && known && p == said && ev.Reason != "" && record.Lost == 0 {
		return summary.WithRan(record, ev.Reason)
	}
	return ev.fullText(a, record)
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
