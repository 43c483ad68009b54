package letter

import (
	"slices"

	"supernats/consumer/notify"
	"supernats/schema"
)

// subjectOf is what an alert is about: two of one rule about one process, of which one
// opened after the other had closed, are one thing to whom reads.
type subjectOf struct{ rule, host, group, process string }

// fold makes one notification of all that a batch says about one thing, in the order of
// the last ones: how it stands at the end, with the events of all. No mail says of one
// process both that it crashed and that it has recovered. Nothing of the events is lost.
func fold(batch []*notify.Notification) []*notify.Notification {
	list := make([]*notify.Notification, 0, len(batch))
	at := make(map[subjectOf]int, len(batch))
	own := make(map[*notify.Notification]bool) // the events of which may be appended to
	for _, n := range batch {
		key := subjectOf{n.Data.Rule, n.Data.Host, n.Data.Group, n.Data.Process}
		if i, ok := at[key]; ok {
			joined := join(list[i], n, own[list[i]])
			delete(own, list[i])
			n, list[i], own[joined] = joined, nil, true
		}
		at[key] = len(list)
		list = append(list, n)
	}
	return slices.DeleteFunc(list, func(n *notify.Notification) bool { return n == nil })
}

// join is the later one of two notifications with what the earlier one says besides.
func join(before, n *notify.Notification, own bool) *notify.Notification {
	joined, data, was := *n, *n.Data, *before.Data
	joined.Data = &data
	if !own {
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
		joined.Type = before.Type // the first that anybody hears of it
	}
	return &joined
}

func joinRecurring(was, is *schema.Notification) *schema.Recurring {
	a, b := was.Recurring, is.Recurring
	switch {
	case a == nil && b != nil && len(was.Events) > 0:
		r := *b
		r.Times += len(was.Events)
		if first := was.Events[0].Time; first.Before(r.Since.Time) {
			r.Since = first
		}
		return &r
	case a == nil || b == nil:
		return b
	}
	r := *b
	r.Times, r.Since, r.Unlisted, r.Reopened = a.Times+b.Times, a.Since, a.Unlisted+b.Unlisted, max(a.Reopened, b.Reopened)
	if a.RunMS > 0 && b.RunMS > 0 {
		r.RunMS = (a.RunMS*int64(a.Times) + b.RunMS*int64(b.Times)) / int64(r.Times)
	}
	return &r
}
