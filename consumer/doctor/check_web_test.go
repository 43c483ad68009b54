package doctor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"supernats/consumer/inspect"
	"supernats/schema/checkup"
)

// webFindings are what the checks web and watchdog find, a line each.
func webFindings(t *testing.T, in *Installation) (lines []string) {
	t.Helper()
	in.Guard, in.Unreachable = new(inspect.Guard), errors.New("x")
	if in.Config.File == "" {
		in.Config.File = "c.yaml"
	}
	for _, f := range Examine(t.Context(), in) {
		if f.Check == "web" || f.Check == "watchdog" {
			if f.Status != checkup.OK && f.Fix == "" {
				t.Errorf("no fix of %q", f.Message)
			}
			lines = append(lines, string(f.Status)+" "+f.Message+" ["+f.Fix+"]")
		}
	}
	return lines
}

const pages = `{"live":true,"active":"box/1","lag_messages":0,"lag_seconds":0,"now":"2026-01-02T03:04:05Z","totals":{}}`

// answering is a server that says one thing whatever it is asked.
func answering(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Authorization") != "" {
			t.Errorf("%s with %q", r.Method, r.Header)
		}
		w.Header().Set("Location", "/login")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// Who follows a link in a notification comes to the page, or is not let in by himself.
func TestExternalURL(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, c := range []struct {
		name, external, listen, prefix string
		allow                          []string
		open                           bool
		want, fix                      string
	}{
		{name: "nobody answers", external: "http://" + closed.Addr().String(), want: "warn external_url http", fix: "curl -v http"},
		{name: "another page", external: answering(t, 200, "<html>"), want: "is not the page of supernats", fix: "correct external_url"},
		{name: "a broken proxy", external: answering(t, 502, ""), want: "(status 502)", fix: "the proxy there"},
		{name: "another path", external: answering(t, 404, "404 page not found"), prefix: "/sn", want: "served below /sn/", fix: "set route_prefix: /"},
		{name: "no address of its own", external: "http://x", listen: "-", want: "listen is empty", fix: "set listen"},
		{
			name: "everybody may silence", external: answering(t, 200, pages), allow: []string{"mute", "ack"},
			want: "can change what web.allow lists (mute, ack)", fix: "web_config, or remove web.allow",
		},
		{name: "said before", external: answering(t, 200, pages), allow: []string{"mute"}, open: true, want: "ok external_url"},
		{name: "a password is wanted", external: answering(t, 401, ""), want: "asks who we are"},
		{name: "a page to log in", external: answering(t, 302, ""), want: "asks who we are"},
		{name: "this page", external: answering(t, 200, pages), want: "ok external_url"},
		{name: "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			listen := "127.0.0.1:1"
			if c.listen == "-" {
				listen = ""
			}
			got := webFindings(t, &Installation{Config: Configuration{
				Listen: listen, Web: Web{ExternalURL: c.external, Prefix: c.prefix, Allow: c.allow, Open: c.open},
			}})
			text := strings.Join(got, "\n")
			if len(got) > 1 || !strings.Contains(text, c.want) || !strings.Contains(text, c.fix) || (c.want == "") != (text == "") {
				t.Errorf("%q", got)
			}
		})
	}
}

// A daemon that was started before the prefix was set is found.
func TestPrefixOfTheDaemon(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ready\n")) })
	daemon := httptest.NewServer(mux)
	t.Cleanup(daemon.Close)
	in := &Installation{Config: Configuration{
		Listen: strings.TrimPrefix(daemon.URL, "http://"),
		Web:    Web{ExternalURL: answering(t, 401, ""), Prefix: "/sn"},
	}}
	got := webFindings(t, in)
	if len(got) != 2 || !strings.Contains(got[0], "does not serve /sn/") || !strings.Contains(got[0], "[restart `supernats consume`") {
		t.Errorf("%q", got)
	}

	mux.HandleFunc("GET /sn/readyz", func(http.ResponseWriter, *http.Request) {})
	if got := webFindings(t, in); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// A dead man's switch that cannot be reached says that nobody is notified.
func TestWatchdogsAreReached(t *testing.T) {
	got := webFindings(t, &Installation{Config: Configuration{Watchdogs: []Watchdog{
		{Name: "one", Reach: func(context.Context) error { return errors.New("connection refused") }},
		{Name: "two", Reach: func(context.Context) error { return nil }},
	}}})
	if len(got) != 2 || !strings.Contains(got[0], "warn watchdog one cannot be reached from here") || got[1] != "ok watchdog two can be reached []" {
		t.Errorf("%q", got)
	}
}

// A receiver that refuses is worse if a rule escalates to it.
func TestEscalatesToARefusal(t *testing.T) {
	c := Configuration{Escalations: map[string][]string{"boss": {"fatal", "unexpected-exit"}}}
	if got := c.escalating("boss"); got != "; 2 rules escalate (fatal, unexpected-exit) there: nobody else is notified then" {
		t.Errorf("%q", got)
	}
	if got := c.escalating("mail"); got != "" {
		t.Errorf("%q", got)
	}
}
