package notify

import (
	"strconv"
	"strings"
	"time"

	"supernats/consumer/wording"
	"supernats/schema"
)

// StateNow is what a process did when the notification was made, and what comes of that:
// "FATAL, down until somebody starts it", "RUNNING since …", where moment writes a time. It
// is "" where that is not known.
func StateNow(n *Notification, moment func(time.Time) string) string {
	a := n.Data
	state := a.State
	switch {
	case state == "" && n.Type != schema.TypeAlertResolved && a.WellSince == nil:
		state = stateOfLast(a) // of an earlier version, which did not say it of an open alert
	case state == schema.StateRunning && a.StateSince != nil:
		return state + " since " + moment(a.StateSince.Time)
	}

	after := ""
	switch state {
	case schema.StateFatal:
		after = "down until somebody starts it"
	case schema.StateBackoff:
		after = "supervisord will try again"
	case schema.StateStarting:
		after = "supervisord is starting it"
	case schema.StateExited:
		if n.Type != schema.TypeAlertResolved {
			after = "down unless supervisord restarts it"
		}
	case schema.StateUnknown:
		after = "supervisord has lost it, it may still run"
	}
	return wording.Join(", ", wording.Clip(state, wording.MaxName), after)
}

// stateOfLast is the state that the last event of an alert says, where it is one that lasts.
func stateOfLast(a *schema.Notification) string {
	last := wording.LastEvent(a)
	if last == nil || last.Late || a.Process == "" {
		return ""
	}
	switch last.Event {
	case schema.ProcessStateFatal:
		return schema.StateFatal
	case schema.ProcessStateBackoff:
		return schema.StateBackoff
	}
	return ""
}

// CrashesLately is how often a process crashed before the notification was made: "3 in the
// last hour, 17 in the last 24 hours", "the first in 24 hours". Where not all of a day is known
// it says what is: "3 in the last 2 hours, before that not known". It is "" where nothing is.
func CrashesLately(n *Notification) string {
	c := n.Data.Crashes
	if c == nil || c.LastDay <= 0 {
		return ""
	}

	day, unknown := "24 hours", ""
	if c.Since != nil {
		day = wording.Span(max(n.Time.Sub(c.Since.Time), time.Minute).Round(time.Minute))
		unknown = "before that not known"
	}

	s := strconv.Itoa(c.LastDay) + " in the last " + strings.TrimPrefix(day, "1 ")
	switch {
	case c.LastDay == 1 && c.LastHour == 1 && strings.HasPrefix(day, "1 "):
		return wording.Join(", ", "the first in the last "+strings.TrimPrefix(day, "1 "), unknown)
	case c.LastDay == 1 && c.LastHour == 1:
		return wording.Join(", ", "the first in "+day, unknown)
	case !c.IsWholeHour(n.Time.Time):
	case c.LastHour == 0:
		s += ", none in the last hour"
	case c.LastHour < c.LastDay:
		s = strconv.Itoa(c.LastHour) + " in the last hour, " + s
	case c.LastDay > 1:
		s += ", all in the last hour"
	}
	return wording.Join(", ", s, unknown)
}
