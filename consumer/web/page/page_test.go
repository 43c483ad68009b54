package page_test

import (
	"cmp"
	"fmt"
	"html"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"supernats/consumer/web/page"
	"supernats/consumer/web/site"
	"supernats/schema"
)

// What is wrong stands first, and only that is open.
func TestProblemsComeFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.hasProcess("web1", "api", "api_00", schema.StateRunning)
	h.hasHost("web3")
	h.hasProcess("web3", "api", "api_02", schema.StateFatal)
	h.hasProcess("web3", "api", "api_01", schema.StateRunning)
	h.hasAlert("fatal", "critical", "web3", "api", "api_02")

	text := h.sees("/", "1 thing needs attention", "web3 · api:api_02", `href="/hosts/web1"`)
	order := []string{"web3 · api:api_02", "24 hours", "1 FATAL", "api:api_02", ">web1<"}
	at := 0
	for _, part := range order {
		i := strings.Index(text[at:], part)
		if i < 0 {
			t.Fatalf("%q does not come after what should be before it:\n%s", part, text)
		}
		at += i
	}
	if strings.Contains(text, "api_00") || strings.Contains(text, "api_01") {
		t.Error("what is well is open")
	}
}

// Every page says what it is about, and none of them needs a script.
func TestPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web3", func(r *schema.HostRecord) { r.Lost = 3 }) // an old record has no time
	h.hasProcess("web3", "api", "api_02", schema.StateFatal)
	a := h.hasAlert("fatal", "critical", "web3", "api", "api_02")
	h.Publish(h.Crash(func(e *schema.Event) {
		e.Host, e.Process, e.PID = "web3", "api_02", 815
		e.Log = &schema.Log{Stderr: "out of luck\n"}
	}))
	h.sees("/hosts/web3", "api:api_02")
	h.sees("/alerts", "api:api_02")

	for _, c := range []struct {
		path   string
		status int
		want   []string
	}{
		{path: "/hosts/web3", want: []string{"api:api_02", "supervisord", "4.3.0, RUNNING", "3 events lost"}},
		{path: "/processes/web3/api/api_02", want: []string{"exited unexpectedly", "pid 815", "out of luck"}},
		{path: "/alerts", want: []string{"web3 · api:api_02", "exit code 3"}},
		{path: "/alerts?show=past", want: []string{"No alert has closed recently"}},
		{path: "/alerts?severity=info", want: []string{"No alert matches severity=info: 0 of 1."}},
		{path: site.AlertPath(a.Incident), want: []string{"exit code 3", "out of luck", "exited unexpectedly"}},
		{path: "/events", want: []string{"web3 · api:api_02", "pid 815"}},
		{path: "/events?host=none", want: []string{"The stream holds no such event (host=none)."}},
		{path: "/mutes", want: []string{"Nothing is silenced.", "supernats mute"}},
		{path: "/?q=nothing", want: []string{"No process matches q=nothing: 0 of 1 process on 1 host."}},
		{path: "/?state=fatal", want: []string{"web3 · api:api_02"}},

		{path: "/hosts/web9", status: 404, want: []string{"No host web9 is known, of 1 host."}},
		{path: "/processes/web3/api/none", status: 404, want: []string{"No process api:none is known on host web3."}},
		{path: "/alerts/none", status: 404, want: []string{"No incident none is recorded."}},
		{path: "/nowhere", status: 404, want: []string{"There is no page /nowhere."}},
		{path: "/?sort=best", status: 400, want: []string{"sort: invalid value"}},
		{path: "/?page_token=x", status: 400, want: []string{"invalid page token"}},
		{path: "/alerts?page_token=x", status: 400, want: []string{"invalid page token"}},
		{path: "/events?page_token=!", status: 400, want: []string{"invalid page token"}},
		{path: "/events?since=soon", status: 400, want: []string{"want a span"}},
		{path: "/mutes/new", status: 403, want: []string{"web: {allow: [mute]}"}},
	} {
		t.Run(c.path, func(t *testing.T) {
			status, text := h.get(c.path)
			if want := cmp.Or(c.status, 200); status != want {
				t.Errorf("status %d, want %d", status, want)
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is missing in\n%s", want, text)
				}
			}
		})
	}
}

// What has no record any more is over, although the last notification says that it fires; its
// page offers nothing to do about it.
func TestAnIncidentWithoutARecord(t *testing.T) {
	t.Parallel()
	h := newHouse(t, silencing)
	h.hasHost("web3")
	opened := schema.Time{Time: time.Now().UTC()}
	n := &schema.Notification{
		Incident: "fatal/web3/4f0c6d1e2a90b7c3/1", Rule: "fatal", Kind: schema.KindEvent, Severity: "critical",
		Host: "web3", Group: "api", Process: "api_02", Opened: opened, Count: 1,
		Events: []schema.AlertEvent{{
			ID: "web3/4f0c6d1e2a90b7c3/1", Time: opened, Event: schema.ProcessStateFatal, Exit: &schema.Exit{Code: new(3)},
		}},
	}
	h.PublishRaw(n.Subject(), h.JSON(n.Envelope(n.Incident+"/1", schema.TypeAlertFiring, opened.Time)))

	text := h.sees(site.AlertPath(n.Incident), "is FATAL", "exit code 3", "over: when is not known", "notification: firing")
	for _, unwanted := range []string{"Silence …", "Acknowledge", "Nobody was notified"} {
		if strings.Contains(text, unwanted) {
			t.Errorf("it has %q:\n%s", unwanted, text)
		}
	}
}

// A page never claims to be up to date when it is not, and says why.
func TestStalePages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.sees("/", "Nothing needs attention", "as of")

	h.Server.Stop()
	text := h.sees("/", "stale since", "NATS cannot be reached", `<body class="stale"`)
	if strings.Contains(text, "Nothing needs attention") {
		t.Error("it says that all is well")
	}
	if status, text := h.get("/events"); status != http.StatusOK || !strings.Contains(text, "NATS cannot be reached") {
		t.Errorf("/events: %d\n%s", status, text)
	}
}

// What programs wrote is for those who are logged in, or at this machine.
func TestLogsAreForThoseWhoMaySeeThem(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	a := h.hasAlert("exit", "critical", "web1", "api", "api_00")
	h.hasProcess("web1", "api", "api_00", schema.StateRunning)
	h.Publish(h.Crash(func(e *schema.Event) { e.Log = &schema.Log{Stdout: "KeyError: secret\n"} }))
	h.sees("/alerts", "api_00")
	h.sees("/processes/web1/api/api_00", "KeyError: secret")

	stranger := func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") }
	for _, path := range []string{site.AlertPath(a.Incident), "/processes/web1/api/api_00", "/events", "/"} {
		if _, text := h.get(path, stranger); strings.Contains(text, "KeyError") {
			t.Errorf("%s shows it to a stranger", path)
		}
	}
	if _, text := h.get(site.AlertPath(a.Incident), stranger); !strings.Contains(text, "may hold secrets") {
		t.Error("a stranger does not learn why")
	}
}

// Nothing of another site may run in a page, and nobody may frame it.
func TestHeaders(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	answer, err := http.Get(h.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	for key, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		if got := answer.Header.Get(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

// Behind a proxy that strips its path, links have that path, as in Prometheus.
func TestBehindAStrippingProxy(t *testing.T) {
	t.Parallel()
	external, err := site.ParseExternal("https://ops.example.com/sn/")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, func(o *page.Options) { o.Site.External = external })
	h.hasHost("web1")
	text := h.sees("/", `href="/sn/hosts/web1"`)
	for _, attribute := range []string{`href="`, `src="`, `action="`, `data-stream="`, `data-worker="`} {
		for _, part := range strings.Split(text, attribute)[1:] {
			if !strings.HasPrefix(part, "/sn/") && !strings.HasPrefix(part, "#") {
				t.Errorf("%s%.40s", attribute, part)
			}
		}
	}
}

// All links and files stay below the prefix.
func TestBelowAPrefix(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *page.Options) { o.Site.Prefix = "/sn" })
	h.hasHost("web1")
	text := h.sees("/sn/", `href="/sn/hosts/web1"`)
	for _, attribute := range []string{`href="`, `src="`, `action="`} {
		for _, part := range strings.Split(text, attribute)[1:] {
			if !strings.HasPrefix(part, "/sn/") && !strings.HasPrefix(part, "#") {
				t.Errorf("%s%.40s", attribute, part)
			}
		}
	}

	tab := h.open("/sn/hosts/web1")
	tab.isLive()
	h.hasProcess("web1", "api", "api_00", schema.StateFatal)
	tab.untilText("api:api_00")
	tab.isQuiet()
}

// Lists come in pages of 100, and the token of the next page leads on.
func TestListsComeInPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.many(250, func(i int) {
		name := fmt.Sprintf("web%03d", i)
		h.hasHost(name)
		h.hasProcess(name, "api", "api", schema.StateRunning)
		h.hasAlert("exit", "warning", name, "api", "api", func(a *schema.Alert) {
			a.Opened = schema.Time{Time: time.Now().Add(-time.Duration(i) * time.Minute)}
		})
	})
	h.sees("/hosts/web249", "web249")
	h.Until("all alerts are seen", func() bool { return len(h.live.Snapshot().Alerts) == 250 })

	for _, path := range []string{"/?state=running", "/?q=web", "/alerts", "/?sort=name"} {
		seen := map[string]bool{}
		var pages []int
		for next := path; next != ""; {
			_, text := h.get(next)
			page := rowsOf(text)
			pages = append(pages, len(page))
			for _, id := range page {
				if seen[id] {
					t.Errorf("%s is there twice", id)
				}
				seen[id] = true
			}
			next = nextOf(text)
		}
		want := []int{100, 100, 50}
		if path == "/?sort=name" {
			want[0] += 25 // what needs attention
		}
		if path == "/?q=web" {
			want[0] += 10 // the hosts of that name
		}
		if !slices.Equal(pages, want) {
			t.Errorf("%s: pages of %v, want %v", path, pages, want)
		}
	}
}

var (
	rowPattern  = regexp.MustCompile(`<li id="([ahp]-[0-9a-f]+)">`)
	nextPattern = regexp.MustCompile(`href="([^"]+)" rel="next"`)
)

func rowsOf(text string) (ids []string) {
	for _, m := range rowPattern.FindAllStringSubmatch(text, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

func nextOf(text string) string {
	m := nextPattern.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// The scripts stay small enough to be read in one sitting.
func TestScriptsAreSmall(t *testing.T) {
	t.Parallel()
	lines := 0
	for _, name := range []string{"assets/page.js", "assets/worker.js"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
				lines++
			}
		}
	}
	if lines >= 300 {
		t.Errorf("%d lines of code, want fewer than 300", lines)
	}
}

// Crashes are counted whether somebody looks or not: the first visitor sees them all.
func TestCrashesBeforeTheFirstVisitor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.hasCrashed("web1", 100)
	h.hasCrashed("web1", 101)
	h.Until("all is seen", func() bool { return len(h.live.Snapshot().Hosts) == 1 })
	time.Sleep(5 * time.Second) // they are counted every two seconds
	if _, text := h.get("/"); !strings.Contains(text, "24 hours · 2<") {
		t.Errorf("%s", text)
	}
}
