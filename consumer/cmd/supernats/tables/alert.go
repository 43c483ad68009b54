package tables

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"supernats/consumer/inspect"
	"supernats/consumer/terminal"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Alerts shows alerts with who knows of them and, where somebody takes care of one or it has
// escalated, who does.
func Alerts(alerts []inspect.Alert) *terminal.Table {
	t := &terminal.Table{
		Columns: []string{
			"STATUS", "SEVERITY", "RULE", "HOST", "PROCESS", "SINCE", "COUNT",
			"LAST", "NOTIFIED", "MUTED",
		},
		Colored:  "STATUS",
		Optional: []string{"MUTED", "COUNT", "SEVERITY", "SINCE", "RULE"},
		Flexible: map[string]int{
			"RULE": terminal.WideText, "HOST": terminal.WideName, "PROCESS": terminal.WideName,
			"LAST": terminal.WideText, "NOTIFIED": terminal.WideText, "MUTED": terminal.WideText,
			"ACKNOWLEDGED": terminal.WideName,
		},
	}
	isAnswered := func(a inspect.Alert) bool { return acknowledged(&a) != "" }
	answered := slices.ContainsFunc(alerts, isAnswered)
	if answered {
		t.Columns = append(t.Columns, "ACKNOWLEDGED")
	}

	// An alert that is muted was not notified: the reason stays beside that.
	if slices.ContainsFunc(alerts, func(a inspect.Alert) bool { return muted(&a) != "-" }) {
		t.Optional = slices.DeleteFunc(t.Optional, func(column string) bool { return column == "MUTED" })
	}

	for i := range alerts {
		a := &alerts[i]
		last := "-"
		if a.Last != nil {
			last = wording.Date(&a.Last.Time) + " (" + happened(a.Last) + ")"
		}

		color := PhaseColor(a.Phase)
		if a.IsAcknowledged() {
			color = terminal.Yellow
		}
		row := []string{
			a.Phase, a.Severity, a.Rule, cmp.Or(a.Host, "-"), subjectName(a.Group, a.Process),
			wording.Date(&a.Opened), fmt.Sprint(a.Count), last, notified(a), muted(a),
		}
		if answered {
			row = append(row, cmp.Or(acknowledged(a), "-"))
		}
		t.Add(color, row...)
	}
	return t
}

// notified says when people were last notified of an alert.
func notified(a *inspect.Alert) string {
	switch a.Reach {
	case inspect.ReachLost:
		return "not known"
	case inspect.ReachNoReceiver:
		return "nobody: no receiver"
	case inspect.ReachEarlier:
		return "not of the last"
	case inspect.ReachNobody:
		return "nobody yet"
	}

	at := wording.Date(a.Notified)
	if a.Taken && a.Notified == nil {
		at = "yes, its time is not kept"
	}
	if n := a.Notifications - a.Quiet; n > 1 {
		at += fmt.Sprintf(" (%d)", n)
	}
	return at
}

// acknowledged says who takes care of an alert and until when, "" where nobody does.
func acknowledged(a *inspect.Alert) string {
	ack := a.Acknowledged
	switch {
	case ack == nil && a.Escalation > 0:
		return fmt.Sprintf("nobody, escalated (%d)", a.Escalation)
	case ack == nil:
		return ""
	case a.IsAcknowledged() && ack.Until != nil:
		return ack.By + " until " + wording.Date(ack.Until)
	}
	return ack.By
}

// muted says by which silences an alert is muted, or was.
func muted(a *inspect.Alert) string {
	text := "-"
	switch {
	case len(a.Mutes) > 0:
		text = "by " + strings.Join(a.Mutes, ", ")
	case a.Muted > 0:
		text = "was by " + a.MutedBy
	}
	if a.Muted > 0 {
		text += fmt.Sprintf(" (%d)", a.Muted)
	}
	return text
}

// Notifications shows what was sent.
func Notifications(notifications []inspect.Notification) *terminal.Table {
	t := &terminal.Table{
		Columns:  []string{"TIME", "TYPE", "SEVERITY", "RULE", "HOST", "PROCESS", "EVENTS", "LAST", "RECEIVERS"},
		Colored:  "TYPE",
		Optional: []string{"EVENTS", "SEVERITY", "RECEIVERS", "RULE"},
		Flexible: map[string]int{
			"RULE": terminal.WideText, "HOST": terminal.WideName, "PROCESS": terminal.WideName,
			"LAST": terminal.WideText, "RECEIVERS": terminal.WideText,
		},
	}

	for _, n := range notifications {
		a, last := n.Data, "-"
		if len(a.Events) > 0 {
			last = happened(&a.Events[len(a.Events)-1])
		}

		kind := NotificationKind(n.Type)
		t.Add(PhaseColor(kind), wording.Date(&n.Time), kind, a.Severity, a.Rule, cmp.Or(a.Host, "-"),
			subjectName(a.Group, a.Process), fmt.Sprint(len(a.Events)), last,
			sentTo(a))
	}
	return t
}

// sentTo names the receivers of a notification.
func sentTo(a *schema.Notification) string {
	to := cmp.Or(strings.Join(a.Notify, ", "), "all")
	switch {
	case a.Quiet:
		return "-"
	case a.Escalation > 0:
		return fmt.Sprintf("%s (escalation %d)", to, a.Escalation)
	}
	return to
}

// Held shows the queues in which something waits, and why.
func Held(queues []*inspect.Queue, now time.Time) *terminal.Table {
	t := &terminal.Table{
		Columns:  []string{"RECEIVER", "WAITING", "SINCE", "TRIES", "ERROR"},
		Optional: []string{"TRIES", "SINCE"},
		Flexible: map[string]int{"RECEIVER": terminal.WideName, "ERROR": terminal.WideText},
	}
	for _, q := range queues {
		why := cmp.Or(q.Failure(), q.Hold(now))
		t.Add(terminal.Red, q.Receiver, fmt.Sprint(q.Waiting()), wording.Date(q.Position.Since),
			wording.Number(q.Position.Tries), why)
	}
	return t
}

// Parked shows notifications that were given up.
func Parked(parked []inspect.Parked) *terminal.Table {
	t := &terminal.Table{
		Columns:  []string{"PARKED", "RECEIVER", "RULE", "HOST", "PROCESS", "TRIES", "SEQ", "REASON"},
		Optional: []string{"TRIES", "PARKED", "RULE"},
		Flexible: map[string]int{
			"RECEIVER": terminal.WideName, "RULE": terminal.WideText, "HOST": terminal.WideName,
			"PROCESS": terminal.WideName, "REASON": terminal.WideText,
		},
	}

	for _, p := range parked {
		t.Add(terminal.Red, wording.Date(&p.Parked), p.Receiver, p.Rule, cmp.Or(p.Host, "-"),
			subjectName(p.Group, p.Process), fmt.Sprint(p.Tries), fmt.Sprint(p.Seq), p.Reason)
	}
	return t
}

// PhaseColor is that of a phase of an alert.
func PhaseColor(phase string) terminal.Color {
	switch phase {
	case schema.PhaseFiring:
		return terminal.Red
	case schema.PhaseResolved:
		return terminal.Green
	}
	return terminal.Yellow
}

// NotificationKind is firing, update, resolved, acknowledged or unacknowledged.
func NotificationKind(typ string) string { return typ[strings.LastIndexByte(typ, '.')+1:] }

// MutedAlerts shows the open alerts that a silence matches.
func MutedAlerts(m *inspect.Mute, alerts []schema.Alert) *terminal.Table {
	t := &terminal.Table{Columns: []string{"STATUS", "SEVERITY", "RULE", "HOST", "PROCESS", "SINCE"}, Colored: "STATUS"}
	for i := range alerts {
		a := &alerts[i]
		if slices.Contains(m.Alerts, a.Incident) {
			t.Add(PhaseColor(a.Phase), a.Phase, a.Severity, a.Rule, cmp.Or(a.Host, "-"),
				subjectName(a.Group, a.Process), wording.Date(&a.Opened))
		}
	}
	return t
}

// subjectName is what an alert is about: a process, a group, or a host as a whole.
func subjectName(group, process string) string {
	switch {
	case process != "" && group != "":
		return wording.ProcessName(group, process)
	case group != "":
		return group + ":*"
	}
	return cmp.Or(process, "-")
}

// happened says in a few words what an event of an alert is.
func happened(e *schema.AlertEvent) string {
	switch {
	case e.Exit != nil && wording.Reason(e.Exit) != "":
		return strings.TrimPrefix(wording.Ran(e.Ran)+", "+wording.ShortReason(e.Exit), ", ")
	case e.Lost > 0 && e.Cause != "":
		return fmt.Sprintf("%d events lost, %s", e.Lost, e.Cause)
	case e.Lost > 0:
		return fmt.Sprintf("%d events lost", e.Lost)
	case e.Cause != "":
		return e.Cause
	}
	return strings.TrimPrefix(e.Event, "PROCESS_STATE_")
}
