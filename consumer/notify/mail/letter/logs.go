package letter

import (
	"slices"
	"strings"

	"supernats/consumer/notify/mail/summary"
	"supernats/consumer/wording"
	"supernats/schema"
)

// logTail is what a process wrote last, as it came.
type logTail struct{ name, text string }

// addLogs gives the worst alerts their logs: maxLogAlerts that are different, and all that
// are the same as one of those. The same text has the same lines.
func (d *Data) addLogs(r *report) {
	limit := maxLog
	if len(r.raw) > 1 {
		limit = maxDigestLog
	}

	lines, shown := map[string][]string{}, 0
	for _, i := range summary.ByWeight(r.clean) {
		tails := tailsOf(r.raw[i].Data)
		isNew := slices.ContainsFunc(tails, func(t logTail) bool { return lines[t.text] == nil })
		if isNew && shown == maxLogAlerts {
			continue
		}
		for _, t := range tails {
			if lines[t.text] == nil {
				lines[t.text] = strings.Split(wording.Log(t.text, limit), "\n")
			}
			d.Alerts[i].Logs = append(d.Alerts[i].Logs, Log{t.name, lines[t.text]})
		}
		if isNew {
			shown++
		}
	}
}

// tailsOf are the logs of the last event that has any; those of the others are in the
// stream.
func tailsOf(a *schema.Notification) []logTail {
	for i := len(a.Events) - 1; i >= 0; i-- {
		l := a.Events[i].Log
		if l == nil {
			continue
		}

		var tails []logTail
		for _, t := range [...]logTail{{"stderr", l.Stderr}, {"stdout", l.Stdout}} {
			if !wording.IsBlankLog(t.text) {
				tails = append(tails, t)
			}
		}
		if tails != nil {
			return tails
		}
	}
	return nil
}

// maxLogOwners is how many alerts are named above a log.
const maxLogOwners = 3

// shownLog is a log with whose it is, "" where there is only one alert. What several
// processes wrote alike is shown once.
type shownLog struct {
	Log
	Of string

	alerts int
}

// shownLogs are the logs of all alerts, those of the worst first.
func shownLogs(r *report, d *Data) []shownLog {
	type key struct {
		name string
		line *string // the same text has the same lines, see addLogs
	}
	found := map[key]int{}
	var list []shownLog
	for _, i := range summary.ByWeight(r.clean) {
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
			if shown.alerts++; len(r.clean) > 1 && shown.alerts <= maxLogOwners {
				shown.Of = wording.Join(", ", shown.Of, a.Who)
			}
		}
	}

	for i := range list {
		l := &list[i]
		if others := l.alerts - maxLogOwners; others > 0 && l.Of != "" {
			l.Of += " and " + wording.Count(others, "other", "others")
		}
	}
	return list
}
