package letter

import (
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"supernats/consumer/notify/mail/letter/custom"
	"supernats/consumer/notify/mail/lettertest"
	"supernats/schema"
)

func writeLinked(t *testing.T, batch []*notification) Letter {
	t.Helper()
	l, err := NewWriter(&custom.Templates{}, linked, time.UTC).Write(batch, happened.Add(10*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestGoldenLinks compares mails with links with those of testdata.
func TestGoldenLinks(t *testing.T) {
	crashed := firing(func(a *schema.Notification) {
		a.Annotations = map[string]string{"runbook_url": "https://wiki.example.com/api"}
		a.Events[0].Log = &schema.Log{Stderr: "ZeroDivisionError: division by zero\n"}
	})
	for name, list := range map[string][]*notification{"linked": batch(crashed), "linked-digest": append(lettertest.Mixed(), crashed)} {
		l := writeLinked(t, list)
		golden(t, name+".txt", l.Text)
		golden(t, name+".html", l.HTML)
	}
}

// Where a thumb reaches: after the first lines and before what the process wrote.
func TestLinksComeBeforeTheLog(t *testing.T) {
	n := firing(func(a *schema.Notification) { a.Events[0].Log = &schema.Log{Stderr: "division by zero\n"} })
	l := writeLinked(t, batch(n))
	for _, body := range []string{l.Text, l.HTML} {
		order := []string{
			"exited unexpectedly", "Since", "/alerts/web1%2Fapi%2Fapi_00%2Funexpected-exit%2F1", "#ack", "/mutes/new?group=api", "division by zero",
		}
		if i := strings.Index(body, "<body"); i > 0 {
			body = body[i:]
		}
		at := 0
		for _, want := range order {
			i := strings.Index(body[at:], want)
			if i < 0 {
				t.Fatalf("%q is missing, or not after those of %q before it, in\n%s", want, order, body)
			}
			at += i
		}
	}
}

// urls are the addresses of a body.
var urls = regexp.MustCompile(`https://ops\.example\.com/[^\s"<]*`)

// TestDigestLinksEachIncident: an incident that lacks its link is one that nobody opens.
func TestDigestLinksEachIncident(t *testing.T) {
	list := storm(30)
	l := writeLinked(t, list)
	for _, body := range []string{l.Text, html.UnescapeString(l.HTML)} {
		found := map[string]int{}
		for _, u := range urls.FindAllString(body, -1) {
			found[u]++
		}
		if len(found) != len(list)+1 || found[linked.URL+"alerts"] != 1 {
			t.Errorf("%d addresses of %d incidents and of all: %v", len(found), len(list), found)
		}
	}
}

// TestWhatIsOverIsNotSilenced: its incident is all that is left to open.
func TestWhatIsOverIsNotSilenced(t *testing.T) {
	n := recovered("web1", "api", "api", 270*time.Second, 17)
	got := urls.FindAllString(writeLinked(t, batch(n)).Text, -1)
	if len(got) != 1 || !strings.HasPrefix(got[0], linked.URL+"alerts/") {
		t.Errorf("links are %q", got)
	}
	// Of one incident that began and is over, too.
	both := batch(crash("web1", "api", "api", 0, code(3)), n)
	both[0].Data.Incident = n.Data.Incident
	if got := urls.FindAllString(writeLinked(t, both).Text, -1); len(got) != 1 || got[0] != writeLinkedIncident(t, n) {
		t.Errorf("links are %q", got)
	}
}

func writeLinkedIncident(t *testing.T, n *notification) string {
	t.Helper()
	return urls.FindString(writeLinked(t, batch(n)).Text)
}

// Without an external_url a mail has no link but the rule's own.
func TestNoLinksWithoutAnAddress(t *testing.T) {
	for _, list := range [][]*notification{batch(firing()), storm(3)} {
		l := write(t, list)
		if strings.Contains(l.Text+l.HTML, "://") || strings.Contains(l.HTML, "<a ") {
			t.Errorf("%s\n%s", l.Text, l.HTML)
		}
	}
	runbook := firing(func(a *schema.Notification) {
		a.Annotations = map[string]string{"runbook": "https://wiki.example.com/a?b&c"}
	})
	l := write(t, batch(runbook))
	mustContain(t, l.Text, "\n  Runbook  https://wiki.example.com/a?b&c\n")
	mustContain(t, l.HTML, `<a href="https://wiki.example.com/a?b&amp;c" `, ">Runbook</a>")
}

func TestTemplatesHaveLinks(t *testing.T) {
	own, err := keys{
		Subject: "x", Text: "Open {{.Links.Incident}} {{.Page}}{{range .Alerts}}\n{{range .Links.List}}{{.Name}} {{.URL}}\n{{end}}{{end}}",
		HTML: `{{range .Alerts}}<a href="{{.Links.Acknowledge}}">{{.Who}}</a>{{end}}`,
	}.parse()
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewWriter(own, linked, time.UTC).Write(batch(firing()), happened)
	if err != nil {
		t.Fatal(err)
	}
	const incident = "https://ops.example.com/supernats/alerts/web1%2Fapi%2Fapi_00%2Funexpected-exit%2F1"
	want := "Open " + incident + " https://ops.example.com/supernats/alerts\nIncident " + incident + "\nAcknowledge " + incident + "#ack\n" +
		"Silence https://ops.example.com/supernats/mutes/new?group=api&host=web1&process=api_00&rule=unexpected-exit\n"
	if l.Text != want {
		t.Errorf("text %q, want %q", l.Text, want)
	}
	if want := `<a href="` + incident + `#ack">api:api_00 on web1</a>`; l.HTML != want {
		t.Errorf("page %q, want %q", l.HTML, want)
	}
}
