package mail

import (
	"slices"
	"strconv"
	"strings"
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
	// Width is the length of the longest name in Rows.
	Width  int
	Tables []*table
	Logs   []shownLog
}

type row struct{ Name, Value string }

// shownLog is a log with whose it is, "" where there is only one alert.
type shownLog struct {
	Log
	Of string
}

func newView(batch []*schema.CloudEvent[*schema.Alert], d *Data) *view {
	v := &view{Data: d}
	v.LateNews = v.lateNews()
	if len(batch) == 1 {
		v.single(batch[0])
	} else {
		v.digest(batch)
	}
	v.row("supernats", d.Supernats)
	for _, r := range v.Rows {
		v.Width = max(v.Width, len([]rune(r.Name)))
	}
	for i := range d.Alerts {
		of := ""
		if len(batch) > 1 {
			of = d.Alerts[i].Who
		}
		for _, l := range d.Alerts[i].Logs {
			v.Logs = append(v.Logs, shownLog{l, of})
		}
	}
	return v
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
	ago := duration(v.Time.Sub(oldest)) + " ago, " + whyLate + "."
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
func (v *view) single(n *schema.CloudEvent[*schema.Alert]) {
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
		v.row("Open since", v.moment(a.Opened.Time))
	}
	if a.Closed != nil {
		v.row("Closed", v.moment(a.Closed.Time))
	}
	if a.Count > 1 {
		v.row("Events", strconv.Itoa(a.Count)+" since the alert opened")
	}
	for _, key := range sorted(a.Labels) {
		if key != notify.LabelAddress {
			v.row(cell(key, maxSubjectName), clip(a.Labels[key], maxField))
		}
	}
	for _, key := range sorted(a.Annotations) {
		if key != "summary" && key != "description" {
			v.row(cell(key, maxSubjectName), clip(a.Annotations[key], maxField))
		}
	}
	if ev := headline(a); ev != nil {
		v.row("supervisord", cell(ev.Server, maxField))
	}
	v.list(n, d)
}

// event shows the one that the alert is told by.
func (v *view) event(a *schema.Alert, ev *Event) {
	if a.Process == "" && ev.Name != "" || a.Host == "" && ev.Host != "" {
		v.row("Last of", party{host: ev.Host, group: ev.Group, process: ev.Process}.String())
	}
	if ev.PID != 0 {
		v.row("PID", strconv.Itoa(ev.PID))
	}
	v.row("From state", ev.FromState)
	// In full: tables cut it shorter.
	v.row("Reason", clip(reason(headline(a)), maxField))
	v.row("To fix it", clip(ev.Fix, maxField))
	v.row("Time", v.moment(ev.At))
	if !ev.HostTime.IsZero() {
		v.row("By its clock", ev.HostTime.Format(timeFormat))
	}
	v.row("Event", ev.Event)
	v.row("Event ID", ev.ID)
}

// list shows the events of a notification if the rows have not told all of them.
func (v *view) list(n *schema.CloudEvent[*schema.Alert], d *Alert) {
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
	t := newTable(title, len(d.Events)+1)
	several := d.Host == "" || d.Process == ""
	cells := make([]string, 0, 6*len(d.Events))
	for i := range d.Events {
		ev := &d.Events[i]
		from := len(cells)
		if several {
			cells = append(cells, ev.Time, ev.Host, ev.Name)
		} else {
			cells = append(cells, ev.Time, "", "")
		}
		cells = append(cells, ev.Event, ev.why(), ev.ID)
		t.row(cells[from:len(cells):len(cells)])
	}
	if len(d.Events) > 1 && unlisted > 0 {
		t.words("", count(unlisted, "more event is", "more events are")+" not listed")
	}
	v.Tables = append(v.Tables, t.compact())
}

// why is the last column of a table.
func (ev *Event) why() string {
	if ev.Late == "" {
		return ev.Reason
	}
	return strings.TrimSpace(ev.Reason + " (late: " + ev.Late + " ago)")
}

// moment writes a time, and its age if it is old news.
func (v *view) moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	s := t.UTC().Format(timeFormat)
	if age := v.Time.Sub(t); age > lateAfter {
		s += " (" + duration(age) + " before this mail)"
	}
	return s
}

func sorted(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
