package fit

import (
	"fmt"
	"slices"
	"time"

	"supernats/schema"
)

const (
	// hostLogs is how many bytes of logs a host may have within logsEvery.
	hostLogs  = 8 << 20
	logsEvery = time.Hour
)

// LogBudget bounds the logs that the notifications of one host take in the stream of
// alerts: a host that crashes all the time with long logs must not push out what others
// have there. A notification beyond the budget says where the log is. The zero value is
// a whole budget; it is for one goroutine.
type LogBudget struct {
	begun time.Time
	used  map[string]int // bytes since begun, by host
}

// Spend returns a copy of a notification that is made at a time, without the logs for
// which nothing is left of the budget.
func (b *LogBudget) Spend(a *schema.Notification, at time.Time) *schema.Notification {
	if b.used == nil || at.Sub(b.begun).Abs() >= logsEvery {
		b.begun = at
		b.used = map[string]int{}
	}

	bounded := *a
	bounded.Events = slices.Clone(a.Events)
	for i := range bounded.Events {
		e := &bounded.Events[i]
		if e.Log == nil {
			continue
		}
		host := a.Host
		if host == "" {
			host = e.Host
		}

		size := len(e.Log.Stdout) + len(e.Log.Stderr)
		if b.used[host]+size > hostLogs {
			e.Log = &schema.Log{Stderr: fmt.Sprintf(
				"(left out: %s has sent more than %d MiB of logs within an hour; "+
					"supernats replay --host %[1]s has it)\n", host, hostLogs>>20)}
			continue
		}
		b.used[host] += size
	}
	return &bounded
}
