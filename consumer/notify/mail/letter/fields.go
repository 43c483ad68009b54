package letter

import (
	"slices"
	"strconv"
	"strings"

	"supernats/consumer/notify"
	"supernats/consumer/notify/mail/summary"
	"supernats/consumer/wording"
)

// Header fields for filters of mailboxes, beside the standard ones. In a digest those with
// several values list them with commas; fieldAlert and fieldProcess are left out, and so is
// a list that is too long for a header.
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
	list := []Field{
		{fieldKind, listed(batch, func(n *notify.Notification) string {
			return n.Type[strings.LastIndexByte(n.Type, '.')+1:]
		})},
		{fieldRule, listed(batch, func(n *notify.Notification) string { return n.Data.Rule })},
		{fieldSeverity, summary.Worst(batch)},
		{fieldHost, listed(batch, func(n *notify.Notification) string { return n.Data.Host })},
	}
	if a := batch[0].Data; summary.IsOneIncident(batch) {
		list = append(list,
			Field{fieldAlert, a.Incident}, Field{fieldProcess, wording.ProcessName(a.Group, a.Process)})
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

// listed are the values that the notifications of a batch have, each once, "" if there are
// too many.
func listed(batch []*notify.Notification, value func(*notify.Notification) string) string {
	var list []string
	seen, size := make(map[string]bool), 0
	for _, n := range batch {
		full := value(n)
		if full == "" || seen[full] {
			continue
		}

		shown := full
		if len(batch) > 1 {
			shown = summary.Short(full)
		}
		if size += len(shown) + 2; size > maxField && len(list) > 0 {
			return ""
		}
		seen[full] = true
		list = append(list, shown)
	}
	return strings.Join(list, ", ")
}
