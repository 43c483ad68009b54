package link

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
	"supernats/schema"
)

var from = notify.Identity{Instance: "mon1", URL: "https://ops.example.com/supernats/"}

func TestLinks(t *testing.T) {
	runbook := func(name, value string) func(*schema.Notification) {
		return func(a *schema.Notification) { a.Annotations = map[string]string{name: value} }
	}
	for _, c := range []struct {
		name string
		from notify.Identity
		n    *notify.Notification
		want Links
	}{
		{name: "no external_url", n: notifytest.Firing("a/1")},
		{
			name: "no external_url, a runbook", n: notifytest.Firing("a/1", runbook("runbook", "https://wiki.example.com/api?x=1&y=2#z")),
			want: Links{Runbook: "https://wiki.example.com/api?x=1&y=2#z"},
		},
		{
			name: "all of them", from: from, n: notifytest.Firing("exit/web1/api/1", runbook("runbook_url", "http://wiki/api")),
			want: Links{
				Incident:    "https://ops.example.com/supernats/alerts/exit%2Fweb1%2Fapi%2F1",
				Acknowledge: "https://ops.example.com/supernats/alerts/exit%2Fweb1%2Fapi%2F1#ack",
				Silence:     "https://ops.example.com/supernats/mutes/new?group=api&host=web1&process=api_00&rule=unexpected-exit",
				Runbook:     "http://wiki/api",
			},
		},
		{
			name: "what is over is neither silenced nor acknowledged", from: from, n: notifytest.Notification(schema.TypeAlertResolved, "a", 2),
			want: Links{Incident: "https://ops.example.com/supernats/alerts/a"},
		},
		{
			name: "a test is never open", from: from,
			n: notifytest.Firing("test-alert/ops1/1", func(a *schema.Notification) {
				a.Rule, a.Host, a.Group, a.Process = "test-alert", "ops1", "", ""
				a.Events = []schema.AlertEvent{{ID: a.Incident, Event: schema.EventTest}}
			}),
			want: Links{Incident: "https://ops.example.com/supernats/alerts/test-alert%2Fops1%2F1"},
		},
		{
			name: "a silent host", from: from,
			n: notifytest.Firing("a", func(a *schema.Notification) { a.Rule, a.Group, a.Process = "host-silent", "", "" }),
			want: Links{
				Incident:    "https://ops.example.com/supernats/alerts/a",
				Acknowledge: "https://ops.example.com/supernats/alerts/a#ack",
				Silence:     "https://ops.example.com/supernats/mutes/new?host=web1&rule=host-silent",
			},
		},
		{
			name: "runbook_url comes before runbook", n: notifytest.Firing("a", func(a *schema.Notification) {
				a.Annotations = map[string]string{"runbook": "https://wiki/b", "runbook_url": " https://wiki/a\n"}
			}),
			want: Links{Runbook: "https://wiki/a"},
		},
		{
			name: "markup in a runbook", n: notifytest.Firing("a", runbook("runbook", "https://wiki/a b'(c)*|d>\"<script>`é?q=a b>)|<.")),
			want: Links{Runbook: "https://wiki/a%20b%27%28c%29%2A%7Cd%3E%22%3Cscript%3E%60%C3%A9?q=a%20b%3E%29%7C%3C%2E"},
		},
		{name: "a runbook that is no address", n: notifytest.Firing("a", runbook("runbook", "see the wiki"))},
		{name: "a runbook that is a script", n: notifytest.Firing("a", runbook("runbook", "javascript:alert(1)"))},
		{name: "a runbook without a host", n: notifytest.Firing("a", runbook("runbook", "https:///x"))},
		{name: "a runbook that is too long", n: notifytest.Firing("a", runbook("runbook", "https://wiki/"+strings.Repeat("é", 500)))},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Of(c.from, c.n)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("links (-want +got):\n%s", diff)
			}
		})
	}
}

// A name that is too long for an address must not be cut: the silence would be of another.
func TestLongNamesHaveNoLink(t *testing.T) {
	long := notifytest.Firing("a/1", func(a *schema.Notification) { a.Process = strings.Repeat("p", maxURL) })
	if l := Of(from, long); l.Silence != "" || l.Incident == "" {
		t.Errorf("%+v", l)
	}
}

// TestLast: several notifications about one incident lead to it once.
func TestLast(t *testing.T) {
	batch := []*notify.Notification{
		notifytest.Firing("a"), notifytest.Firing("b"), notifytest.Notification(schema.TypeAlertResolved, "a", 2),
	}
	got := OfEach(from, batch)
	if want := []Links{{}, Of(from, batch[1]), Of(from, batch[2])}; !cmp.Equal(want, got) {
		t.Errorf("%s", cmp.Diff(want, got))
	}
	if OfIncident(from, notify.Incidents(batch)[1]) != got[2] {
		t.Error("an incident has other links than its last notification")
	}
	if l, ok := OfOneIncident(from, batch); ok || l != (Links{}) {
		t.Errorf("two incidents have the links %+v", l)
	}
	if l, ok := OfOneIncident(from, []*notify.Notification{batch[0], batch[2]}); !ok || l != got[2] {
		t.Errorf("one incident has the links %+v, want %+v", l, got[2])
	}
}

// visit opens an address as a browser does, and returns what the page gets.
func visit(t *rapid.T, address string) (incident string, form url.Values) {
	u, err := url.Parse(address)
	if err != nil || u.String() != address || u.Host != "ops.example.com" {
		t.Fatalf("%q: %v", address, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /supernats/alerts/{id}", func(_ http.ResponseWriter, r *http.Request) { incident = r.PathValue("id") })
	mux.HandleFunc("GET /supernats/mutes/new", func(_ http.ResponseWriter, r *http.Request) { form = r.URL.Query() })
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, u.RequestURI(), nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: status %d", address, w.Code)
	}
	return incident, form
}

// TestProperty: whatever names are in a notification, the page gets the same ones; a silence
// is of them and of nothing else; and no address can be more than one in a text.
func TestProperty(t *testing.T) {
	name := rapid.OneOf(
		rapid.SampledFrom(notifytest.Hostile), rapid.String(), rapid.StringMatching(`[a-z,*?{}\[\]\\/ <>"'()|.#%&=+;!~^-]{0,20}`))
	rapid.Check(t, func(t *rapid.T) {
		field := func(label string) string { return strings.ToValidUTF8(name.Draw(t, label), "\ufffd") }
		host, group, process, rule := field("host"), field("group"), field("process"), field("rule")
		id := rule + "/" + host + "/" + process
		l := Of(from, notifytest.Firing(id, func(a *schema.Notification) {
			a.Host, a.Group, a.Process, a.Rule = host, group, process, rule
			a.Annotations = map[string]string{"runbook": "https://wiki.example.com/" + process + "?host=" + host}
		}))

		for _, one := range l.List() {
			if len(one.URL) > maxURL || strings.ContainsAny(one.URL, " \t\r\n<>\"'`()*|\\") || utf8.RuneCountInString(one.URL) != len(one.URL) {
				t.Errorf("%s: %q", one.Name, one.URL)
			}
		}
		if l.Acknowledge != "" {
			if got, _ := visit(t, l.Incident); got != id {
				t.Errorf("incident %q, want %q", got, id)
			}
			if got, _ := visit(t, l.Acknowledge); got != id || !strings.HasSuffix(l.Acknowledge, "#ack") {
				t.Errorf("acknowledge %q: incident %q, want %q", l.Acknowledge, got, id)
			}
		}
		if l.Silence != "" {
			_, form := visit(t, l.Silence)
			for key, want := range map[string]string{"host": host, "group": group, "process": process, "rule": rule} {
				globs := schema.SplitGlobs(form[key])
				if want == "" && len(globs) == 0 {
					continue
				}
				if len(globs) != 1 || !schema.MatchGlob(globs[0], want) || schema.MatchGlob(globs[0], want+"x") {
					t.Errorf("%s of the silence is %q, want %q", key, globs, want)
				}
			}
		}
	})
}

func TestAnnotate(t *testing.T) {
	notes := map[string]string{"silence_url": "the rule's own"}
	Of(from, notifytest.Notification(schema.TypeAlertUpdate, "a", 2)).Annotate(notes)
	want := map[string]string{
		"silence_url": "the rule's own", "incident_url": "https://ops.example.com/supernats/alerts/a",
		"ack_url": "https://ops.example.com/supernats/alerts/a#ack",
	}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Error(diff)
	}
}
