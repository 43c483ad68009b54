package letter

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"supernats/consumer/notify/mail/summary"
	"supernats/consumer/wording"
)

// whyLate is why an event is reported long after it happened: the bridge had it in its
// spool.
const whyLate = "reported now because it waited on its host until NATS could be reached"

// view is what the built-in templates see. A reader who has been woken up reads it from
// the top: the sentence, the facts, what the process wrote last; then every event, the
// command, and all there is to know in a table.
type view struct {
	*Data
	// Before are the words of the rule's author; they come first. After are those to a
	// sentence that has begun with them already.
	Before, After []string
	// LateNews is a sentence about what is late, empty if nothing is.
	LateNews string
	// Facts are those that a person needs first, in a digest those of the worst alert.
	Facts []row
	// Buttons are the links that a person needs first, a name and an address each. In a
	// digest the list has those of each incident.
	Buttons []row
	Logs    []shownLog
	Lists   []*list
	Rows    []row
}

type row struct{ Name, Value string }

func newView(r *report, d *Data) *view {
	v := &view{Data: d, LateNews: d.lateNews(), Logs: shownLogs(r, d)}
	if len(r.clean) == 1 {
		v.showOne(r.clean[0])
	} else {
		v.showMany(r.clean)
	}
	v.addButtons()
	v.addRow("supernats", d.Supernats)
	return v
}

// addButtons links the incident, or all of them.
func (v *view) addButtons() {
	for _, l := range v.Links.List() {
		v.Buttons = append(v.Buttons, row{l.Name, l.URL})
	}
	if len(v.Buttons) == 0 && v.Page != "" {
		v.Buttons = append(v.Buttons, row{"All alerts", v.Page})
	}
}

// addFact adds one unless it is not known.
func (v *view) addFact(name, value string) {
	if value != "" {
		v.Facts = append(v.Facts, row{name, value})
	}
}

// addRow adds one to the table unless it is not known.
func (v *view) addRow(name, value string) {
	if value != "" {
		v.Rows = append(v.Rows, row{name, value})
	}
}

// Pad are the spaces after a name that make it as wide as the widest of its table.
func (v *view) Pad(name string, table []row) string {
	width := 0
	for _, r := range table {
		width = max(width, displaywidth.String(r.Name))
	}
	return strings.Repeat(" ", width-displaywidth.String(name))
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

// Color is that of the badge.
func (v *view) Color() string {
	switch {
	case v.Resolved == len(v.Alerts):
		return colorGood
	case summary.Weight(v.Severity) <= summary.Weight("error"):
		return colorBad
	case summary.Weight(v.Severity) == summary.Weight("warning"):
		return colorUneasy
	}
	return colorCalm
}

// lateNews says what is late, and why, "" if nothing is.
func (d *Data) lateNews() string {
	if d.Late == 0 {
		return ""
	}

	oldest := d.Time
	for i := range d.Alerts {
		for j := range d.Alerts[i].Events {
			if ev := &d.Alerts[i].Events[j]; ev.Late != "" && ev.At.Before(oldest) {
				oldest = ev.At
			}
		}
	}

	ago := wording.Rounded(d.Time.Sub(oldest)) + " ago, " + whyLate + "."
	switch {
	case d.Events == 1:
		return "Late: happened " + ago
	case d.Late == 1:
		return "Late: 1 event happened " + ago
	}
	return "Late: " + strconv.Itoa(d.Late) + " events happened up to " + ago
}
