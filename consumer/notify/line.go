package notify

import (
	"strconv"
	"strings"
	"time"

	"supernats/consumer/wording"
	"supernats/schema"
)

const (
	// AnnotationSummary is the annotation that replaces our own words for what
	// happened, as in Prometheus's rules.
	AnnotationSummary = "summary"
	// AnnotationReason is the annotation that says why a host is silent, or why an alert
	// has ended although nothing has recovered.
	AnnotationReason = schema.AnnotationReason
)

// momentFormat is how a moment stands in a sentence.
const momentFormat = "2006-01-02 15:04:05 UTC"

func momentOf(t time.Time) string { return t.Format(momentFormat) }

// Line is a notification in one line of a chat. All of it is visible characters; the
// markup of a chat is left to its receiver to escape.
type Line struct {
	// Status is that of the notification, see Status.
	Status string
	// Host and Process may be empty: an alert can be about several.
	Host, Process string
	// Text says what happened, Tail how often and how long.
	Text, Tail string
}

// LineOf puts a notification into one line.
func LineOf(n *Notification) Line {
	a := n.Data
	l := Line{
		Status: Status(n), Host: a.Host, Process: wording.ProcessName(a.Group, a.Process), Text: Headline(a),
	}

	recurrence := Recurrence(n)
	if recurrence != "" && a.Annotations[AnnotationSummary] == "" {
		l.Text = recurrence
		if ev := wording.LastEvent(a); ev != nil {
			if why := wording.Reason(ev.Exit); why != "" {
				l.Text += " (" + why + ")"
			}
		}
		recurrence = ""
	}

	late := ""
	if ev := wording.LastEvent(a); ev != nil {
		if l.Host == "" {
			l.Host = ev.Host
		}
		if a.Process == "" && ev.Process != "" {
			l.Process = wording.ProcessName(ev.Group, ev.Process)
		}
		if ev.Late {
			// A reader of the chat takes the chat's time for that of the event.
			late = ", late: it was at " + ev.Time.UTC().Format(momentFormat)
		}
	}
	if said := wording.AnswerText(n, momentOf); said != "" {
		l.Text, recurrence = said, ""
	}
	l.Host, l.Process = wording.Clip(l.Host, wording.MaxName), wording.Clip(l.Process, 2*wording.MaxName)
	l.Tail = tail(n, recurrence, late)
	return l
}

// tail is what stands after what happened: how often, how it ended, and that it is late.
func tail(n *Notification, recurrence, late string) string {
	a := n.Data
	if wording.IsAnswer(n) {
		return ""
	}
	var b strings.Builder
	if recurrence != "" { // the rule's own words stand before it
		b.WriteString(", " + recurrence)
	}
	switch r := a.Recurring; {
	case r != nil && a.Count > r.Times:
		b.WriteString(", " + strconv.Itoa(a.Count) + " times since it opened")
	case a.Count > 1 && r == nil:
		b.WriteString(", " + strconv.Itoa(a.Count) + " times")
	}

	if a.Closed != nil {
		b.WriteString(", over after " + openFor(a))
		if why := Ending(a); why != "" && n.Type == schema.TypeAlertResolved {
			b.WriteString(": " + why)
		}
	}

	b.WriteString(presentOf(n))
	b.WriteString(late)
	if s := RecoveredSince(a); s != "" {
		if late != "" {
			s = strings.TrimPrefix(s, "late, ")
		}
		b.WriteString(", " + s)
	}
	if s := wording.Acknowledged(n, momentOf); s != "" {
		b.WriteString(", acknowledged " + s)
	}
	if s := wording.Escalated(a); s != "" {
		b.WriteString(", " + s)
	}
	return b.String()
}

// presentOf is what the process of an open alert does now, and how often it crashed lately,
// where the line does not say it already.
func presentOf(n *Notification) string {
	s := ""
	if n.Type == schema.TypeAlertResolved {
		return s
	}
	if ev := wording.LastEvent(n.Data); n.Data.State != "" && (ev == nil || ev.Event != "PROCESS_STATE_"+n.Data.State) {
		s = ", now " + wording.Clip(n.Data.State, wording.MaxName)
	}
	if c := n.Data.Crashes; c != nil && c.LastDay > 1 {
		s += ", crashes: " + CrashesLately(n)
	}
	return s
}

// String is the line as plain text.
func (l Line) String() string {
	return wording.Join(" ", l.Status, l.Host, l.Process, l.Text) + l.Tail
}

// Status is FIRING, UPDATE or RESOLVED, ACKNOWLEDGED or UNACKNOWLEDGED.
func Status(n *Notification) string {
	switch n.Type {
	case schema.TypeAlertUpdate:
		return "UPDATE"
	case schema.TypeAlertResolved:
		return "RESOLVED"
	case schema.TypeAlertAcknowledged:
		return "ACKNOWLEDGED"
	case schema.TypeAlertUnacknowledged:
		return "UNACKNOWLEDGED"
	}
	return "FIRING"
}

// Headline says what happened, without saying to whom: the rule's own summary, or the
// last event, which says how things are now. It is one visible line.
func Headline(a *schema.Notification) string {
	if s := wording.Clip(a.Annotations[AnnotationSummary], wording.MaxText); s != "" {
		return s
	}

	ev := wording.LastEvent(a)
	if ev == nil {
		ev = &schema.AlertEvent{}
	}
	p, known := wording.OfEvent(a.Rule, ev)
	if !known {
		switch p, ok := wording.OfAlert(a); {
		case ok && wording.IsSilence(a):
			return silentHost(a, p)
		case ok:
			return p.Text()
		case ev.Event == "":
			return "alert " + wording.Clip(a.Rule, wording.MaxName)
		}
	}

	s := eventText(a.Rule, ev)
	if !p.Evident {
		s += " (rule " + wording.Clip(a.Rule, wording.MaxName) + ")"
	}
	return s
}

// silentHost says that a host is silent, why, where that is known, and since when.
func silentHost(a *schema.Notification, p wording.Phrase) string {
	s := p.Text()
	if why := wording.Clip(a.Annotations[AnnotationReason], wording.MaxText); why != "" {
		s = p.One + ", " + why
	}
	return wording.Join(", ", s, LastHeard(a))
}

// eventText says what an event means, and the reason.
func eventText(rule string, ev *schema.AlertEvent) string {
	p, ok := wording.OfEvent(rule, ev)
	s := p.Text()
	if !ok {
		s = wording.Clip(ev.Event, wording.MaxName)
	}

	switch {
	case p == wording.Trouble:
		s = wording.Join(": ", s,
			wording.Clip(ev.Cause, wording.MaxName), wording.Clip(ev.Text, wording.MaxText))
		if fix := wording.Clip(ev.Fix, wording.MaxText); fix != "" {
			s += "; to fix it: " + fix
		}
		return s
	case ev.Lost > 0:
		s += ": " + strconv.FormatUint(ev.Lost, 10)
		if why := wording.LossCause(ev.Cause); why != "" {
			s += " (" + why + ")"
		}
	}
	if why := wording.EndOfLife(ev); why != "" {
		s += " (" + why + ")"
	}
	return s
}

// openFor is how long a closed alert was open.
func openFor(a *schema.Notification) string {
	d := max(a.Closed.Sub(a.Opened.Time), 0)
	if d > time.Minute {
		d = d.Round(time.Second)
	} else {
		d = d.Round(time.Millisecond)
	}
	return schema.Duration(d).String()
}
