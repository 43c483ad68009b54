package alerts

import (
	"slices"

	"supernats/consumer/rules"

	"supernats/schema"
)

// Published says under which sequence the stream of notifications has one: by that
// people can see which receivers have taken it. It is to be called before Changed.
func (g *Engine) Published(n *schema.Notification, seq uint64) {
	i := slices.IndexFunc(g.set.Rules, func(r *rules.Rule) bool { return r.Name == n.Rule })
	if i < 0 || seq == 0 {
		return
	}
	own := rules.Key{Rule: i, Host: n.Host, Group: n.Group, Process: n.Process}
	inc := g.incidents[own]
	if inc == nil || inc.rec.Incident != n.Incident {
		inc = g.incidents[crowdOf(g.set.Rules[i], own)] // whose names are not in the notification
	}
	if inc == nil || inc.rec.Incident != n.Incident {
		return
	}
	if inc.rec.FirstSeq == 0 || inc.rec.Notifications == 1 {
		inc.rec.FirstSeq = seq
	}
	inc.rec.LastSeq = seq
}
