package backlog

import (
	"slices"
	"strings"
	"unicode/utf8"

	"supernats/schema"
)

const (
	// halfLogs is how much of the logs of the first events of a notification is kept, and
	// of those of the last: with a limit of 1 MiB for a message there is room for them, for
	// 500 events and for the texts of the rule.
	halfLogs = 128 << 10
	// maxLog is how much is kept of the logs of one event. People read a notification to
	// see why, and a stream of notifications must not fill with logs.
	maxLog = 16 << 10
	// maxLogs bounds the logs in all events that are not reported yet.
	maxLogs = 64 << 20
)

// List is the events of one incident that are in no notification yet. It changes through
// its Backlog only.
//
//   - sizes are those of their logs, in JSON; logs is the sum of them.
//   - Until the logs exceed halfLogs, each event keeps its own, and tailFrom is 0.
//   - Then the events before tailFrom keep theirs, and of those from tailFrom on only the
//     last do, in halfLogs bytes: tail is what they take, and cut is the next to lose its.
type List struct {
	Events              []schema.AlertEvent
	sizes               []int
	logs                int
	tail, tailFrom, cut int
}

// add appends an event, whose logs may take up to budget bytes.
func (l *List) add(ev schema.AlertEvent, budget int) {
	size := 0
	ev.Log, size = fitLog(ev.Log)
	if size > budget {
		ev.Log = nil
		size = 0
	}
	l.Events = append(l.Events, ev)
	l.sizes = append(l.sizes, size)
	l.logs += size

	last := len(l.Events) - 1
	if l.tailFrom == 0 && l.logs > halfLogs && last > 0 {
		l.tailFrom = last
		l.cut = last
		l.tail = 0
	}
	if l.tailFrom == 0 {
		return
	}
	for l.tail += size; l.tail > halfLogs && l.cut < last; l.cut++ {
		n := l.sizes[l.cut]
		l.Events[l.cut].Log = nil
		l.sizes[l.cut] = 0
		l.tail -= n
		l.logs -= n
	}
}

// drop removes the first events.
func (l *List) drop(n int) {
	rest := l.Events[n:]
	*l = List{}
	for _, e := range rest {
		l.add(e, maxLogs)
	}
}

// take removes the first events and returns them.
func (l *List) take(n int) []schema.AlertEvent {
	events := slices.Clone(l.Events[:n])
	l.drop(n)
	return events
}

// remove drops one event that is neither the first nor the last.
func (l *List) remove(i int) {
	size := l.sizes[i]
	l.Events = slices.Delete(l.Events, i, i+1)
	l.sizes = slices.Delete(l.sizes, i, i+1)
	l.logs -= size

	switch {
	case l.tailFrom == 0:
		return
	case l.tailFrom > i:
		l.tailFrom--
	default:
		l.tail -= size
	}
	if l.cut > i {
		l.cut--
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

func sizeOfText(s string) int {
	n := 0
	for i := range len(s) {
		n += int(sizeInJSON[s[i]])
	}
	return n
}

// fitLog cuts logs that are longer than maxLog at their beginning, and returns what they
// take.
func fitLog(log *schema.Log) (*schema.Log, int) {
	if log == nil {
		return nil, 0
	}
	if n := sizeOfText(log.Stdout) + sizeOfText(log.Stderr); n <= maxLog {
		return log, n
	}
	log = &schema.Log{Stdout: tailOf(log.Stdout), Stderr: tailOf(log.Stderr)}
	return log, sizeOfText(log.Stdout) + sizeOfText(log.Stderr)
}

// tailOf returns the end of a text that takes maxLog/2 bytes at most.
func tailOf(s string) string {
	const most = maxLog / 2

	start := len(s)
	for n := 0; start > 0; start-- {
		if n += int(sizeInJSON[s[start-1]]); n > most {
			break
		}
	}
	for start < len(s) && start > 0 && !utf8.RuneStart(s[start]) {
		start++
	}
	return strings.Clone(s[start:])
}
