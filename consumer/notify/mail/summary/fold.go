package summary

import (
	"slices"

	"supernats/consumer/wording"
	"supernats/schema"
)

// foldKey is what an alert is about: two of one rule about one process, of which one opened
// after the other had closed, are one thing to the reader.
type foldKey struct{ rule, host, group, process string }

// Fold makes one notification of all that a batch says about one thing, in the order of the
// last ones: how it stands at the end, with the events of all. No mail says of one process
// both that it crashed and that it has recovered. Nothing of the events is lost.
func Fold(batch []*Notification) []*Notification {
	list := make([]*Notification, 0, len(batch))
	at := make(map[foldKey]int, len(batch))
	joined := make(map[*Notification]bool) // their events may be appended to
	for _, n := range batch {
		key := foldKey{n.Data.Rule, n.Data.Host, n.Data.Group, n.Data.Process}
		if i, ok := at[key]; ok {
			before := list[i]
			n = join(before, n, joined[before])
			delete(joined, before)
			joined[n] = true
			list[i] = nil
		}
		at[key] = len(list)
		list = append(list, n)
	}
	return slices.DeleteFunc(list, func(n *Notification) bool { return n == nil })
}

// join is the later one of two notifications with what the earlier one says besides. Unless
// the earlier one is a joined one itself, its events are not ours to append to.
func join(before, n *Notification, isJoined bool) *Notification {
	joined, data, was := *n, *n.Data, *before.Data
	joined.Data = &data
	if !isJoined {
		was.Events = slices.Clone(was.Events)
	}
	data.Events = append(was.Events, data.Events...)

	if data.Incident != was.Incident {
		data.Count += was.Count
	}
	if !before.Time.Equal(n.Time.Time) { // one that had to be divided says all at its end
		data.Recurring = joinRecurring(&was, n.Data)
	}
	if was.Opened.Before(data.Opened.Time) {
		data.Opened = was.Opened
	}
	if before.Type == schema.TypeAlertFiring && n.Type == schema.TypeAlertUpdate {
		joined.Type = before.Type // the first report of it
	}
	if wording.IsAnswer(n) && !wording.IsAnswer(before) {
		joined.Type = before.Type // what it is about comes first; who takes care of it stands below
	}
	return &joined
}

func joinRecurring(was, is *schema.Notification) *schema.Recurring {
	before, now := was.Recurring, is.Recurring
	if now == nil {
		return nil
	}

	r := *now
	if before == nil {
		if len(was.Events) == 0 {
			return now
		}
		r.Times += len(was.Events)
		if first := was.Events[0].Time; first.Before(r.Since.Time) {
			r.Since = first
		}
		return &r
	}

	r.Times += before.Times
	r.Since = before.Since
	r.Unlisted += before.Unlisted
	r.Reopened = max(before.Reopened, now.Reopened)
	if before.RunMS > 0 && now.RunMS > 0 {
		r.RunMS = (before.RunMS*int64(before.Times) + now.RunMS*int64(now.Times)) / int64(r.Times)
	}
	return &r
}
