package letter

import (
	"slices"
	"strings"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema"
)

// Data is what the templates subject, text and html see. Every string in it is
// clean: one visible line of bounded length, so a template cannot let a hostile
// name or log look like a line of its own. Nothing of the configuration is in
// it, no address of a recipient and no password.
type Data struct {
	// Kind is firing, update or resolved, and digest if there are several alerts.
	Kind string
	// Subject and Sentence are what supernats itself would write: the subject,
	// and the first sentence of the text.
	Subject, Sentence string
	// Severity is the worst of the alerts.
	Severity string
	// Firing, Updates and Resolved count the notifications of each kind, Events
	// the events listed in all of them, Late those that happened long ago.
	Firing, Updates, Resolved, Events, Late int
	// Alerts are the notifications, at least one, in the order in which they were
	// made.
	Alerts []Alert
	// Command is one to look further with.
	Command string
	// Supernats is who sends: "mon1, version 1.2.3". Time is that of the mail.
	Supernats string
	Time      time.Time
}

// Alert is one notification in a Data.
type Alert struct {
	// Kind is firing, update or resolved. ID is that of the incident.
	Kind, ID       string
	Rule, Severity string
	// Host, Group and Process are empty in an alert about several of them;
	// Address is an address of the host, where known.
	Host, Address, Group, Process string
	// Who is whom it is about, "api:api_00 on web1", Sentence what happened to
	// whom: "api:api_00 on web1 exited unexpectedly (exit code 3)".
	Who, Sentence string
	// Summary and Description are the annotations of that name, the latter in
	// lines.
	Summary     string
	Description []string
	// Opened and Closed (zero while it is open) bound the incident, Open is how
	// long it was or has been open: "4m30s".
	Opened, Closed time.Time
	Open           string
	// Count is how many events matched since the alert opened, Events are those
	// that were not told before; an alert may have none.
	Count  int
	Events []Event
	// Labels and Annotations are those of the rule. A key that is not there is an
	// error in {{.Labels.team}} and empty in {{index .Labels "team"}}.
	Labels, Annotations map[string]string
	// Logs are what the process wrote last. In a digest the worst few alerts have
	// them, and all whose logs are the same as one of those.
	Logs []Log
}

// Event is one matched event of an Alert.
type Event struct {
	ID string
	// Time is that of At in words, "2026-11-21 20:00:31.833 CET". All times are in the
	// zone of the receiver.
	Time string
	At   time.Time
	// Host, Group and Process say whose event it is, Name is both as supervisorctl
	// writes them: "api:api_00".
	Host, Group, Process, Name string
	// Event is supervisor's name, PROCESS_STATE_EXITED, Reason why the process
	// died or how much was lost: "exit code 3", "SIGKILL, core dumped".
	Event, Reason, FromState string
	PID                      int
	// Ran is how long that life of the process lasted, 0 where that is not known.
	Ran time.Duration
	// Exit is why the process died, in parts.
	Exit Exit
	// Last is the last look at the process, nil where there was none: {{with .Last}}.
	Last *schema.Look
	// Late is how long ago it happened if it was told late, "3h", else empty.
	Late string
	// HostTime is what the host's clock said, where that is wrong by more than a
	// minute, else zero. Fix is what to do about a trouble.
	HostTime time.Time
	Fix      string
}

// Exit is the reason of a death. What is not known is empty, and 0 is a code only if
// Known.
type Exit struct {
	Known            bool
	Code             int
	Signal, SpawnErr string
	Core             bool
	// Source is pidfd or log, empty where the bridge does not say.
	Source string
	// OOM is nil unless memory ran out: {{with .Exit.OOM}}{{.Cgroup}} has {{bytes .Limit}}{{end}}.
	// By itself it is "out of memory at 2.0 of 2 GiB".
	OOM *schema.OOM
}

// Log holds lines, so that a template can indent them: a log cannot draw a line
// that looks like the mail's own.
type Log struct {
	// Name is stdout or stderr.
	Name  string
	Lines []string
}

// Text is all lines.
func (t Log) Text() string { return strings.Join(t.Lines, "\n") }

// kind is the last word of a notification's type.
func kind(typ string) string {
	return wording.Clip(typ[strings.LastIndexByte(typ, '.')+1:], maxSubjectName)
}

func newData(batch []*schema.CloudEvent[*schema.Notification], from notify.Identity, now time.Time) *Data {
	d := &Data{
		Severity: wording.Cell(worst(batch), maxField),
		Command:  command(batch), Time: now,
		Supernats: wording.Clip(strings.Trim(from.Instance+", version "+from.Version, ", "), maxField),
		Alerts:    make([]Alert, len(batch)),
	}
	d.Subject, d.Sentence = words(batch)
	d.Kind = kind(batch[0].Type)
	if len(batch) > 1 {
		d.Kind = "digest"
	}
	for i, n := range batch {
		switch n.Type {
		case schema.TypeAlertUpdate:
			d.Updates++
		case schema.TypeAlertResolved:
			d.Resolved++
		default:
			d.Firing++
		}
		a := newAlert(n, now)
		for j := range a.Events {
			if a.Events[j].Late != "" {
				d.Late++
			}
		}
		d.Events += len(a.Events)
		d.Alerts[i] = a
	}
	limit := maxLog
	if len(batch) > 1 {
		limit = maxDigestLog
	}
	d.addLogs(batch, limit)
	return d
}

// addLogs gives the worst alerts their logs, each of up to limit bytes: maxLogAlerts
// that are different, and all that are the same as one of those. The same text has the
// same lines.
func (d *Data) addLogs(batch []*schema.CloudEvent[*schema.Notification], limit int) {
	lines, told := map[string][]string{}, 0
	for _, i := range byWeight(batch) {
		tails := tails(batch[i].Data)
		isNew := slices.ContainsFunc(tails, func(t row) bool { return lines[t.Value] == nil })
		if isNew && told == maxLogAlerts {
			continue
		}
		for _, t := range tails {
			if lines[t.Value] == nil {
				lines[t.Value] = strings.Split(wording.Log(t.Value, limit), "\n")
			}
			d.Alerts[i].Logs = append(d.Alerts[i].Logs, Log{t.Name, lines[t.Value]})
		}
		if isNew {
			told++
		}
	}
}

func newAlert(n *schema.CloudEvent[*schema.Notification], now time.Time) Alert {
	a := n.Data
	v := Alert{
		Kind: kind(n.Type), ID: wording.Clip(a.Incident, maxField),
		Rule: wording.Cell(a.Rule, maxField), Severity: wording.Cell(a.Severity, maxField),
		Host: wording.Cell(a.Host, maxField), Address: wording.Cell(a.Labels[notify.LabelAddress], maxSubjectName),
		Group: wording.Cell(a.Group, maxField), Process: wording.Cell(a.Process, maxField),
		Who: partyOf(a).String(), Sentence: sentence(n),
		Summary: summaryOf(a), Description: wording.Lines(a.Annotations["description"], maxParagraph, maxParagraphLine),
		Opened: a.Opened.In(now.Location()), Open: openFor(a, n.Time.Time),
		Count: a.Count, Labels: cleanMap(a.Labels), Annotations: cleanMap(a.Annotations),
		Events: make([]Event, len(a.Events)),
	}
	if a.Closed != nil {
		v.Closed = a.Closed.In(now.Location())
	}
	for i := range a.Events {
		v.Events[i] = newEvent(a, &a.Events[i], now)
	}
	return v
}

func newEvent(a *schema.Notification, ev *schema.AlertEvent, now time.Time) Event {
	o := originOf(a, ev)
	v := Event{
		ID: wording.Cell(ev.ID, maxField), Time: stamp(ev.Time.Time, now), At: ev.Time.In(now.Location()),
		Host: wording.Cell(o.host, maxSubjectName), Group: wording.Cell(o.group, maxSubjectName), Process: wording.Cell(o.process, maxSubjectName),
		Event: wording.Cell(ev.Event, maxSubjectName), Reason: wording.Cell(reason(ev), maxReason), FromState: wording.Cell(ev.FromState, maxSubjectName),
		PID: ev.PID,
	}
	v.Name, v.Fix = wording.ProcessName(v.Group, v.Process), wording.Clip(ev.Fix, maxField)
	v.Exit, v.Last = newExit(ev.Exit), ev.Last
	if ev.Ran != nil {
		v.Ran = schema.Lasted(*ev.Ran)
	}
	if ev.HostTime != nil {
		v.HostTime = ev.HostTime.In(now.Location())
	}
	if ev.Late {
		v.Late = wording.Rounded(max(0, now.Sub(ev.Time.Time)))
	}
	return v
}

func newExit(x *schema.Exit) Exit {
	if x == nil {
		return Exit{}
	}
	v := Exit{Known: true, Signal: wording.Cell(x.Signal, maxSubjectName), SpawnErr: wording.Cell(x.SpawnErr, maxField), Core: x.Core, Source: wording.Cell(x.Source, maxSubjectName)}
	if x.Code != nil {
		v.Code = *x.Code
	}
	if x.OOM != nil {
		v.OOM = &schema.OOM{Cgroup: wording.Cell(x.OOM.Cgroup, maxField), Limit: x.OOM.Limit, Peak: x.OOM.Peak}
	}
	return v
}

func cleanMap(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	clean := make(map[string]string, len(m))
	for k, v := range m {
		clean[wording.Cell(k, maxSubjectName)] = wording.Clip(v, maxField)
	}
	return clean
}

// tails are the logs of the last event that has any; those of the others are in the
// stream.
func tails(a *schema.Notification) []row {
	for i := len(a.Events) - 1; i >= 0; i-- {
		l := a.Events[i].Log
		if l == nil {
			continue
		}
		var tails []row
		for _, t := range [...]row{{"stderr", l.Stderr}, {"stdout", l.Stdout}} {
			if !wording.IsBlankLog(t.Value) {
				tails = append(tails, t)
			}
		}
		if tails != nil {
			return tails
		}
	}
	return nil
}

// command is one to look further with. Its times are absolute: who reads the
// mail in the morning would find nothing in the last hour.
func command(batch []*schema.CloudEvent[*schema.Notification]) string {
	a := batch[0].Data
	host, same := a.Host, true
	var first time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	for _, n := range batch {
		same = same && n.Data.Incident == a.Incident
		if n.Data.Host != host {
			host = ""
		}
		// What a digest tells anew begins with its events; an alert that is open
		// for days would have the command list them all.
		if len(n.Data.Events) > 0 {
			earlier(n.Data.Events[0].Time.Time)
		}
		if len(batch) == 1 || len(n.Data.Events) == 0 {
			earlier(n.Data.Opened.Time)
		}
	}
	s := "supernats replay"
	if !same {
		s = "supernats alerts"
	}
	if host != "" {
		s += wording.Option("host", host)
	}
	if same && a.Process != "" {
		s += wording.Option("process", a.Process)
	} else if same && a.Group != "" {
		s += wording.Option("group", a.Group)
	}
	if first.IsZero() {
		return s + " --since 1h"
	}
	return s + " --since " + first.UTC().Add(-replayBefore).Format(time.RFC3339)
}
