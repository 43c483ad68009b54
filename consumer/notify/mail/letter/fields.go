package letter

import (
	"slices"
	"strconv"
	"strings"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/summary"
	"supernats/consumer/wording"
)

// Headers for filters of mailboxes, beside the standard ones. In a digest those
// with several values list them with commas, fieldAlert and fieldProcess are
// left out, and so is a list that is too long for a header.
const (
	fieldKind     = "X-Supernats-Notification" // firing, update or resolved
	fieldCount    = "X-Supernats-Notifications"
	fieldEvents   = "X-Supernats-Events"
	fieldAlert    = "X-Supernats-Alert"
	fieldRule     = "X-Supernats-Rule"
	fieldSeverity = "X-Supernats-Severity" // of several the worst
	fieldHost     = "X-Supernats-Host"
	fieldProcess  = "X-Supernats-Process"
)

// fields are those by which a mailbox can sort the mail.
func fields(batch []*notify.Notification) []Field {
	type notification = notify.Notification
	// all lists what the notifications of a batch have of something.
	all := func(value func(*notification) string) string {
		var list []string
		seen, size := make(map[string]bool), 0
		for _, n := range batch {
			v := value(n)
			if v == "" || seen[v] {
				continue
			}
			if len(batch) > 1 {
				v = summary.Short(v)
			}
			if size += len(v) + 2; size > maxField && len(list) > 0 {
				return ""
			}
			seen[value(n)] = true
			list = append(list, v)
		}
		return strings.Join(list, ", ")
	}
	list := []Field{
		{fieldKind, all(func(n *notification) string { return n.Type[strings.LastIndexByte(n.Type, '.')+1:] })},
		{fieldRule, all(func(n *notification) string { return n.Data.Rule })},
		{fieldSeverity, summary.Worst(batch)},
		{fieldHost, all(func(n *notification) string { return n.Data.Host })},
	}
	if a := batch[0].Data; summary.IsOneIncident(batch) {
		list = append(list, Field{fieldAlert, a.Incident}, Field{fieldProcess, wording.ProcessName(a.Group, a.Process)})
	}
	if len(batch) > 1 {
		events := 0
		for _, n := range batch {
			events += len(n.Data.Events)
		}
		list = append(list, Field{fieldCount, strconv.Itoa(len(batch))}, Field{fieldEvents, strconv.Itoa(events)})
	}

	for i := range list {
		list[i].Value = summary.HeaderValue(wording.Clip(list[i].Value, maxField))
	}
	return slices.DeleteFunc(list, func(f Field) bool { return f.Value == "" })
}
