package app

import (
	"fmt"
	"time"

	"supernats/schema"
)

// logBudget bounds the logs that the notifications of one host take in the stream of
// alerts: one that crashes all the time with long logs must not push out what others
// have there. Beyond it notifications say where the log is.
type logBudget struct {
	begun time.Time
	used  map[string]int // bytes, by host
}

const (
	// hostLogs is how much of logs a host may have within logsEvery.
	hostLogs  = 8 << 20
	logsEvery = time.Hour
)

// take cuts the logs of events of an alert for which there is nothing left.
func (b *logBudget) take(a *schema.Notification, at time.Time) {
	if b.used == nil || at.Sub(b.begun).Abs() >= logsEvery {
		b.begun, b.used = at, map[string]int{}
	}
	for i := range a.Events {
		e := &a.Events[i]
		if e.Log == nil {
			continue
		}
		host := a.Host
		if host == "" {
			host = e.Host
		}
		size := len(e.Log.Stdout) + len(e.Log.Stderr)
		if b.used[host]+size > hostLogs {
			e.Log = &schema.Log{Stderr: fmt.Sprintf("(left out: %s has sent more than %d MiB of logs within an hour; supernats replay --host %[1]s has it)\n", host, hostLogs>>20)}
			continue
		}
		b.used[host] += size
	}
}
