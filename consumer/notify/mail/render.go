package mail

import (
	"embed"
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"

	"supernats/consumer/notify"
	"supernats/schema"
)

const (
	// timeFormat is RFC 3339 in UTC, to the millisecond as in supervisord's log.
	timeFormat = "2006-01-02T15:04:05.000Z"
	// lateAfter is how old an event is when its age is worth a word.
	lateAfter = time.Minute
	// replayBefore is how far before the first event the command looks.
	replayBefore = 10 * time.Minute
)

//go:embed text.tmpl html.tmpl
var templates embed.FS

var (
	textBody = texttemplate.Must(texttemplate.New("text.tmpl").Option("missingkey=error").ParseFS(templates, "text.tmpl"))
	htmlBody = htmltemplate.Must(htmltemplate.New("html.tmpl").Option("missingkey=error").ParseFS(templates, "html.tmpl"))
)

// view is what the templates see. Every string in it is clean, one visible line
// each but for the logs.
type view struct {
	Subject  string
	Sentence string
	Rows     []row
	// Width is the length of the longest name in Rows.
	Width int
	// Events are listed if there is more than one.
	Events []eventLine
	// Unlisted counts those that the notification does not hold.
	Unlisted int
	Logs     []logTail
	Command  string
}

type row struct{ Name, Value string }

type eventLine struct{ Time, Event, Reason, ID string }

// logTail holds lines, so that a template can indent them: a log cannot draw a
// line that looks like ours.
type logTail struct {
	Name  string
	Lines []string
}

// Text is all lines.
func (t logTail) Text() string { return strings.Join(t.Lines, "\n") }

func newView(n *schema.CloudEvent[*schema.Alert], from Identity, now time.Time) *view {
	a, ev := n.Data, headline(n.Data)
	v := &view{Subject: subject(n), Sentence: sentence(n), Command: command(n)}
	add := func(name, value string) {
		if value = clip(value, maxField); value != "" {
			v.Rows = append(v.Rows, row{clip(name, maxSubjectName), value})
		}
	}
	host := clip(a.Host, maxField)
	if address := a.Labels[notify.LabelAddress]; address != "" {
		host += " (" + clip(address, maxSubjectName) + ")"
	}
	add("Host", host)
	add("Group", a.Group)
	add("Process", a.Process)
	if ev != nil {
		if ev.PID != 0 {
			add("PID", strconv.Itoa(ev.PID))
		}
		add("From state", ev.FromState)
		add("Reason", reason(ev.Exit))
		add("Time", moment(ev.Time.Time, now))
		add("Event", ev.Event)
		add("Event ID", ev.ID)
	}
	add("Rule", a.Rule)
	add("Severity", a.Severity)
	if n.Type != schema.TypeAlertFiring || ev == nil {
		add("Open since", moment(a.Opened.Time, now))
	}
	if a.Closed != nil {
		add("Closed", moment(a.Closed.Time, now))
	}
	if a.Count > 1 {
		add("Events", strconv.Itoa(a.Count)+" since the alert opened")
	}
	for _, key := range sorted(a.Labels) {
		if key != notify.LabelAddress {
			add(key, a.Labels[key])
		}
	}
	for _, key := range sorted(a.Annotations) {
		add(key, a.Annotations[key])
	}
	if ev != nil {
		add("supervisord", ev.Server)
	}
	add("supernats", strings.Trim(from.Instance+", version "+from.Version, ", "))
	for _, r := range v.Rows {
		v.Width = max(v.Width, len([]rune(r.Name)))
	}
	if len(a.Events) > 1 {
		v.Events = make([]eventLine, 0, len(a.Events))
		for _, e := range a.Events {
			v.Events = append(v.Events, eventLine{
				e.Time.UTC().Format(timeFormat), clip(e.Event, maxSubjectName), reason(e.Exit), clip(e.ID, maxField),
			})
		}
		v.Unlisted = more(n) + 1 - len(a.Events)
	}
	v.Logs = logs(a)
	return v
}

// sentence says what happened. It begins with whom it happened to.
func sentence(n *schema.CloudEvent[*schema.Alert]) string {
	a := n.Data
	who := clip(a.Host, maxSubjectName)
	if name := processName(clip(a.Group, maxSubjectName), clip(a.Process, maxSubjectName)); name != "" {
		who = name + " on " + who
	}
	s := who + " " + what(a)
	if k := more(n); k == 1 {
		s += ", and there is 1 more event"
	} else if k > 1 {
		s += fmt.Sprintf(", and there are %d more events", k)
	}
	switch n.Type {
	case schema.TypeAlertResolved:
		return "Resolved: " + s + "."
	case schema.TypeAlertUpdate:
		return "Since the last mail: " + s + "."
	}
	return s + "."
}

// moment writes a time, and its age if it is old news.
func moment(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	s := t.UTC().Format(timeFormat)
	age := now.Sub(t)
	if age <= lateAfter {
		return s
	}
	if age < time.Hour {
		age = age.Round(time.Second)
	} else {
		age = age.Round(time.Minute)
	}
	return s + " (" + schema.Duration(age).String() + " before this mail)"
}

// command is one to look further with. Its times are absolute: who reads the
// mail in the morning would find nothing in the last hour.
func command(n *schema.CloudEvent[*schema.Alert]) string {
	a := n.Data
	s := "supernats replay" + option("host", a.Host)
	if a.Process != "" {
		s += option("process", a.Process)
	} else if a.Group != "" {
		s += option("group", a.Group)
	}
	first := a.Opened.Time
	if len(a.Events) > 0 && (first.IsZero() || a.Events[0].Time.Before(first)) {
		first = a.Events[0].Time.Time
	}
	if first.IsZero() {
		return s + " --since 1h"
	}
	return s + " --since " + first.UTC().Add(-replayBefore).Format(time.RFC3339)
}

// logs are those of the last event that has any; those of the others are in the
// stream.
func logs(a *schema.Alert) []logTail {
	for _, ev := range slices.Backward(a.Events) {
		if ev.Log == nil {
			continue
		}
		var tails []logTail
		for _, t := range []row{{"stderr", ev.Log.Stderr}, {"stdout", ev.Log.Stdout}} {
			if text := cleanLog(t.Value); text != "" {
				tails = append(tails, logTail{t.Name, strings.Split(text, "\n")})
			}
		}
		if tails != nil {
			return tails
		}
	}
	return nil
}

func sorted(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// bodies writes the two alternatives of the mail.
func (v *view) bodies() (text, html string, err error) {
	var t, h strings.Builder
	if err := textBody.Execute(&t, v); err != nil {
		return "", "", fmt.Errorf("write text: %w", err)
	}
	if err := htmlBody.Execute(&h, v); err != nil {
		return "", "", fmt.Errorf("write html: %w", err)
	}
	return t.String(), h.String(), nil
}
