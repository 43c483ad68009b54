package tables

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"

	"supernats/consumer/terminal"
	"supernats/consumer/timeline"
	"supernats/consumer/wording"
)

// PrintTimeline writes the story of an alert: what it is about, its facts, what the processes
// wrote last, and what is missing.
func PrintTimeline(w *os.File, t *timeline.Timeline, now time.Time) error {
	width := terminal.Width(w)
	var head strings.Builder
	head.WriteString(terminal.Hanging(t.Title, 0, width))
	for _, row := range summaryOf(t, now) {
		if row[1] != "" {
			head.WriteString(terminal.Pad(row[0], summaryIndent) + terminal.Hanging(row[1], summaryIndent, width))
		}
	}
	if _, err := fmt.Fprintln(w, head.String()); err != nil {
		return err
	}

	if err := Facts(t.Facts, now).Print(w); err != nil {
		return err
	}

	var tail strings.Builder
	for _, o := range t.LastOutput() {
		at := o.Time
		title := fmt.Sprintf("Last output of %s on %s, %s", o.Who, o.Channel, wording.Date(&at))
		tail.WriteString("\n" + terminal.Hanging(title, 0, width))
		for _, line := range o.Lines {
			tail.WriteString("    " + terminal.Hanging(line, 4, width))
		}
	}
	for _, warning := range t.Warnings {
		tail.WriteString("\n" + terminal.Hanging(warning, 0, width))
	}
	_, err := w.WriteString(tail.String())
	return err
}

// summaryIndent is where the values of a summary begin.
const summaryIndent = 10

func summaryOf(t *timeline.Timeline, now time.Time) [][2]string {
	state := t.State(now)
	if t.Closed != nil {
		state = "closed " + wording.Date(t.Closed) + " after " + wording.Span(t.Lasted(now))
	}
	opened := t.Opened
	return [][2]string{
		{"alert", t.Incident},
		{"rule", wording.Join(", ", t.Rule, t.Severity)},
		{"opened", wording.Date(&opened)},
		{"state", state},
		{"reason", t.Ended},
		{"events", fmt.Sprint(t.Count)},
		{"runbook", t.Runbook},
	}
}

// Facts shows what happened, one after the other.
func Facts(facts []timeline.Fact, now time.Time) *terminal.Table {
	t := &terminal.Table{
		Columns: []string{"TIME", "WHO", "WHAT"}, Colored: "WHAT", Now: now,
		Flexible: map[string]int{"WHO": terminal.WideName, "WHAT": terminal.WideText},
	}
	for i := range facts {
		f := &facts[i]
		t.Add(levelColor(f.Level), wording.Date(&f.Time), cmp.Or(f.Who(), wording.None), f.Text)
	}
	return t
}

func levelColor(level string) terminal.Color {
	switch level {
	case timeline.LevelBad:
		return terminal.Red
	case timeline.LevelGood:
		return terminal.Green
	}
	return terminal.Grey
}
