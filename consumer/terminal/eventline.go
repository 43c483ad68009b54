package terminal

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/wording"
	"supernats/schema"
)

// eventColumns are the columns of events. Their widths are fixed, since the rows to come
// are not known; a longer name moves what follows it.
type eventColumns struct {
	time                 string
	host, process, event int
	// shortStates says that states are written without their prefix.
	shortStates bool
}

var (
	wideEvents   = eventColumns{time: "2006-01-02 15:04:05.000", host: 15, process: 22, event: 30}
	narrowEvents = eventColumns{time: "01-02 15:04:05", host: 10, process: 16, event: 8, shortStates: true}
)

// wideScreen is the width from which there is room for wideEvents and a reason.
const wideScreen = 120

// continued is the indentation of the second line of an event.
const continued = "    "

// line returns an event as a row of a table. A narrow screen gets neither the year nor the
// fraction of the second nor the prefix of states, and then fewer details, those that say
// least first; what is left continues on the next line.
func (p *EventPrinter) line(ce *schema.CloudEvent[*schema.Event]) string {
	columns := wideEvents
	if p.width > 0 && p.width < wideScreen {
		columns = narrowEvents
	}

	e := ce.Data
	process := ""
	switch {
	case e.Process != "":
		process = wording.ProcessName(e.Group, e.Process)
	case e.Group != "":
		process = e.Group
	}
	event := e.Event
	if columns.shortStates {
		event = strings.TrimPrefix(event, "PROCESS_STATE_")
	}
	paint := func(s string) string { return s }
	if p.colored {
		paint = func(s string) string { return "\x1b[" + eventColor(e) + "m" + s + "\x1b[0m" }
	}

	l := eventLine{width: p.width}
	l.putField(ce.Time.Local().Format(columns.time)+" ", nil)
	l.putField(Pad(cellText(e.Host), columns.host), nil)
	l.putField(Pad(cellText(process), columns.process), nil)
	l.putField(Pad(cellText(event), columns.event), paint)
	l.putDetails(detailsOf(e))
	return strings.ReplaceAll(l.text.String(), noBreak, " ")
}

// eventLine is an event that is written into one line, or more where a screen is narrow.
type eventLine struct {
	text strings.Builder
	// width is that of the screen, 0 if there is no limit; taken is how much of the
	// current line is used.
	width, taken int
	// gap is the number of spaces before the next field: none are left at the end of a
	// line.
	gap int
}

// putField appends a field, and begins a line with it if there is no more room.
func (l *eventLine) putField(field string, paint func(string) string) {
	word := strings.TrimRight(field, " ")
	if paint == nil {
		paint = func(s string) string { return s }
	}
	if l.width > 0 && l.taken > 0 && l.taken+l.gap+textWidth(word) > l.width {
		l.breakLine()
	}

	if word != "" {
		l.text.WriteString(strings.Repeat(" ", l.gap))
		l.taken += l.gap
		l.gap = 0
		for i, part := range l.breakField(word) {
			if i > 0 {
				l.breakLine()
			}
			l.text.WriteString(paint(part))
			l.taken += textWidth(part)
		}
	}
	l.gap += textWidth(field) - textWidth(word) + 1
}

// breakField returns the parts of a word, several if it is longer than a line.
func (l *eventLine) breakField(word string) []string {
	if l.width == 0 {
		return []string{word}
	}
	return wrap(word, max(1, l.width-l.taken))
}

func (l *eventLine) breakLine() {
	l.text.WriteString("\n" + continued)
	l.taken, l.gap = len(continued), 0
}

// putDetails appends the details that there is room for, and all that are not spare.
func (l *eventLine) putDetails(list []detail) {
	if l.width == 0 {
		l.putField(joinDetails(list), nil)
		return
	}

	for textWidth(joinDetails(list)) > l.width-l.taken-l.gap {
		i := slices.IndexFunc(list, func(d detail) bool { return d.spare })
		if i < 0 {
			break
		}
		list = slices.Delete(list, i, i+1)
	}

	for i, line := range wrap(joinDetails(list), max(l.width-len(continued), usualWidth/4)) {
		if i > 0 {
			l.breakLine()
		}
		l.putField(line, nil)
	}
}

func joinDetails(list []detail) string {
	words := make([]string, len(list))
	for i, d := range list {
		words[i] = cellText(d.text)
	}
	return strings.Join(words, ", ")
}

func eventColor(e *schema.Event) string {
	switch {
	case e.UnexpectedExit(), e.Event == schema.ProcessStateFatal:
		return "31" // red
	case e.Event == schema.ProcessStateBackoff:
		return "33" // yellow
	case e.Event == schema.ProcessStateRunning:
		return "32" // green
	}
	return "0"
}

// detail is something that an event says beside what happened to whom. A spare one is left
// out where there is no room for it.
type detail struct {
	text  string
	spare bool
}

// detailsOf returns the details of an event.
func detailsOf(e *schema.Event) (list []detail) {
	add := func(format string, args ...any) {
		list = append(list, detail{text: fmt.Sprintf(format, args...)})
	}
	addSpare := func(format string, args ...any) {
		list = append(list, detail{text: fmt.Sprintf(format, args...), spare: true})
	}

	// What became of a process.
	if e.Expected != nil {
		add("%s", map[bool]string{true: "expected", false: "unexpected"}[*e.Expected])
	}
	if e.Exit != nil {
		add("%s", wording.Reason(e.Exit))
	}
	if e.FromState != "" {
		addSpare("from %s", e.FromState)
	}
	if e.PID != 0 {
		addSpare("pid %d", e.PID)
	}
	if e.Tries != nil && *e.Tries > 0 {
		addSpare("try %d", *e.Tries)
	}

	// What other events carry.
	if e.Type != "" {
		add("type %s", e.Type)
	}
	if e.When != nil {
		addSpare("%s", time.Unix(*e.When, 0).Local().Format(time.TimeOnly))
	}
	if s := wording.Ran(e.Ran); s != "" {
		addSpare("%s", s)
	}
	if e.Part > 0 {
		addSpare("part %d of %d", e.Part, e.Parts)
	}
	if e.Data != nil && *e.Data != "" {
		add("%s", strconv.Quote(*e.Data))
	}
	if len(e.DataBase64) > 0 {
		add("%d bytes that are no text", len(e.DataBase64))
	}
	return list
}
