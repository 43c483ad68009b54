// Package pulse watches how events arrive from supervisord: whether it is silent
// (Silence), whether it hands events on late or drops them (Lag, LateDeaths), whether they
// come in a burst (Burst); and whether it answers (Answers) and is about to end (Ending).
//
// Under pressure: each event costs a few comparisons on supervisord's path, and no memory.
// In a rush, supervisord's log is read beside it, and maxLate deaths are remembered.
package pulse

import (
	"bytes"
	"strconv"
	"time"
)

// Troubles reports what is wrong, and that it is over. Either may be called again.
type Troubles interface {
	Raise(cause, text, fix string)
	Clear(cause string)
}

// ticks are the events that supervisord sends by the clock, and their periods.
var ticks = map[string]time.Duration{"TICK_5": 5 * time.Second, "TICK_60": time.Minute, "TICK_3600": time.Hour}

// TickLate returns how late a tick is read, and whether the event is one.
func TickLate(event string, payload []byte, now time.Time) (late time.Duration, ok bool) {
	if ticks[event] == 0 {
		return 0, false
	}
	return now.Sub(tickTime(payload, now)), true
}

// tickTime is when a tick was due (events.py TickEvent.payload); otherwise if it does not
// say.
func tickTime(payload []byte, otherwise time.Time) time.Time {
	value, ok := bytes.CutPrefix(payload, []byte("when:"))
	n, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
	if !ok || err != nil {
		return otherwise
	}
	return time.Unix(n, 0)
}
