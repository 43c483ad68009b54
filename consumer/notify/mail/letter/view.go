package letter

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clipperhouse/displaywidth"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
	"supernats/schema"
)

const (
	// replayBefore is how far before the first event the command looks.
	replayBefore = 10 * time.Minute
	// whyLate is why an event is told long after it happened: the bridge had it
	// in its spool.
	whyLate = "told now because it waited on its host until NATS could be reached"
)

// view is what the built-in templates see.
type view struct {
	*Data
	// Before are the words of the rule's author; they come first. After are those
	// to a sentence that has begun with them already.
	Before, After []string
	// LateNews is a sentence about what is late, empty if nothing is.
	LateNews string
	Rows     []row
	Lists    []*list
	Logs     []shownLog
}

type row struct{ Name, Value string }

// Pad are the spaces behind a name that make it as wide as the widest.
func (v *view) Pad(name string) string {
	width := 0
	for _, r := range v.Rows {
		width = max(width, displaywidth.String(r.Name))
	}
	return strings.Repeat(" ", width-displaywidth.String(name))
}

// shownLog is a log with whose it is, "" where there is only one alert. What several
// processes wrote alike is shown once.
type shownLog struct {
	Log
	Of string

	alerts int
}

func newView(batch []*schema.CloudEvent[*schema.Notification], d *Data) *view {
	v := &view{Data: d}
	v.LateNews = v.lateNews()
	if len(batch) == 1 {
		v.single(batch[0])
	} else {
		v.digest(batch)
	}
	v.row("supernats", d.Supernats)
	v.Logs = shownLogs(batch, d)
	return v
}

// Colors of the badge of a page: white on them can be read in the light and in the dark.
const (
	colorBad    = "#b3261e"
	colorUneasy = "#8a5300"
	colorGood   = "#1b6e3c"
	colorCalm   = "#5c6066"
)

// Badge is how bad it is in a word, Color that of the word.
func (v *view) Badge() string {
	if v.Resolved == len(v.Alerts) {
		return "RESOLVED"
	}
	return strings.ToUpper(cmp.Or(v.Severity, "alert"))
}

// Color implements the page's.
func (v *view) Color() string {
	switch {
	case v.Resolved == len(v.Alerts):
		return colorGood
	case weight(v.Severity) <= weight("error"):
		return colorBad
	case weight(v.Severity) == weight("warning"):
		return colorUneasy
	}
	return colorCalm
}

// maxLogOwners is how many alerts are named above a log.
const maxLogOwners = 3

// shownLogs are the logs of all alerts, those of the worst first.
func shownLogs(batch []*schema.CloudEvent[*schema.Notification], d *Data) []shownLog {
	type key struct {
		name string
		line *string // the same text has the same lines, see addLogs
	}
	found := map[key]int{}
	var list []shownLog
	for _, i := range byWeight(batch) {
		a := &d.Alerts[i]
		for _, l := range a.Logs {
			k := key{l.Name, &l.Lines[0]}
			at, ok := found[k]
			if !ok {
				at = len(list)
				found[k] = at
				list = append(list, shownLog{Log: l})
			}
			shown := &list[at]
			if shown.alerts++; len(batch) > 1 && shown.alerts <= maxLogOwners {
				shown.Of += ", " + a.Who
			}
		}
	}
	for i := range list {
		l := &list[i]
		l.Of = strings.TrimPrefix(l.Of, ", ")
		if others := l.alerts - maxLogOwners; others > 0 && l.Of != "" {
			l.Of += " and " + wording.Count(others, "other", "others")
		}
	}
	return list
}

// lateNews says what is late, and why.
func (v *view) lateNews() string {
	if v.Late == 0 {
		return ""
	}
	oldest := v.Time
	for i := range v.Alerts {
		for j := range v.Alerts[i].Events {
			if ev := &v.Alerts[i].Events[j]; ev.Late != "" && ev.At.Before(oldest) {
				oldest = ev.At
			}
		}
	}
	ago := wording.Rounded(v.Time.Sub(oldest)) + " ago, " + whyLate + "."
	switch {
	case v.Events == 1:
		return "Late: happened " + ago
	case v.Late == 1:
		return "Late: 1 event happened " + ago
	}
	return "Late: " + strconv.Itoa(v.Late) + " events happened up to " + ago
}

func (v *view) row(name, value string) {
	if value != "" {
		v.Rows = append(v.Rows, row{name, value})
	}
}

// single fills in what a mail about one notification shows.
func (v *view) single(n *schema.CloudEvent[*schema.Notification]) {
	a, d := n.Data, &v.Alerts[0]
	switch {
	case d.Summary != "" && strings.Contains(v.Sentence, d.Summary):
		v.After = d.Description
	case d.Summary != "":
		v.Before = append([]string{d.Summary}, d.Description...)
	default:
		v.Before = d.Description
	}
	host := d.Host
	if d.Address != "" {
		host = strings.TrimSpace(host + " (" + d.Address + ")")
	}
	v.row("Host", host)
	v.row("Group", d.Group)
	v.row("Process", d.Process)
	if len(d.Events) > 0 && n.Type != schema.TypeAlertResolved {
		v.event(a, &d.Events[len(d.Events)-1])
	}
	v.row("Rule", d.Rule)
	v.row("Severity", d.Severity)
	if n.Type != schema.TypeAlertFiring || len(d.Events) == 0 {
		v.row("Open since", when(a.Opened.Time, v.Time))
	}
	if a.Closed != nil {
		v.row("Closed", when(a.Closed.Time, v.Time))
	}
	if a.Count > 1 {
		v.row("Events", strconv.Itoa(a.Count)+" since the alert opened")
	}
	for _, key := range sorted(a.Labels) {
		if key != notify.LabelAddress {
			v.row(wording.Cell(key, maxSubjectName), wording.Clip(a.Labels[key], maxField))
		}
	}
	for _, key := range sorted(a.Annotations) {
		if key != "summary" && key != "description" {
			v.row(wording.Cell(key, maxSubjectName), wording.Clip(a.Annotations[key], maxField))
		}
	}
	if ev := wording.LastEvent(a); ev != nil {
		v.row("supervisord", wording.Cell(ev.Server, maxField))
	}
	v.list(n, d)
}

// event shows the one that the alert is told by.
func (v *view) event(a *schema.Notification, ev *Event) {
	if a.Process == "" && ev.Name != "" || a.Host == "" && ev.Host != "" {
		v.row("Last of", party{host: ev.Host, group: ev.Group, process: ev.Process}.String())
	}
	if ev.PID != 0 {
		v.row("PID", strconv.Itoa(ev.PID))
	}
	v.row("From state", ev.FromState)
	// In full: tables cut it shorter.
	v.row("Reason", wording.Clip(reason(wording.LastEvent(a)), maxField))
	if ev.Exit.OOM != nil {
		v.row("Cgroup", ev.Exit.OOM.Cgroup)
	}
	v.row("Ran for", strings.TrimPrefix(wording.Ran(wording.LastEvent(a).Ran), "ran "))
	v.row("Last look", wording.LastLook(wording.LastEvent(a)))
	v.row("To fix it", wording.Clip(ev.Fix, maxField))
	v.row("Time", when(ev.At, v.Time))
	if !ev.HostTime.IsZero() {
		v.row("By its clock", stamp(ev.HostTime, v.Time))
	}
	v.row("Event", ev.Event)
	v.row("Event ID", ev.ID)
}

// list shows the events of a notification if the rows have not told all of them.
func (v *view) list(n *schema.CloudEvent[*schema.Notification], d *Alert) {
	unlisted := more(n) + 1 - len(d.Events)
	if len(d.Events) < 2 && (n.Type == schema.TypeAlertFiring || len(d.Events) == 0) {
		return
	}
	title := "Events:"
	switch n.Type {
	case schema.TypeAlertUpdate:
		title = "Since the last mail:"
	case schema.TypeAlertResolved:
		title = "Not told before:"
	}
	t := newList(title, len(d.Events)+1)
	several := d.Host == "" || d.Process == ""
	for i := range d.Events {
		ev := &d.Events[i]
		who := ""
		if several {
			who = ev.who()
		}
		t.event(ev.when(v.Time), who, ev.why(n.Data, &n.Data.Events[i]))
	}
	if len(d.Events) > 1 && unlisted > 0 {
		t.note(wording.Count(unlisted, "more event is", "more events are") + " not listed")
	}
	v.Lists = append(v.Lists, t)
}

// who is whose event it is.
func (ev *Event) who() string {
	return party{host: ev.Host, group: ev.Group, process: ev.Process}.String()
}

// when is its time and its age, and that it is late if it is.
func (ev *Event) when(mail time.Time) string {
	s := when(ev.At, mail)
	if ev.Late != "" {
		s += ", late"
	}
	return s
}

// what says what it means and why it is so.
func (ev *Event) what(a *schema.Notification, record *schema.AlertEvent) string {
	if record.Lost > 0 {
		return "lost at least " + wording.Count(record.Lost, "event", "events") + details(wording.LossCause(record.Cause))
	}
	words := ev.Event
	if p, ok := wording.OfEvent(a.Rule, record); ok {
		words = p.One
	}
	return strings.TrimSpace(words + details(withRan(record, ev.Reason)))
}

// why says it below a sentence that has said what happened last.
func (ev *Event) why(a *schema.Notification, record *schema.AlertEvent) string {
	said, ok := wording.OfAlert(a)
	if p, known := wording.OfEvent(a.Rule, record); ok && known && p == said && ev.Reason != "" && record.Lost == 0 {
		return withRan(record, ev.Reason)
	}
	return ev.what(a, record)
}

func sorted(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
