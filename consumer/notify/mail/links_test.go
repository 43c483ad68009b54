package mail

import (
	"bytes"
	"html"
	"regexp"
	"strings"
	"testing"

	"supernats/consumer/notify/link"
	"supernats/consumer/notify/mail/lettertest"
	"supernats/consumer/notify/mail/smtptest"
	"supernats/schema"
)

// TestLinksArriveWhole: a long address is one line of the text that a reader sees, and
// none that a server breaks (RFC 5322: 998 bytes, 78 if it can be).
func TestLinksArriveWhole(t *testing.T) {
	linked := identity
	linked.URL = "https://" + strings.Repeat("monitoring.", 20) + "example.com/supernats/"
	n := firing(func(a *schema.Notification) {
		a.Process = strings.Repeat("api=é \"<", 25)
		a.Incident = "unexpected-exit/web1/" + a.Process
		a.Annotations = map[string]string{"runbook_url": "https://wiki.example.com/" + strings.Repeat("a", 900) + "?x=1&y=2#z"}
	})

	s := serve(t, smtptest.Options{})
	rs, err := New(config(t, s, TLSNone), linked)
	if err != nil {
		t.Fatal(err)
	}
	if err := rs[0].Notify(t.Context(), lettertest.Batch(n)); err != nil {
		t.Fatal(err)
	}
	m := one(t, s)

	links := link.Of(linked, n).List()
	if len(links) != 4 {
		t.Fatalf("links are %q", links)
	}
	hrefs := regexp.MustCompile(`<a href="([^"]*)"`).FindAllStringSubmatch(m.HTML, -1)
	for i, l := range links {
		if !regexp.MustCompile(`(?m)^  ` + l.Name + ` +` + regexp.QuoteMeta(l.URL) + `\r?$`).MatchString(m.Text) {
			t.Errorf("%s is not on a line of its own in\n%s", l.URL, m.Text)
		}
		if len(hrefs) != len(links) || html.UnescapeString(hrefs[i][1]) != l.URL {
			t.Errorf("links of the page are %q, want %q", hrefs, links)
		}
	}
	_, bodies, _ := bytes.Cut(m.Data, []byte("\r\n\r\n"))
	for line := range bytes.Lines(bodies) {
		if len(line) > 78+2 {
			t.Errorf("line of %d bytes: %.120q", len(line), line)
		}
	}
}
