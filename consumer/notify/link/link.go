// Package link makes the addresses that a notification leads to: its incident on the web
// page, the form that acknowledges it, the form of a silence filled in for it, and the
// runbook of its rule. To open one changes nothing.
//
// All but the runbook need an external_url. An address has no more than maxURL characters,
// all of them ASCII and none of them markup in a mail, in a chat or in HTML, whatever names
// hosts invent. One that would be longer, or a runbook that is no address of the web, is
// left out: a cut address leads to another place, and a silence with fewer names silences
// more.
package link

import (
	"net/url"
	"strings"

	"supernats/consumer/notify"
	"supernats/consumer/web/site"
	"supernats/schema"
)

// maxURL is how long an address may be: Outlook opens none beyond 2,083 characters.
const maxURL = 2000

// Annotations of a rule that hold the address of its runbook, the first that there is.
var runbookAnnotations = []string{"runbook_url", "runbook"}

// Links are the addresses of one notification; "" where there is none.
type Links struct {
	// Incident is the page of the incident, with everything that is known of it.
	Incident string
	// Acknowledge is the form on it that stops repeats, Silence a form for a silence of
	// the same host, group, process and rule. What is over has neither, nor has a test.
	Acknowledge, Silence string
	// Runbook is what the rule's annotation runbook_url or runbook says.
	Runbook string
}

// Link is one of them, with a word for people.
type Link struct{ Name, URL string }

// List returns those that there are, in the order in which people want them.
func (l Links) List() []Link {
	list := make([]Link, 0, 4)
	for _, one := range []Link{
		{"Incident", l.Incident},
		{"Acknowledge", l.Acknowledge},
		{"Silence", l.Silence},
		{"Runbook", l.Runbook},
	} {
		if one.URL != "" {
			list = append(list, one)
		}
	}
	return list
}

// Of returns the links of a notification.
func Of(from notify.Identity, n *notify.Notification) Links {
	a := n.Data
	l := Links{Runbook: runbook(a.Annotations)}
	if from.URL == "" || a.Incident == "" {
		return l
	}

	path := site.AlertPath(a.Incident)
	l.Incident = address(from, path)
	if n.Type != schema.TypeAlertResolved && !isTest(a) {
		l.Acknowledge = address(from, path+"#ack")
		l.Silence = address(from, site.NewMutePath(a.Host, a.Group, a.Process, a.Rule))
	}
	return l
}

// isTest reports whether a notification is of `supernats test-alert`: no alert is open then.
func isTest(a *schema.Notification) bool {
	return len(a.Events) > 0 && a.Events[0].Event == schema.EventTest
}

// OfEach returns the links of each notification of a batch. Of several about one incident
// only the last has any: what it says holds now.
func OfEach(from notify.Identity, batch []*notify.Notification) []Links {
	all := make([]Links, len(batch))
	seen := make(map[string]bool, len(batch))
	for i := len(batch) - 1; i >= 0; i-- {
		if id := batch[i].Data.Incident; !seen[id] {
			seen[id] = true
			all[i] = Of(from, batch[i])
		}
	}
	return all
}

// OfOneIncident returns the links of the incident that all of a batch is about; ok says
// whether there is only one.
func OfOneIncident(from notify.Identity, batch []*notify.Notification) (l Links, ok bool) {
	last := batch[len(batch)-1]
	for _, n := range batch {
		if n.Data.Incident != last.Data.Incident {
			return Links{}, false
		}
	}
	return Of(from, last), true
}

// OfIncident returns the links of all that a batch says of one alert.
func OfIncident(from notify.Identity, i *notify.Incident) Links {
	return Of(from, &notify.Notification{Type: i.Type, Data: i.Alert})
}

// Alerts is the list of all open alerts, "" without an external_url.
func Alerts(from notify.Identity) string {
	if from.URL == "" {
		return ""
	}
	return address(from, "/alerts")
}

// Annotate adds the addresses to annotations that have none of that name, for programs that
// know no better place for them. The runbook's is there already.
func (l Links) Annotate(notes map[string]string) {
	for name, value := range map[string]string{
		"incident_url": l.Incident, "ack_url": l.Acknowledge, "silence_url": l.Silence,
	} {
		if value != "" && notes[name] == "" {
			notes[name] = value
		}
	}
}

// address is that of a path of the page.
func address(from notify.Identity, path string) string {
	return harmless(strings.TrimRight(from.URL, "/") + path)
}

// runbook is the address that the rule's author gave.
func runbook(annotations map[string]string) string {
	for _, name := range runbookAnnotations {
		text := strings.TrimSpace(annotations[name])
		if text == "" || len(text) > maxURL {
			continue
		}
		u, err := url.Parse(text)
		if err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") {
			return harmless(u.String())
		}
	}
	return ""
}

const (
	// kept are the characters beside letters and digits that stay as they are. What RFC 3986
	// allows too and is not here, ' ( ) *, ends or begins something in Markdown.
	kept = "-._~:/?#[]@!$&+,;=%"
	// loose are those that programs that look for addresses in a text leave out at the end.
	loose = ".,;:!"
)

// harmless writes every character that could be markup, or end an address in a text, as
// %HH: a browser asks for the same. It returns "" for what is too long.
func harmless(address string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(address) {
		c := address[i]
		isLast := i == len(address)-1
		if isAlphanumeric(c) || strings.IndexByte(kept, c) >= 0 && !(isLast && strings.IndexByte(loose, c) >= 0) {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
	}
	if b.Len() > maxURL {
		return ""
	}
	return b.String()
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
