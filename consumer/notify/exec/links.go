package exec

import (
	"supernats/consumer/notify"
	"supernats/consumer/notify/link"
)

// linked is a notification with its links, where it has any, as extension attributes of
// CloudEvents: their names have lower-case letters only.
type linked struct {
	*notify.Notification

	Incident    string `json:"incidenturl,omitempty"`
	Acknowledge string `json:"ackurl,omitempty"`
	Silence     string `json:"silenceurl,omitempty"`
	Runbook     string `json:"runbookurl,omitempty"`
}

func withLinks(batch []*notify.Notification, from notify.Identity) []linked {
	list := make([]linked, len(batch))
	for i, n := range batch {
		l := link.Of(from, n)
		list[i] = linked{n, l.Incident, l.Acknowledge, l.Silence, l.Runbook}
	}
	return list
}

// linkVariables are the variables with the address of the web page and, if a batch is about
// one incident, with its links. There is none for what has no address.
func linkVariables(batch []*notify.Notification, from notify.Identity) []string {
	l, _ := link.OfOneIncident(from, batch)
	var env []string
	for _, v := range []struct{ name, value string }{
		{"SUPERNATS_URL", from.URL},
		{"SUPERNATS_INCIDENT_URL", l.Incident},
		{"SUPERNATS_ACK_URL", l.Acknowledge},
		{"SUPERNATS_SILENCE_URL", l.Silence},
		{"SUPERNATS_RUNBOOK_URL", l.Runbook},
	} {
		if v.value != "" {
			env = append(env, v.name+"="+v.value)
		}
	}
	return env
}
