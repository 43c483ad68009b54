package page_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	pagecdp "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"supernats/schema"
	"supernats/schema/stream"
)

// script runs in a tab before those of its pages.
func script(text string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, pagecdp.AddScriptToEvaluateOnNewDocument,
			pagecdp.AddScriptToEvaluateOnNewDocumentParams{Source: text})
		return err
	})
}

// proxied is a house behind a proxy, which answers some requests itself.
func (h *house) proxied(answers func(w http.ResponseWriter, r *http.Request) bool) *house {
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: h.address})
	forward.FlushInterval = -1
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answers(w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	h.Cleanup(func() {
		proxy.CloseClientConnections()
		proxy.Close()
	})
	return &house{Fleet: h.Fleet, live: h.live, address: proxy.Listener.Addr().String()}
}

func isStream(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/stream") }

// login is the page of somebody else, with an element that ours have too.
func login(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprint(w, `<body data-view="/"><main id="main">Log in</main></body>`)
}

// A proxy that does not let the stream through costs no more than speed: the page is
// fetched every 30 s, and says so.
func TestProxiesThatSpoilTheStream(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.sees("/", "web1")
	const speed = 3
	proxies := map[string]func(w http.ResponseWriter, r *http.Request){
		"502": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "bad gateway", http.StatusBadGateway) },
		"login": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusFound)
		},
		"html":    func(w http.ResponseWriter, _ *http.Request) { login(w) },
		"buffers": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	}
	tabs := map[string]*tab{}
	for name, answer := range proxies {
		behind := h.proxied(func(w http.ResponseWriter, r *http.Request) bool {
			switch {
			case isStream(r):
				answer(w, r)
			case r.URL.Path == "/login":
				login(w)
			default:
				return h.answersWithClock(w, r, speed)
			}
			return true
		})
		tabs[name] = behind.open("/")
	}

	for _, name := range []string{"502", "login", "html"} {
		tabs[name].untilText("refreshed every 30 s, last")
	}
	h.hasAlert("exit", "critical", "web1", "api", "api_07")
	for end := time.Now().Add(100 * time.Second / speed); len(tabs) > 0; time.Sleep(100 * time.Millisecond) {
		for name, tab := range tabs {
			if evaluate[bool](tab, `document.body.innerText.includes("web1 · api:api_07")`) {
				tab.untilText("refreshed every 30 s, last")
				delete(tabs, name)
			}
			if time.Now().After(end) {
				t.Fatalf("%s: the page does not show it:\n%s", name, evaluate[string](tab, "document.body.innerText"))
			}
		}
	}
}

// A page that somebody else answers for is stale, says why, and keeps what it shows: a login
// that has ended, a proxy without its server.
func TestSomebodyElseAnswers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.hasProcess("web1", "api", "api_00", schema.StateRunning)
	h.sees("/processes/web1/api/api_00", "RUNNING")
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		why    string
	}{
		{name: "401", answer: func(w http.ResponseWriter) { http.Error(w, "who are you?", http.StatusUnauthorized) }, why: "with status 401"},
		{name: "502", answer: func(w http.ResponseWriter) { http.Error(w, "bad gateway", http.StatusBadGateway) }, why: "with status 502"},
		{name: "login", answer: login, why: "with status 200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var isSpoilt atomic.Bool
			behind := h.proxied(func(w http.ResponseWriter, r *http.Request) bool {
				if spoils := isSpoilt.Load() && !isStream(r); spoils {
					c.answer(w)
					return true
				}
				return false
			})
			tab := behind.open("/processes/web1/api/api_00")
			tab.isLive()

			isSpoilt.Store(true)
			h.hasProcess("web1", "api", "api_00", schema.StateFatal, nextSeq)
			tab.untilText("stale since")
			tab.untilText(c.why)
			if !evaluate[bool](tab, `document.body.innerText.includes("RUNNING")`) {
				t.Error("what the page showed is gone")
			}
			isSpoilt.Store(false)
			h.hasProcess("web1", "api", "api_00", schema.StateRunning, nextSeq)
			tab.isLive()
			tab.until("it no longer says so", fmt.Sprintf(`!document.body.innerText.includes(%q)`, c.why))
		})
	}
}

// Where no worker can be shared, each tab has its own.
func TestWithoutASharedWorker(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.sees("/", "web1")
	for i, c := range []struct{ name, script string }{
		{name: "there are none", script: `delete window.SharedWorker`},
		{name: "they are forbidden", script: `window.SharedWorker = class { constructor() { throw new Error("forbidden") } }`},
		{name: "they never answer", script: `window.SharedWorker = class { port = new MessageChannel().port1 }`},
		{name: "their script is gone", script: `const S = SharedWorker; window.SharedWorker = class { constructor(a, o) { return new S(a + ".gone", o) } }`},
	} {
		tab := h.open("/", script(c.script))
		tab.isLive()
		name := fmt.Sprintf("api_%02d", i)
		h.hasAlert("exit", "critical", "web1", "api", name)
		tab.untilText("web1 · api:" + name)
	}
}

// The clock of a browser may be wrong: how long ago things were, and since when the page is
// stale, are by the server's.
func TestAClockThatIsWrong(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.hasAlert("exit", "critical", "web1", "api", "api_00")
	h.sees("/", "api_00")
	for _, off := range []int{-1, 1} {
		tab := h.open("/", script(fmt.Sprintf(`{
			const real = Date, off = %d * 3600e3;
			window.realNow = () => real.now();
			window.Date = class extends real {
				constructor(...a) { a.length ? super(...a) : super(real.now() + off); }
				static now() { return real.now() + off; }
			};
		}`, off)))
		tab.isLive()
		tab.until("it was seconds ago", `/^\d+ s ago$/.test(document.querySelector("#open time").textContent)`)
		h.vanish()
		tab.untilText("reconnecting since")
		tab.until("the time is right", `[...Array(30).keys()].some(s => document.querySelector("#status").innerText
			.includes(new Date(realNow() - 1000 * s).toLocaleTimeString()))`)
		h.serve()
		tab.isLive()
	}
}

// Another server at the address, after a kill or an upgrade, knows nothing of what open pages
// have: they get all again, and what has changed meanwhile.
func TestAnotherServerAtTheAddress(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.hasAlert("exit", "critical", "web1", "api", "api_00")
	h.hasCrashed("web1", 100)
	h.sees("/", "api_00")
	h.sees("/events", "pid 100")
	home, events := h.open("/"), h.open("/events")
	home.isLive()
	events.isLive()

	h.vanish()
	h.settle()
	h.hasAlert("exit", "critical", "web1", "api", "api_07")
	h.hasCrashed("web1", 200)
	h.serve()
	home.isLive()
	home.untilText("web1 · api:api_07")
	events.untilText("pid 200")
	h.hasCrashed("web1", 201)
	events.untilText("pid 201")
	events.isLive()
}

// An address whose subject is gone says so, and shows it again when it is back.
func TestAProcessThatIsGoneAndBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.hasProcess("web1", "api", "api_00", schema.StateRunning)
	h.sees("/processes/web1/api/api_00", "RUNNING")
	tab := h.open("/processes/web1/api/api_00")
	tab.isLive()
	if err := h.Bucket(stream.StateBucket).Purge(t.Context(), schema.StateKey("web1", "api", "api_00")); err != nil {
		t.Fatal(err)
	}
	tab.untilText("No process api:api_00 is known")
	h.hasProcess("web1", "api", "api_00", schema.StateFatal)
	tab.untilText("FATAL")
	tab.isLive()
}

// What a list is about changes with it: its numbers, and that there is nothing in it.
func TestNotesOfLists(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hasHost("web1")
	h.sees("/", "web1")
	alerts, fleet := h.open("/alerts"), h.open("/?q=api_00")
	alerts.isLive()
	fleet.isLive()
	alerts.untilText("No alert is open.")
	fleet.untilText("No process matches")
	fleet.untilText("0 of 0 match")

	h.hasAlert("exit", "critical", "web1", "api", "api_00")
	h.hasProcess("web1", "api", "api_00", schema.StateFatal)
	alerts.until("one is open", `document.querySelector("#tabs b").textContent === "1" && !document.body.innerText.includes("No alert is open")`)
	fleet.until("one matches", `document.body.innerText.includes("1 of 1 match") && !document.body.innerText.includes("No process matches")`)

	h.hasAlert("exit", "critical", "web1", "api", "api_00", func(a *schema.Alert) {
		now := schema.Time{Time: time.Now()}
		a.Phase, a.Closed = schema.PhaseResolved, &now
	})
	alerts.untilText("No alert is open.")
	alerts.isQuiet()
	fleet.isQuiet()
}

// nextSeq makes a record another one.
func nextSeq(r *schema.ProcessRecord) { r.Seq = uint64(time.Now().UnixNano()) }
