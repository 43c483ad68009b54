package alerts

import (
	"slices"
	"strings"
	"unicode/utf8"

	"supernats/consumer/rules"
	"supernats/schema"
)

const (
	// maxListed is how many events are in one notification at most.
	maxListed = rules.MaxCount
	// maxHeld is how many events of one alert are kept while it is held back.
	maxHeld = 10_000
	// halfLogs is how much of the logs of the first events of a notification is
	// kept, and of those of the last: with a limit of 1 MiB for a message there is
	// room for them, for 500 events and for the texts of the rule.
	halfLogs = 128 << 10
	// maxLog is how much is kept of the logs of one event: whoever reads the message
	// wants to see why, and a stream of notifications must not fill with logs.
	maxLog = 16 << 10
	// maxLogs bounds the logs in all events that are not told yet.
	maxLogs = 64 << 20
)

// unsent are the events of an alert that are in no notification yet.
type unsent struct {
	events []schema.AlertEvent
	sizes  []int // of their logs
	// logs is the size of all logs kept, tail of those from the event tailFrom on,
	// up to which the beginning is kept; cut is the next to lose its logs.
	logs, tail, tailFrom, cut int
}

// keep changes what an alert has to tell, and counts what that takes.
func (g *Engine) keep(inc *incident, change func(*unsent)) {
	logs, events := inc.unsent.logs, len(inc.unsent.events)
	change(&inc.unsent)
	g.logs += inc.unsent.logs - logs
	g.untold += len(inc.unsent.events) - events
}

// add appends an event, whose logs may take up to a number of bytes.
func (u *unsent) add(ev schema.AlertEvent, budget int) {
	size := 0
	ev.Log, size = fit(ev.Log)
	if size > budget {
		ev.Log, size = nil, 0
	}
	u.events, u.sizes = append(u.events, ev), append(u.sizes, size)
	u.logs += size
	last := len(u.events) - 1
	if u.tailFrom == 0 && u.logs > halfLogs && last > 0 {
		u.tailFrom, u.cut, u.tail = last, last, 0
	}
	if u.tailFrom == 0 {
		return
	}
	for u.tail += size; u.tail > halfLogs && u.cut < last; u.cut++ {
		n := u.sizes[u.cut]
		u.events[u.cut].Log, u.sizes[u.cut] = nil, 0
		u.tail, u.logs = u.tail-n, u.logs-n
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

// remove drops one event that is neither the first nor the last.
func (u *unsent) remove(i int) {
	size := u.sizes[i]
	u.events, u.sizes = slices.Delete(u.events, i, i+1), slices.Delete(u.sizes, i, i+1)
	u.logs -= size
	switch {
	case u.tailFrom == 0:
		return
	case u.tailFrom > i:
		u.tailFrom--
	default:
		u.tail -= size
	}
	if u.cut > i {
		u.cut--
	}
}

// sizeInJSON is what a byte takes, where a control character takes six.
var sizeInJSON = func() (n [256]uint8) {
	for c := range n {
		switch {
		case c == '\n' || c == '\t' || c == '\r' || c == '"' || c == '\\':
			n[c] = 2
		case c < 0x20:
			n[c] = 6
		default:
			n[c] = 1
		}
	}
	return n
}()

func textSize(s string) int {
	n := 0
	for i := range len(s) {
		n += int(sizeInJSON[s[i]])
	}
	return n
}

// fit cuts logs that would be too long for one message, at their beginning, and
// returns what they take.
func fit(l *schema.Log) (*schema.Log, int) {
	if l == nil {
		return nil, 0
	}
	if n := textSize(l.Stdout) + textSize(l.Stderr); n <= maxLog {
		return l, n
	}
	l = &schema.Log{Stdout: tailOf(l.Stdout), Stderr: tailOf(l.Stderr)}
	return l, textSize(l.Stdout) + textSize(l.Stderr)
}

func tailOf(s string) string {
	const most = maxLog / 2
	n, i := 0, len(s)
	for i > 0 {
		if n += int(sizeInJSON[s[i-1]]); n > most {
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
