package rules

import (
	"slices"
	"strings"
	"unicode/utf8"

	"supernats/schema"
)

const (
	// maxListed is how many events are in one notification at most.
	maxListed = 500
	// maxHeld is how many events of one alert are kept while it is held back.
	maxHeld = 10_000
	// halfLogs is how much of the logs of the first events of a notification is
	// kept, and of those of the last: with a limit of 1 MiB for a message there is
	// room for them, for 500 events and for the texts of the rule.
	halfLogs = 128 << 10
	// maxLogs bounds the logs in all events that are not told yet.
	maxLogs = 64 << 20
)

// unsent are the events of an alert that are in no notification yet.
type unsent struct {
	events []schema.AlertEvent
	// logs is the size of all logs kept, tail of those from the event tailFrom on,
	// up to which the beginning is kept; cut is the next to lose its logs.
	logs, tail, tailFrom, cut int
}

// add appends an event, whose logs may take up to a number of bytes.
func (u *unsent) add(ev schema.AlertEvent, budget int) {
	size := 0
	if ev.Log != nil {
		ev.Log = fit(ev.Log)
		size = logSize(ev.Log)
	}
	if size > budget {
		ev.Log, size = nil, 0
	}
	u.events = append(u.events, ev)
	u.logs += size
	last := len(u.events) - 1
	if u.tailFrom == 0 && u.logs > halfLogs && last > 0 {
		u.tailFrom, u.cut, u.tail = last, last, 0
	}
	if u.tailFrom == 0 {
		return
	}
	for u.tail += size; u.tail > halfLogs && u.cut < last; u.cut++ {
		e := &u.events[u.cut]
		n := logSize(e.Log)
		e.Log, u.tail, u.logs = nil, u.tail-n, u.logs-n
	}
}

// drop removes the first events.
func (u *unsent) drop(n int) {
	rest := u.events[n:]
	*u = unsent{}
	for _, e := range rest {
		u.add(e, maxLogs)
	}
}

// logSize is what logs take in JSON, where a control character takes six bytes.
func logSize(l *schema.Log) int {
	if l == nil {
		return 0
	}
	return textSize(l.Stdout) + textSize(l.Stderr)
}

func textSize(s string) int {
	n := len(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\n' || c == '\t' || c == '\r' || c == '"' || c == '\\':
			n++
		case c < 0x20:
			n += 5
		}
	}
	return n
}

// fit cuts logs that would be too long for one message, at their beginning.
func fit(l *schema.Log) *schema.Log {
	if logSize(l) <= halfLogs {
		return l
	}
	return &schema.Log{Stdout: tailOf(l.Stdout), Stderr: tailOf(l.Stderr)}
}

func tailOf(s string) string {
	const most = halfLogs / 2
	n, i := 0, len(s)
	for i > 0 {
		size := textSize(s[i-1 : i])
		if n += size; n > most {
			break
		}
		i--
	}
	for i < len(s) && i > 0 && !utf8.RuneStart(s[i]) {
		i++
	}
	return strings.Clone(s[i:])
}

// take returns the first events.
func (u *unsent) take(n int) []schema.AlertEvent {
	events := slices.Clone(u.events[:n])
	u.drop(n)
	return events
}
