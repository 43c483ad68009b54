package chat

import (
	"encoding/json"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/notify"
	"supernats/consumer/notify/link"
	"supernats/consumer/notify/notifytest"
	"supernats/schema"
)

// Links as each service writes them: the name is the first part, the address the second.
var (
	slackLink    = regexp.MustCompile(`<([^|>]*)\|([^>]*)>`)
	telegramLink = regexp.MustCompile(`<a href="([^"]*)">([^<]*)</a>`)
	discordLink  = regexp.MustCompile(`(?:^|[^\\])\[([^\]\\]*)\]\(<([^>]*)>\)`)
	bareLink     = regexp.MustCompile(`https://mon1\.example\.com/\S*`)
)

// linksOf finds the links of a message, each as "name address".
func linksOf(t *testing.T, service string, body []byte) []string {
	t.Helper()
	var list []string
	switch service {
	case "slack":
		for _, m := range slackLink.FindAllStringSubmatch(field("text")(t, body), -1) {
			list = append(list, m[2]+" "+html.UnescapeString(m[1]))
		}
	case "telegram":
		for _, m := range telegramLink.FindAllStringSubmatch(field("text")(t, body), -1) {
			list = append(list, m[2]+" "+html.UnescapeString(m[1]))
		}
	case "discord":
		for _, m := range discordLink.FindAllStringSubmatch(field("content")(t, body), -1) {
			list = append(list, m[1]+" "+m[2])
		}
	case "teams":
		var m teamsMessage
		if err := json.Unmarshal(body, &m); err != nil {
			t.Fatal(err)
		}
		card := m.Attachments[0].Content
		for _, p := range card.Body {
			for _, run := range p.Inlines {
				if run.SelectAction != nil {
					list = append(list, run.Text+" "+run.SelectAction.URL)
				}
			}
		}
		for _, a := range card.Actions {
			list = append(list, a.Title+" "+a.URL)
		}
	case "ntfy":
		var m ntfyMessage
		if err := json.Unmarshal(body, &m); err != nil {
			t.Fatal(err)
		}
		for _, address := range bareLink.FindAllString(m.Message, -1) {
			list = append(list, "Incident "+address)
		}
		if m.Click != "" {
			list = append(list, "click "+m.Click)
		}
		for _, a := range m.Actions {
			list = append(list, a.Label+" "+a.URL)
		}
	}
	return list
}

func TestLinksOfOneIncident(t *testing.T) {
	runbook := func(a *schema.Notification) {
		a.Annotations = map[string]string{"runbook_url": "https://wiki.example.com/api"}
	}
	const incident = "https://mon1.example.com/alerts/a%2F1"
	all := []string{
		"Incident " + incident, "Acknowledge " + incident + "#ack",
		"Silence https://mon1.example.com/mutes/new?group=api&host=web1&process=api_00&rule=unexpected-exit",
		"Runbook https://wiki.example.com/api",
	}
	for _, c := range []struct {
		name  string
		from  notify.Identity
		batch []*notify.Notification
		want  []string
	}{
		{name: "it fires", from: linked, batch: []*notify.Notification{notifytest.Firing("a/1", runbook)}, want: all},
		{name: "it fires and goes on", from: linked, batch: []*notify.Notification{
			notifytest.Firing("a/1", runbook), notifytest.Notification(schema.TypeAlertUpdate, "a/1", 2, runbook),
		}, want: all},
		{name: "it is over", from: linked, batch: []*notify.Notification{
			notifytest.Firing("a/1"), notifytest.Notification(schema.TypeAlertResolved, "a/1", 2),
		}, want: all[:1]},
		{name: "a runbook without external_url", from: id, batch: []*notify.Notification{notifytest.Firing("a/1", runbook)}, want: all[3:]},
		{name: "nothing", from: id, batch: []*notify.Notification{notifytest.Firing("a/1")}},
	} {
		for _, s := range services {
			t.Run(c.name+"/"+s.name, func(t *testing.T) {
				body := send(t, func(url string) (notify.Receiver, error) { return s.make(url, httpConfig(time.Minute), c.from) }, c.batch...).Body
				want := slices.Clone(c.want)
				if s.name == "ntfy" && len(want) > 0 {
					want[0] = strings.Replace(want[0], "Incident ", "click ", 1)
				}
				if diff := cmp.Diff(want, linksOf(t, s.name, body)); diff != "" {
					t.Errorf("links (-want +got):\n%s\n%s", diff, body)
				}
			})
		}
	}
}

// TestLinksOfSeveral: each incident has its link; where there is no room for them, what
// happened is not cut for a link, and the last line leads to all.
func TestLinksOfSeveral(t *testing.T) {
	for _, s := range services {
		t.Run(s.name, func(t *testing.T) {
			get := func(n int) (string, []string) {
				body := send(t, func(url string) (notify.Receiver, error) { return s.make(url, httpConfig(time.Minute), linked) }, notifytest.Many(n)...).Body
				return s.text(t, body), linksOf(t, s.name, body)
			}

			_, links := get(5)
			incidents := 0
			for _, l := range links {
				if strings.HasPrefix(l, "Incident https://mon1.example.com/alerts/unexpected-exit%2Fweb") {
					incidents++
				}
			}
			if incidents != 5 {
				t.Errorf("%d of 5 incidents are linked: %q", incidents, links)
			}

			text, links := get(1000)
			if last := links[len(links)-1]; !strings.HasSuffix(last, " https://mon1.example.com/alerts") {
				t.Errorf("the last link is %q", last)
			}
			body := send(t, func(url string) (notify.Receiver, error) { return s.make(url, httpConfig(time.Minute), id) }, notifytest.Many(1000)...).Body
			with, without := strings.Count(text, "\n"), strings.Count(s.text(t, body), "\n")
			if with < without-1 {
				t.Errorf("%d lines with links, %d without", with, without)
			}
		})
	}
}

// TestNamesStayOutOfLinks: no name becomes a link, ends one or changes where it leads.
func TestNamesStayOutOfLinks(t *testing.T) {
	evil := append([]string{
		"x|y>", "](<https://evil.example>)", "[Incident](<https://evil.example>)", "<https://evil.example|Incident>",
		`" onclick="x`, `<a href="https://evil.example">Incident</a>`, "https://evil.example/ · Incident",
	}, notifytest.Hostile...)
	for _, s := range services {
		for i, name := range evil {
			if len(name) > 1000 {
				continue // has no links
			}
			t.Run(fmt.Sprintf("%s/%d", s.name, i), func(t *testing.T) {
				n := notifytest.Firing(name+"/1", func(a *schema.Notification) {
					a.Host, a.Group, a.Process, a.Rule = name, name, name, name
					a.Annotations = map[string]string{"summary": name, "runbook": "https://wiki.example.com/" + name}
				})
				body := send(t, func(url string) (notify.Receiver, error) { return s.make(url, httpConfig(time.Minute), linked) }, n).Body
				var want []string
				for _, l := range link.Of(linked, n).List() {
					want = append(want, l.Name+" "+l.URL)
				}
				if s.name == "ntfy" {
					want[0] = strings.Replace(want[0], "Incident ", "click ", 1)
				}
				if diff := cmp.Diff(want, linksOf(t, s.name, body)); diff != "" {
					t.Errorf("links (-want +got):\n%s\n%s", diff, body)
				}
			})
		}
	}
}
