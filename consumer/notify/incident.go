package notify

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/wording"
	"supernats/schema"
)

// Incident is all that a batch says of one alert.
type Incident struct {
	// Alert is that of the last notification, with the events of all of them.
	Alert *schema.Notification
	// Type, ID and Time are those of the last notification: what it says holds now.
	Type, ID string
	Time     schema.Time
	// Of are the indexes of its notifications in the batch.
	Of []int
	// Fired says that the batch has a notification that is no end, and no answer to one: the
	// beginning of an incident that only ends was in an earlier batch.
	Fired bool
}

// IsResolved reports whether the alert is over.
func (i *Incident) IsResolved() bool { return i.Type == schema.TypeAlertResolved }

// Incidents folds a batch into one entry for each alert, in the order of their last
// notifications. Nothing of the events is lost. It does not change the batch.
func Incidents(batch []*Notification) []*Incident {
	var list []*Incident
	for index, n := range batch {
		data := *n.Data
		i := &Incident{
			Alert: &data, Type: n.Type, ID: n.ID, Time: n.Time, Of: []int{index},
			Fired: n.Type != schema.TypeAlertResolved && !wording.IsAnswer(n),
		}

		// From the end: what comes again mostly came just before.
		last := len(list) - 1
		for last >= 0 && list[last].Alert.Incident != n.Data.Incident {
			last--
		}
		if last >= 0 {
			before := list[last]
			data.Events = slices.Concat(before.Alert.Events, data.Events)
			i.Fired = i.Fired || before.Fired
			i.Of = append(before.Of, index)
			list = slices.Delete(list, last, last+1)
		}
		list = append(list, i)
	}
	return list
}

// Summary is the incident in one line, without a status: "web1 api:api_00 exited
// unexpectedly (exit code 3)".
func (i *Incident) Summary() string {
	typ := i.Type
	if !i.IsResolved() && !i.Fired { // what it is about, and not who takes care of it
		typ = schema.TypeAlertUpdate
	}
	l := LineOf(&Notification{Type: typ, Time: i.Time, Data: i.Alert})
	l.Status = ""
	return l.String()
}

// Description lists the matched events, a line for each: when, who, what and why. At most
// max lines are written, the last ones; 0 writes all. It is empty if there are no events.
func (i *Incident) Description(max int) string {
	events := i.Alert.Events
	var b strings.Builder
	if over := len(events) - max; max > 0 && over > 0 {
		fmt.Fprintf(&b, "… and %d more before\n", over)
		events = events[over:]
	}

	for k := range events {
		b.WriteString(i.eventLine(&events[k]))
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// eventLine is one line of the description.
func (i *Incident) eventLine(ev *schema.AlertEvent) string {
	a := i.Alert
	host, name := ev.Host, wording.ProcessName(ev.Group, ev.Process)
	if host == "" {
		host = a.Host
	}
	if name == "" {
		name = wording.ProcessName(a.Group, a.Process)
	}

	s := wording.Join(" ",
		ev.Time.UTC().Format("2006-01-02T15:04:05.000Z"),
		wording.Clip(host, wording.MaxName), wording.Clip(name, 2*wording.MaxName), eventText(a.Rule, ev))
	if ev.Late {
		s += ", late"
	}
	return s
}

// Labels are those by which Alertmanager knows an alert: the same in all notifications of
// it, names that Prometheus allows, values that are valid UTF-8 and not empty. Ours win
// over labels of the rule with the same name, but for instance.
func (i *Incident) Labels() map[string]string {
	a := i.Alert
	labels := make(map[string]string, len(a.Labels)+6)
	put := func(name, value string) {
		if value = strings.ToValidUTF8(value, "\ufffd"); value != "" {
			labels[LabelName(name)] = value
		}
	}

	put("instance", a.Host)
	// Alertmanager refuses a batch with an alert without any label.
	put("alertname", "supernats")
	for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
		// An address may change while the alert is open, and would make another alert of
		// it.
		if name != LabelAddress {
			put(name, a.Labels[name])
		}
	}

	put("alertname", a.Rule)
	put("severity", a.Severity)
	put("host", a.Host)
	put("group", a.Group)
	put("process", a.Process)
	return labels
}

// Annotations are the rule's own, and what else there is to say of the incident; lines is
// as in Description.
func (i *Incident) Annotations(lines int) map[string]string {
	a := i.Alert
	notes := make(map[string]string, len(a.Annotations)+6)
	notes["description"] = i.Description(lines)
	for _, name := range slices.Sorted(maps.Keys(a.Annotations)) {
		key, value := LabelName(name), strings.ToValidUTF8(a.Annotations[name], "\ufffd")
		if key == "description" && notes[key] != "" {
			// The rule's own words first, and none of the events lost.
			value += "\n" + notes[key]
		}
		notes[key] = value
	}
	if notes[AnnotationSummary] == "" {
		notes[AnnotationSummary] = i.Summary()
	}

	notes["count"] = strconv.Itoa(a.Count)
	notes["alert"] = strings.ToValidUTF8(a.Incident, "\ufffd")
	notes["notification"] = strings.ToValidUTF8(i.ID, "\ufffd")
	if i.IsResolved() {
		notes["ended"], notes["state"] = a.Ended, a.State
	}
	if s := RecoveredSince(a); s != "" {
		notes["late"] = s
	}
	if s := Recurrence(&Notification{Time: i.Time, Data: a}); s != "" {
		notes["recurring"] = s
	}
	if ev := wording.LastEvent(a); ev != nil && !i.IsResolved() {
		lastLife(ev, notes)
	}
	n := &Notification{Type: i.Type, Time: i.Time, Data: a}
	if i.Type == schema.TypeAlertUnacknowledged {
		notes["unacknowledged"] = wording.AnswerText(n, momentOf)
	} else if ack := a.Acknowledged; ack != nil {
		notes["acknowledged"] = wording.ByWhom(ack, momentOf)
	}
	addUnlessThere(notes, map[string]string{
		"escalation": wording.Escalated(a), "state": a.State, "crashes": CrashesLately(n),
	})
	if address := a.Labels[LabelAddress]; address != "" {
		notes[LabelAddress] = strings.ToValidUTF8(address, "\ufffd")
	}

	maps.DeleteFunc(notes, func(_, value string) bool { return value == "" })
	return notes
}

// lastLife annotates how the last event's life of a process ended, where the rule has no
// annotation of that name.
func lastLife(ev *schema.AlertEvent, notes map[string]string) {
	addUnlessThere(notes, map[string]string{
		"ran":           strings.TrimPrefix(wording.Ran(ev.Ran), "ran "),
		"out_of_memory": wording.OutOfMemory(ev.Exit),
		"last_look":     wording.LastLook(ev),
	})
}

// addUnlessThere adds annotations of which the rule has none of its own.
func addUnlessThere(notes, more map[string]string) {
	for name, value := range more {
		if notes[name] == "" {
			notes[name] = value
		}
	}
}

// Times are when the alert began and when it was over, the zero time while it is open, for
// those that hold them against a clock of their own. Neither is after now, and the end is
// never before the beginning: what is in the future there is neither active nor over. Both
// are of one clock; if that is ahead of now, both are set back by as much, so that the
// length stays what it is.
func (i *Incident) Times(now time.Time) (began, over time.Time) {
	began, now = i.Alert.Opened.UTC(), now.UTC()
	if i.Alert.Closed == nil && !i.IsResolved() {
		if began.After(now) {
			began = now
		}
		return began, time.Time{}
	}

	if i.Alert.Closed != nil {
		over = i.Alert.Closed.UTC()
	}
	if over.Before(began) {
		over = began
	}
	if ahead := over.Sub(now); ahead > 0 {
		began, over = began.Add(-ahead), now
	}
	return began, over
}

// LabelName makes a name that Prometheus allows for a label.
func LabelName(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', r == '_', i > 0 && '0' <= r && r <= '9':
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}
