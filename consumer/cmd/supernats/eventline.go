package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/schema"
)

// eventColumns are the columns of events, which are fixed since the rows to come are
// not known. A longer name moves what follows it.
type eventColumns struct {
	time                 string
	host, process, event int
	// states are written without their prefix.
	states bool
}

var (
	wideEvents   = eventColumns{time: "2006-01-02 15:04:05.000", host: 15, process: 22, event: 30}
	narrowEvents = eventColumns{time: "01-02 15:04:05", host: 10, process: 16, event: 8, states: true}
)

// wideScreen is from which width there is room for wideEvents and a reason.
const wideScreen = 120

// continued is how far the second line of an event is indented.
const continued = "    "

// line prints an event as a row of a table. On a narrow screen the year, the fraction
// of the second and the prefix of states are left out, and then details, those first
// that say least; what is left is continued on the next line.
func (p *printer) line(ce *schema.CloudEvent[*schema.Event]) {
	columns := wideEvents
	if p.width > 0 && p.width < wideScreen {
		columns = narrowEvents
	}

	e := ce.Data
	who := ""
	switch {
	case e.Process != "":
		who = processName(e.Group, e.Process)
	case e.Group != "":
		who = e.Group
	}
	event := e.Event
	if columns.states {
		event = strings.TrimPrefix(event, "PROCESS_STATE_")
	}
	event = padTo(cellText(event), columns.event)

	paint := func(s string) string { return s }
	if p.color {
		paint = func(s string) string { return "\x1b[" + eventColor(e) + "m" + s + "\x1b[0m" }
	}
	l := eventLine{width: p.width}
	l.put(ce.Time.Local().Format(columns.time)+" ", nil)
	l.put(padTo(cellText(e.Host), columns.host), nil)
	l.put(padTo(cellText(who), columns.process), nil)
	l.put(padTo(cellText(event), columns.event), paint)
	l.details(details(e))
	_, _ = p.w.WriteString(strings.ReplaceAll(l.text.String(), noBreak, " "))
}

// eventLine is an event that is written into one line, or more where a screen is narrow.
type eventLine struct {
	text strings.Builder
	// width is that of the screen, 0 if there is no limit, taken is what the line has.
	width, taken int
	// gap are the spaces before what comes next: none are left at the end of a line.
	gap int
}

// put appends a field, and begins a line with it if there is no more room.
func (l *eventLine) put(field string, paint func(string) string) {
	word := strings.TrimRight(field, " ")
	if l.width > 0 && l.taken > 0 && l.taken+l.gap+textWidth(word) > l.width {
		l.begin()
	}
	if word != "" {
		l.text.WriteString(strings.Repeat(" ", l.gap))
		l.taken += l.gap + textWidth(word)
		l.gap = 0
		if paint == nil {
			paint = func(s string) string { return s }
		}
		l.text.WriteString(paint(word))
	}
	l.gap += textWidth(field) - textWidth(word) + 1
}

func (l *eventLine) begin() {
	l.text.WriteString("\n" + continued)
	l.taken, l.gap = len(continued), 0
}

// details appends what there is room for, and all of it but what is spare.
func (l *eventLine) details(list []detail) {
	text := func() string {
		words := make([]string, len(list))
		for i, d := range list {
			words[i] = cellText(d.text)
		}
		return strings.Join(words, ", ")
	}
	if l.width == 0 {
		l.put(text(), nil)
		return
	}

	for textWidth(text()) > l.width-l.taken-l.gap {
		i := slices.IndexFunc(list, func(d detail) bool { return d.spare })
		if i < 0 {
			break
		}
		list = slices.Delete(list, i, i+1)
	}
	for i, line := range wrap(text(), max(l.width-len(continued), usualWidth/4)) {
		if i > 0 {
			l.begin()
		}
		l.put(line, nil)
	}
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

// detail is something else that an event says. One that is spare is left out where
// there is no room for it.
type detail struct {
	text  string
	spare bool
}

// details are what else an event says.
func details(e *schema.Event) (list []detail) {
	add := func(format string, args ...any) { list = append(list, detail{text: fmt.Sprintf(format, args...)}) }
	spare := func(format string, args ...any) {
		list = append(list, detail{text: fmt.Sprintf(format, args...), spare: true})
	}
	if e.Expected != nil {
		add("%s", map[bool]string{true: "expected", false: "unexpected"}[*e.Expected])
	}
	if e.Exit != nil {
		add("%s", reason(e.Exit))
	}
	if e.FromState != "" {
		spare("from %s", e.FromState)
	}
	if e.PID != 0 {
		spare("pid %d", e.PID)
	}
	if e.Tries != nil && *e.Tries > 0 {
		spare("try %d", *e.Tries)
	}
	if e.Type != "" {
		add("type %s", e.Type)
	}
	if e.When != nil {
		spare("%s", time.Unix(*e.When, 0).Local().Format(time.TimeOnly))
	}
	if s := ran(e.Ran); s != "" {
		spare("%s", s)
	}
	if e.Part > 0 {
		spare("part %d of %d", e.Part, e.Parts)
	}
	if e.Data != nil && *e.Data != "" {
		add("%s", strconv.Quote(*e.Data))
	}
	if len(e.DataBase64) > 0 {
		add("%d bytes that are no text", len(e.DataBase64))
	}
	return list
}
