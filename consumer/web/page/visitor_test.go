package page_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"supernats/consumer/web/site"
	"supernats/schema"
	"supernats/schema/stream"
)

// From the fleet to a silence by keys alone.
func TestByKeysAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, silencing)
	h.hasHost("web1")
	h.hasAlert("exit", "critical", "web1", "api", "api_00")
	h.sees("/", "api_00")
	tab := h.open("/")
	tab.isLive()
	focus := func() string {
		return evaluate[string](tab, "document.activeElement.innerText || document.activeElement.name || ''")
	}

	tab.run(chromedp.KeyEvent("/"))
	if got := focus(); got != "q" {
		t.Errorf("after / the focus is on %q", got)
	}
	tab.run(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	tab.run(chromedp.KeyEvent("?"))
	tab.until("the help is open", `document.querySelector("#help").open`)
	tab.run(chromedp.KeyEvent(kb.Escape))
	tab.until("the help is closed", `!document.querySelector("#help").open`)

	tab.run(chromedp.KeyEvent("jjk"))
	if got := focus(); !strings.Contains(got, "web1 · api:api_00") {
		t.Errorf("after j j k the focus is on %q", got)
	}
	if outline := evaluate[string](tab, "getComputedStyle(document.activeElement).outlineStyle"); outline != "solid" {
		t.Errorf("the focus cannot be seen: outline %s", outline)
	}
	tab.run(chromedp.KeyEvent(kb.Enter))
	tab.until("it is the incident", `location.pathname.startsWith("/alerts/exit")`)
	tab.tabTo("Silence …")
	tab.run(chromedp.KeyEvent(kb.Enter))
	tab.until("it is the form", `location.pathname === "/mutes/new"`)
	tab.tabTo("comment")
	tab.run(chromedp.KeyEvent("rolling out 1.4.2"), chromedp.KeyEvent(kb.Enter))
	tab.untilText("is in force")
	tab.untilText("host web1 · group api · process api_00 · rule exit")
	if got := h.Keys(stream.MutesBucket); len(got) != 1 {
		t.Errorf("silences %v", got)
	}
	tab.until("it is live", `document.querySelector("#status .state-word").textContent === "live"`)
	tab.isQuiet()

	tab.tabTo("End")
	tab.run(chromedp.KeyEvent(kb.Enter))
	tab.untilText("has ended")
	tab.until("no silence is left", `document.querySelector("#mutes").children.length === 0`)
}

// tabTo presses Tab until something has the focus: by its text, or the name of a field.
func (t *tab) tabTo(what string) {
	t.Helper()
	t.tabUntil(what, func(focus string) bool { return focus == what })
}

// tabToRow presses Tab until the row with a text has the focus.
func (t *tab) tabToRow(text string) {
	t.Helper()
	t.tabUntil(text, func(focus string) bool { return strings.Contains(focus, text) })
}

func (t *tab) tabUntil(what string, isThere func(focus string) bool) {
	t.Helper()
	t.until("the page is there", `document.readyState === "complete"`)
	for range 40 {
		t.run(chromedp.KeyEvent(kb.Tab))
		if isThere(evaluate[string](t, "document.activeElement.innerText || document.activeElement.name || ''")) {
			return
		}
	}
	t.Fatalf("Tab does not reach %q", what)
}

// What others have written is text, wherever it stands, in what is sent live too.
func TestNothingOfOthersRuns(t *testing.T) {
	t.Parallel()
	h := newHouse(t, silencing)
	const tag = `<img src=x onerror="window.owned=1">`
	host, process := `web1"><script>window.owned=1</script>`, `api'`+tag
	hostile := func(a *schema.Alert) {
		a.Last.Log = &schema.Log{Stderr: "</pre><script>window.owned=1</script>\x1b[31m\u202ered\n"}
		a.Annotations = map[string]string{"runbook": "javascript:window.owned=1", "summary": tag, tag: tag}
		a.Ended = tag
	}
	h.hasHost(host, func(r *schema.HostRecord) {
		r.SupervisorVersion, r.Address = tag, tag
		r.Troubles = []schema.HostTrouble{{Cause: "x", Text: tag, Fix: `"onclick="` + tag, Since: minutesAgo(1)}}
	})
	h.hasProcess(host, "grp{{.}}", process, schema.StateFatal)
	a := h.hasAlert(`rule<b>`, `critical`, host, "grp{{.}}", process, hostile)
	h.put(stream.MutesBucket, "0123456789", &schema.Mute{
		ID: "0123456789", Hosts: []string{tag}, Author: tag, Comment: `--></p>` + tag, Created: minutesAgo(1), Expires: minutesAgo(-60),
	})
	h.Publish(h.Crash(func(e *schema.Event) {
		e.Host, e.Group, e.Process, e.Log = host, "grp{{.}}", process, &schema.Log{Stdout: tag}
		e.Exit = &schema.Exit{SpawnErr: tag}
	}))
	h.Until("all is seen", func() bool {
		s := h.live.Snapshot()
		return len(s.Alerts) == 1 && len(s.Mutes) == 1 && len(s.Hosts) == 1
	})

	for _, path := range []string{
		"/", site.HostPath(host), site.ProcessPath(host, "grp{{.}}", process), "/alerts", site.AlertPath(a.Incident), "/events",
		"/mutes", site.NewMutePath(host, tag, process, tag), "/?q=" + tag, "/?page_token=" + tag, "/alerts?rule=" + tag, "/events?event=" + tag,
	} {
		tab := h.open(path)
		if evaluate[bool](tab, `"owned" in window || !!document.querySelector("main script, main img, main b[onclick], a[href^='javascript']")`) {
			t.Errorf("%s: it ran", path)
		}
		isError := strings.Contains(path, "page_token")
		if strings.Contains(path, "mutes/new") || isError {
			continue
		}
		tab.isLive()
		h.hasAlert(`rule<b>`, `critical`, host, "grp{{.}}", process, hostile, func(a *schema.Alert) { a.Count = 2 + len(path) })
		h.hasProcess(host, "grp{{.}}", fmt.Sprint(tag, len(path)), schema.StateFatal)
		if path == "/" || path == "/alerts" {
			tab.untilText(fmt.Sprintf("%d times", 2+len(path)))
		}
		if evaluate[bool](tab, `"owned" in window || !!document.querySelector("main script, main img")`) {
			t.Errorf("%s: it ran when it came live", path)
		}
		tab.isQuiet()
	}
}

// Filter, order and page are in the address: what a form makes can be sent to somebody else.
func TestFilterSortAndPageByAddress(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.many(130, func(i int) {
		name := fmt.Sprintf("web%03d", i)
		state := schema.StateRunning
		if i%2 == 0 {
			state = schema.StateFatal
		}
		h.hasHost(name)
		h.hasProcess(name, "api", "api", state)
	})
	h.Until("all is seen", func() bool { return len(h.live.Snapshot().Hosts) == 130 })
	h.sees("/?state=fatal", "65 of 130 match")
	tab := h.open("/?sort=name")
	rows := func() int {
		return evaluate[int](tab, `document.querySelectorAll("#hosts > li, #processes > li").length`)
	}
	if n := rows(); n != 100 {
		t.Errorf("%d hosts on the first page", n)
	}
	tab.run(chromedp.Click(chromedp.CSS(`a[rel=next]`)))
	tab.untilText("web129")
	if n := rows(); n != 30 || !evaluate[bool](tab, `location.search.includes("page_token=") && location.search.includes("sort=name")`) {
		t.Errorf("%d hosts on the second page, at %s", n, evaluate[string](tab, "location.href"))
	}

	tab.run(chromedp.Evaluate[chromedp.Void](`document.querySelector(".filter").open = true; void 0`),
		chromedp.Evaluate[chromedp.Void](`document.querySelector(".filter select[name=state]").value = "fatal"; document.querySelector(".filter input[name=host]").value = "web00*"; void 0`),
		chromedp.Click(chromedp.CSS(`.filter button`)))
	tab.untilText("5 of 130 match")
	if got := evaluate[string](tab, `new URLSearchParams(location.search).get("state") + new URLSearchParams(location.search).get("host")`); got != "fatalweb00*" {
		t.Errorf("the address has %s", got)
	}
	tab.isLive()
	h.hasProcess("web001", "api", "api", schema.StateFatal)
	tab.until("one more is there", `document.querySelectorAll("#processes > li").length === 6`)
	h.hasProcess("web000", "api", "api", schema.StateRunning)
	tab.until("one is gone", `document.querySelectorAll("#processes > li").length === 5`)
	tab.isQuiet()
}
