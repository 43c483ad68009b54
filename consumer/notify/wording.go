package notify

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"supernats/schema"
)

const (
	// maxName and maxText bound names and texts of others in a line, in
	// characters: a hostile one must not push the rest out of sight.
	maxName = 60
	maxText = 300
)

// AnnotationSummary is the annotation that replaces our own words for what
// happened, as in Prometheus's rules.
const AnnotationSummary = "summary"

// phrases say of a process what an event means, behind its name.
var phrases = map[string]string{
	schema.ProcessStateExited:            "exited unexpectedly",
	schema.ProcessStateFatal:             "is FATAL, gave up starting it",
	schema.ProcessStateBackoff:           "died while starting, will be tried again",
	schema.ProcessStateUnknown:           "is in state UNKNOWN, supervisord has lost it, it may still run",
	schema.ProcessStateStopped:           "was stopped",
	schema.ProcessStateStopping:          "is being stopped",
	schema.ProcessStateStarting:          "is being started",
	schema.ProcessStateRunning:           "is running",
	schema.ProcessCommunicationStdout:    "sent a message on stdout",
	schema.ProcessCommunicationStderr:    "sent a message on stderr",
	schema.ProcessLogStdout:              "wrote to stdout",
	schema.ProcessLogStderr:              "wrote to stderr",
	schema.ProcessGroupAdded:             "was added",
	schema.ProcessGroupRemoved:           "was removed",
	schema.SupervisorStateChangeRunning:  "supervisord is running",
	schema.SupervisorStateChangeStopping: "supervisord is stopping",
	eventLoss:                            "has lost events",
	eventTrouble:                         "is in trouble",
}

// The records of a bridge that are in alerts like events.
const (
	eventLoss    = schema.TypeBridgePrefix + schema.BridgeLoss
	eventTrouble = schema.TypeBridgePrefix + schema.BridgeTrouble
)

// OwnRule names the rule of supernats' own that is about the same as that of an alert,
// whatever its author has called it: there are words for it.
func OwnRule(a *schema.Notification) string {
	switch a.Kind {
	case schema.KindSilent:
		return "host-silent"
	case schema.KindLoss:
		return "loss"
	case schema.KindTrouble:
		return "bridge-trouble"
	}
	return a.Rule
}

// IsSilence reports whether an alert is about a host of which nothing is heard.
func IsSilence(a *schema.Notification) bool { return OwnRule(a) == "host-silent" }

// rulePhrases are for the rules that supernats has by itself, where no event
// says it: a host that is silent sends none.
var rulePhrases = map[string]string{
	"unexpected-exit": "exited unexpectedly",
	"fatal":           "is FATAL, gave up starting it",
	"host-silent":     "is silent, its bridge sends nothing",
	"loss":            "has lost events",
	"unknown":         "is in state UNKNOWN, supervisord has lost it, it may still run",
	"bridge-trouble":  "is in trouble",
}

// AnnotationReason is the annotation that says why a host is silent, or why an alert
// has ended although nothing is well again.
const AnnotationReason = "reason"

// lossCauses say why events are lost.
var lossCauses = map[string]string{
	schema.LossBuffer:       "supervisord's buffer for the bridge overflowed",
	schema.LossFull:         "the spool of the bridge is full",
	schema.LossCorrupt:      "the spool of the bridge is damaged, or a part of it is gone",
	schema.LossNotListening: "supervisord did not run the bridge for a while",
}

// LossCause says why events are lost, "" if that is not known.
func LossCause(cause string) string {
	if s := lossCauses[cause]; s != "" || cause == "" {
		return s
	}
	return Clip(cause, maxName)
}

// selfEvident are the events of which the rule's name says no more.
var selfEvident = map[string]bool{
	schema.ProcessStateExited: true, schema.ProcessStateFatal: true, eventLoss: true, eventTrouble: true,
}

// ProcessName is a process as supervisorctl writes it: "api" for api:api.
func ProcessName(group, process string) string {
	switch {
	case process == "" || process == group:
		return group
	case group == "":
		return process
	}
	return group + ":" + process
}

// Reason says why a process died, "" if that is not known.
func Reason(x *schema.Exit) string {
	var s string
	switch {
	case x == nil:
		return ""
	case x.SpawnErr != "" && x.OOM == nil:
		return "spawn error: " + Clip(x.SpawnErr, maxText)
	case x.Signal != "":
		s = Clip(x.Signal, maxName)
	case x.Code != nil:
		s = "exit code " + strconv.Itoa(*x.Code)
	}
	if x.Core {
		s = joined(s, "core dumped")
	}
	if x.OOM != nil {
		s = joined(s, x.OOM.String())
	}
	return s
}

// Headline says what happened, without saying to whom: by the rule's own summary
// or by the last event, which says how things are now. It is one visible line.
func Headline(a *schema.Notification) string {
	if s := Clip(a.Annotations[AnnotationSummary], maxText); s != "" {
		return s
	}
	var ev schema.AlertEvent
	if n := len(a.Events); n > 0 {
		ev = a.Events[n-1]
	}
	if phrases[ev.Event] == "" {
		if s := rulePhrases[OwnRule(a)]; s != "" {
			return silence(a, s)
		}
		if ev.Event == "" {
			return "alert " + Clip(a.Rule, maxName)
		}
	}
	s := what(&ev)
	if !selfEvident[ev.Event] {
		s += " (rule " + Clip(a.Rule, maxName) + ")"
	}
	return s
}

// silence adds to the words for a silent host why it is, where that is known.
func silence(a *schema.Notification, words string) string {
	why := Clip(a.Annotations[AnnotationReason], maxText)
	if head, _, ok := strings.Cut(words, ","); ok && why != "" && IsSilence(a) {
		words = head + ", " + why
	}
	if s := LastHeard(a); s != "" {
		words += ", " + s
	}
	return words
}

// what says what an event means, and the reason.
func what(ev *schema.AlertEvent) string {
	s := phrases[ev.Event]
	if s == "" {
		s = Clip(ev.Event, maxName)
	}
	switch {
	case ev.Event == eventTrouble:
		for _, part := range []string{Clip(ev.Cause, maxName), Clip(ev.Text, maxText)} {
			if part != "" {
				s += ": " + part
			}
		}
		if fix := Clip(ev.Fix, maxText); fix != "" {
			s += "; to fix it: " + fix
		}
		return s
	case ev.Lost > 0:
		s += ": " + strconv.FormatUint(ev.Lost, 10)
		if why := LossCause(ev.Cause); why != "" {
			s += " (" + why + ")"
		}
	}
	if why := Why(ev); why != "" {
		s += " (" + why + ")"
	}
	return s
}

// Line is a notification in one line of a chat. All of it is visible characters;
// what is markup to the chat is left to escape.
type Line struct {
	// Status is FIRING, UPDATE or RESOLVED.
	Status string
	// Host and Process may be empty: an alert can be about several.
	Host, Process string
	// Text says what happened, Tail how often and how long.
	Text, Tail string
}

// LineOf says a notification in one line.
func LineOf(n *schema.CloudEvent[*schema.Notification]) Line {
	a := n.Data
	l := Line{Status: Status(n), Host: a.Host, Process: ProcessName(a.Group, a.Process), Text: Headline(a)}
	again := Recurrence(n)
	if again != "" && a.Annotations[AnnotationSummary] == "" {
		l.Text = again
		if k := len(a.Events); k > 0 {
			if why := Reason(a.Events[k-1].Exit); why != "" {
				l.Text += " (" + why + ")"
			}
		}
		again = ""
	}
	late := ""
	if k := len(a.Events); k > 0 {
		ev := &a.Events[k-1]
		if l.Host == "" {
			l.Host = ev.Host
		}
		if a.Process == "" && ev.Process != "" {
			l.Process = ProcessName(ev.Group, ev.Process)
		}
		if ev.Late {
			// Whoever reads the chat takes its own time for that of the event.
			late = ", late: it was at " + ev.Time.UTC().Format("2006-01-02 15:04:05 UTC")
		}
	}
	l.Host, l.Process = Clip(l.Host, maxName), Clip(l.Process, 2*maxName)
	if again != "" { // the rule's own words stand before it
		l.Tail = ", " + again
	}
	switch r := a.Recurring; {
	case r != nil && a.Count > r.Times:
		l.Tail += ", " + strconv.Itoa(a.Count) + " times since it opened"
	case a.Count > 1 && r == nil:
		l.Tail += ", " + strconv.Itoa(a.Count) + " times"
	}
	if a.Closed != nil {
		l.Tail += ", over after " + span(a)
		if why := Ending(a); why != "" && n.Type == schema.TypeAlertResolved {
			l.Tail += ": " + why
		}
	}
	l.Tail += late
	if s := WellSince(a); s != "" {
		if late != "" {
			s = strings.TrimPrefix(s, "late, ")
		}
		l.Tail += ", " + s
	}
	return l
}

// Status is FIRING, UPDATE or RESOLVED.
func Status(n *schema.CloudEvent[*schema.Notification]) string {
	switch n.Type {
	case schema.TypeAlertUpdate:
		return "UPDATE"
	case schema.TypeAlertResolved:
		return "RESOLVED"
	}
	return "FIRING"
}

// String is the line as plain text.
func (l Line) String() string {
	var b strings.Builder
	for _, s := range []string{l.Status, l.Host, l.Process, l.Text} {
		if s != "" {
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(s)
		}
	}
	return b.String() + l.Tail
}

// span is how long a closed alert was open.
func span(a *schema.Notification) string {
	d := max(a.Closed.Sub(a.Opened.Time), 0)
	if d > time.Minute {
		d = d.Round(time.Second)
	} else {
		d = d.Round(time.Millisecond)
	}
	return schema.Duration(d).String()
}

// Clip makes s one visible line of at most max characters: the rest is escaped
// as in Go ("\r\n", "\x1b", "\u202e") or cut off.
func Clip(s string, max int) string {
	var b strings.Builder
	count := 0
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		piece := string(r)
		if !visible(r) {
			piece = strings.Trim(strconv.QuoteRune(r), "'")
		}
		// An escape is never cut in two.
		if count += utf8.RuneCountInString(piece); count > max {
			return b.String() + "…"
		}
		b.WriteString(piece)
	}
	return b.String()
}

// visible reports whether r may stand in a message as it is. Names come from
// processes: whatever moves the cursor, ends a line or changes the direction of
// writing is escaped.
func visible(r rune) bool {
	const zwnj, zwj = '\u200c', '\u200d' // emoji and several scripts need them
	return unicode.IsGraphic(r) || r == zwnj || r == zwj
}
