package letter

import (
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/wording"
)

// replayBefore is how far before the first event the command looks.
const replayBefore = 10 * time.Minute

// command is one to investigate with. It quotes the names of the notifications as they
// came. Its times are absolute: a reader in the morning would find nothing in the last
// hour.
func command(batch []*notify.Notification) string {
	a := batch[0].Data
	host, sameIncident := a.Host, true
	for _, n := range batch {
		sameIncident = sameIncident && n.Data.Incident == a.Incident
		if n.Data.Host != host {
			host = ""
		}
	}

	s := "supernats replay"
	if !sameIncident {
		s = "supernats alerts"
	}
	if host != "" {
		s += wording.Option("host", host)
	}
	if sameIncident && a.Process != "" {
		s += wording.Option("process", a.Process)
	} else if sameIncident && a.Group != "" {
		s += wording.Option("group", a.Group)
	}

	first := firstTime(batch)
	if first.IsZero() {
		return s + " --since 1h"
	}
	return s + " --since " + first.UTC().Add(-replayBefore).Format(time.RFC3339)
}

// firstTime is when what a batch reports began, the zero time if that is not known.
func firstTime(batch []*notify.Notification) time.Time {
	var first time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	for _, n := range batch {
		// What is new in a digest begins with its events; an alert that is open for days
		// would have the command list them all.
		if len(n.Data.Events) > 0 {
			earlier(n.Data.Events[0].Time.Time)
		}
		if len(batch) == 1 || len(n.Data.Events) == 0 {
			earlier(n.Data.Opened.Time)
		}
	}
	return first
}
